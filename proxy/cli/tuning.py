"""`penstock tune`: solves the cut points of `auto` from a target, on labelled requests."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.table import Table

from classifiers import labels as labelled
from classifiers.labels import Label, LabelError
from classifiers.tuning import Kept, Prices, Solution, Target, solve
from proxy import metering
from proxy import settings as configuration
from proxy.cli.frame import SAYS_NO, USAGE, console, fail, load, print_json, shared_options
from proxy.cli.learning import own_labels
from proxy.settings import TIERS, Settings, SettingsError
from proxy.settings.writing import written

INPUT_TOKENS, OUTPUT_TOKENS = 500, 300
"""A request whose price at each tier is compared: about the mean of published chat traffic (LMSYS-Chat-1M)."""
SCHEDULE: Prices = (1.0, 3.0, 10.0)
"""What tiers cost where a price is unknown, or nothing: the ratios of the shipped credit schedule."""


@click.command()
@click.option(
    "--target", "targets", multiple=True, metavar="quality=Q|share=S",
    help="Keep this share of the complex tier's quality, or let complex serve at most this share; both may be given. "
    "Without it, routing.target.",
)  # fmt: skip
@click.option(
    "--labels", "file", type=click.Path(path_type=Path),
    help="Your labelled requests, as JSONL; without it, the labels of the package, which are mostly exams.",
)  # fmt: skip
@click.option("--own", is_flag=True, help="The label store instead: feedback, retries and escalations.")
@click.option("--write", is_flag=True, help="Write target and thresholds into the configuration; comments stay.")
@shared_options
def tune(targets: tuple[str, ...], file: Path | None, config: Path, *, own: bool, write: bool, as_json: bool) -> None:
    """Solve the cut points of `auto` from a target, on labelled requests. Calls nobody.

    Exit 0 when labels prove that the target is met, 1 when they do not: then everything goes up a tier.
    """
    settings = load(config, quiet=True)
    target = _target(targets, settings)
    if own and file is not None:
        fail("--own and --labels exclude each other", USAGE)
    found = own_labels(settings, config) if own else _labels(file, settings)
    prices, is_guessed = _prices(settings)
    solution = solve(found, target, prices)
    version = settings.classifier.table.version
    if write:
        _write(config, target, solution, version)
    if as_json:
        print_json(_document(solution, target, version, prices, config if write else None))
    else:
        _show(solution, target, is_own=own or file is not None, is_guessed=is_guessed)
        _say_where(solution, version, config, is_written=write)
    sys.exit(0 if solution.why_up is None else SAYS_NO)


def _target(given: tuple[str, ...], settings: Settings) -> Target:
    if not given:
        routing = settings.routing
        if routing.target_quality is None and routing.target_share is None:
            fail("state a target, such as --target quality=0.97, or routing.target in the configuration", USAGE)
        return Target(
            *(None if each is None else float(each) for each in (routing.target_quality, routing.target_share))
        )
    found: dict[str, float] = {}
    for each in given:
        name, _, number = each.partition("=")
        if name not in Target._fields or name in found:
            _no_target(each)
        try:
            found[name] = float(number)
        except ValueError:
            _no_target(each)
        if not 0 <= found[name] <= 1:
            _no_target(each)
    return Target(**found)


def _no_target(given: str) -> NoReturn:
    fail(f'"{given}" is no target; write quality=0.97 or share=0.30, each once and from 0 to 1', USAGE)


def _labels(file: Path | None, settings: Settings) -> list[Label]:
    if file is None:
        if settings.classifier.version is not None:
            fail("the labels of the package are scored by its own weights, and classifier.weights names others: "
                 "give your own with --labels, or --own", USAGE)  # fmt: skip
        return labelled.shipped()
    try:
        with file.open("rb") as lines:
            return list(labelled.read(lines, settings.classifier.table))
    except LabelError as error:
        fail(f"{file}: {error}", USAGE)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)


def _prices(settings: Settings) -> tuple[Prices, bool]:
    """Return what a request costs at each tier's first model, and whether that is only the credit schedule's ratio."""
    usage, now_s = metering.estimated(INPUT_TOKENS, OUTPUT_TOKENS), int(time.time())
    found = [
        metering.cost_nusd(settings.tiers[tier][0], usage, now_s) if settings.tiers[tier] else None for tier in TIERS
    ]
    simple, medium, hard = found
    if simple is None or medium is None or not hard:
        return SCHEDULE, True
    return (float(simple), float(medium), float(hard)), False


def _write(config: Path, target: Target, solution: Solution, version: str) -> None:
    stated = ", ".join(f"{name}: {value:g}" for name, value in target._asdict().items() if value is not None)
    cuts = solution.cuts
    values = {
        ("routing", "thresholds"): f"{{medium: {cuts.medium:g}, complex: {cuts.complex:g}, classifier: {version}}}",
        ("routing", "target"): f"{{{stated}}}",
    }
    try:
        written(config, values, lambda path: configuration.load(path, environ=os.environ))
    except SettingsError as error:
        fail(f"{config} is left as it is, as it would not pass `penstock check`: {error}", USAGE)
    except OSError as error:
        fail(f"{config} cannot be written: {error.strerror}", USAGE)


def _document(solution: Solution, target: Target, version: str, prices: Prices, config: Path | None) -> dict[str, Any]:
    rows = {name: _row(kept) for name, kept in _rows(solution)}
    return {
        "target": target._asdict(),
        "met": solution.why_up is None,
        "why_up": solution.why_up,
        "thresholds": {**solution.cuts._asdict(), "classifier": version},
        "labels": solution.labels,
        "labels_effective": round(solution.effective, 1),
        "prices": dict(zip(TIERS, prices, strict=True)),
        "rows": rows,
        "written": None if config is None else str(config),
    }


def _rows(solution: Solution) -> Iterator[tuple[str, Kept]]:
    yield "tuned", solution.kept
    yield "tuned, unseen halves", solution.unseen
    yield from solution.others.items()


def _row(kept: Kept) -> dict[str, Any]:
    shares = dict(zip(TIERS, (round(each, 6) for each in kept.shares), strict=True))
    return {"quality_kept": round(kept.quality, 6), "quality_low": round(kept.low, 6),
            "cost_saved": round(kept.saved, 6), "shares": shares}  # fmt: skip


_WORDS = {
    "tuned": "these cut points",
    "tuned, unseen halves": "the same, on unseen halves",
    "random": "chance, same shares",
    "oracle": "oracle",
    "shipped": "shipped cut points",
    "all complex": "everything complex",
}


def _show(solution: Solution, target: Target, *, is_own: bool, is_guessed: bool) -> None:
    wished = " and ".join(f"{name} {value:g}" for name, value in target._asdict().items() if value is not None)
    own = "of yours" if is_own else "of the package: exams and everyday prompts, not your traffic"
    click.echo(f"Target: {wished}. {solution.labels:,} labels, {own}.")
    if is_guessed:
        click.echo("Not every tier has a price, so costs are reckoned 1 to 3 to 10.")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in ("quality kept", "at least", "cost saved", *TIERS):
        table.add_column(name, justify="right")
    for name, kept in _rows(solution):
        shares = [f"{share:.0%}" for share in kept.shares]
        table.add_row(_WORDS[name], f"{kept.quality:.1%}", f"{kept.low:.1%}", f"{kept.saved:.1%}", *shares)
    console().print(table)


def _say_where(solution: Solution, version: str, config: Path, *, is_written: bool) -> None:
    cuts = solution.cuts
    if solution.why_up is not None:
        click.echo(f"Not met: {solution.why_up}.")
    click.echo(f"Medium from the score {cuts.medium:g} on, complex from {cuts.complex:g} on (scores of {version}).")
    if is_written:
        click.echo(f"Written to {config}; a running server takes it on within seconds.")
    else:
        click.echo("Nothing was written; --write does.")
