"""`penstock learn`: refits the judge on the deployment's own labels, and `--own` for `tune`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click

from classifiers import Task
from classifiers.featuring import Features
from classifiers.labels import Label, label_of
from classifiers.learning import Comparison, Lesson, compare, fit, rows_of, taught, why_not
from classifiers.table import WEIGHTS
from classifiers.weights_file import write as write_weights
from proxy import settings as configuration
from proxy.cli.frame import SAYS_NO, USAGE, fail, keeper, load, print_json, shared_options
from proxy.keeper.labels import Kept, LabelStore
from proxy.settings import Settings, SettingsError
from proxy.settings.writing import written


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="The new file; beside the configuration without it.")
@click.option("--write", is_flag=True, help="Also name it in the configuration, as classifier.weights; comments stay.")
@click.option("--anyway", is_flag=True, help="Write it also where it ranks labels held back no better.")
@click.option("--erase", metavar="CUSTOMER", help="Learn nothing: forget this customer's labels; `*` forgets all.")
@click.option("--export", type=click.Path(path_type=Path), help="Learn nothing: write labels with prompts, as JSONL.")
@shared_options
def learn(
    out: Path | None, erase: str | None, export: Path | None, config: Path, *, write: bool, anyway: bool, as_json: bool
) -> None:  # fmt: skip
    """Refit the judge on labels of your own: feedback, retries and escalations. Takes seconds; calls nobody.

    Exit 1 when there are too few labels, or the new weights are no better on labels held back: then nothing is written.
    A running server goes on as it is until the configuration names the new file.
    """
    if erase is not None:
        found = keeper(config, "labels.erase", {"customer": None if erase == "*" else erase})
        print_json(found) if as_json else click.echo(f"{found['erased']:,} labels are forgotten.")
        return
    settings = load(config, quiet=True)
    keeper(config, "labels.gather", {})
    if export is not None:
        count = _export(settings, export)
        print_json({"exported": count}) if as_json else click.echo(f"{export}: {count:,} labels with their prompts.")
        return
    lessons = list(_lessons(stored(settings)))
    why = why_not(lessons)
    if why is not None:
        fail(why, SAYS_NO)
    features = settings.classifier.features()
    compared = compare(features, lessons)
    document = _document(settings, features, lessons)
    is_better = compared.after > compared.before
    path = None
    if is_better or anyway:
        path = config.parent / f"weights-{document['version'].removeprefix('table-')}.json" if out is None else out
        _write(config, path, document, named=write)
    _show(lessons, compared, document, path, named=write, as_json=as_json)
    sys.exit(0 if path is not None else SAYS_NO)


def stored(settings: Settings) -> list[Kept]:
    """Return what is in the label store; one label per exchange, the caller's own word before what was concluded."""
    store = LabelStore(settings.server.data_dir)
    try:
        found: dict[tuple[int, str], Kept] = {}
        for each in store.everything():
            before = found.get((each.customer, each.x))
            if before is None or before.source != "feedback":
                found[each.customer, each.x] = each
        return list(found.values())
    finally:
        store.close()


def _export(settings: Settings, path: Path) -> int:
    """Write the labels that have a prompt, as `penstock tune --labels` reads them; nobody else may read the file."""
    store = LabelStore(settings.server.data_dir)
    try:
        prompts = store.prompts()
    finally:
        store.close()
    found = [each for each in stored(settings) if (each.customer, each.x) in prompts]
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            for each in found:
                line = {"prompt": prompts[each.customer, each.x], **_word(each), "source": each.source}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}", USAGE)
    return len(found)


def own_labels(settings: Settings, config: Path) -> list[Label]:
    """Return the label store as labels to tune on, scored by the configuration's weights."""
    keeper(config, "labels.gather", {})
    features = settings.classifier.features()
    return [label_of(_given(features, each)) for each in stored(settings)]


def _given(features: Features, kept: Kept) -> dict[str, Any]:
    score, _ = features.score(kept.features, cast("Task", kept.task), kept.medium, kept.hard)
    return {"score": score, "task": kept.task, **_word(kept)}


def _word(kept: Kept) -> dict[str, Any]:
    """Return what a label says, as a line of a label file has it."""
    said = {"good": kept.good, "served": kept.served} if kept.needed is None else {"tier": kept.needed}
    return {"propensity": kept.propensity, **said}


def _lessons(labels: list[Kept]) -> Iterator[Lesson]:
    """Yield what labels teach: who needed more than simple, or than what served. From complex nothing follows."""
    for each in labels:
        if each.needed is not None:
            is_needed = each.needed != "simple"
        elif each.served == "complex":
            continue
        else:
            is_needed = not each.good
        yield Lesson(
            each.features,
            cast("Task", each.task),
            each.medium,
            each.hard,
            is_needed,
            1 / max(each.propensity, 0.01),
            each.x,
        )


def _document(settings: Settings, features: Features, lessons: list[Lesson]) -> dict[str, Any]:
    # Not orjson: the signs of a word are more than 64 bits.
    base = json.loads((settings.classifier.weights or WEIGHTS).read_bytes())
    return taught(base, features, fit(rows_of(features, lessons)), len(lessons))


def _write(config: Path, path: Path, document: dict[str, Any], *, named: bool) -> None:
    try:
        write_weights(document, path)
        if named:
            inside = path.resolve().is_relative_to(config.parent.resolve())
            name = path.resolve().relative_to(config.parent.resolve()) if inside else path.resolve()
            value = json.dumps(str(name))
            written(
                config, {("classifier", "weights"): value}, lambda each: configuration.load(each, environ=os.environ)
            )
    except SettingsError as error:
        fail(f"{config} is left as it is, as it would not pass `penstock check`: {error}", USAGE)
    except OSError as error:
        fail(f"{error.filename or path} cannot be written: {error.strerror}", USAGE)


def _show(
    lessons: list[Lesson], found: Comparison, document: dict[str, Any], path: Path | None, *, named: bool, as_json: bool
) -> None:
    if as_json:
        print_json({
            "labels": len(lessons), "held_back": found.held, "auc_before": round(found.before, 4),
            "auc_after": round(found.after, 4), "gain_low": round(found.low, 4), "gain_high": round(found.high, 4),
            "version": document["version"], "from": document["learnt"]["from"],
            "file": None if path is None else str(path), "named": named and path is not None,
        })  # fmt: skip
        return
    gain = found.after - found.before
    click.echo(f"{len(lessons):,} labels, {found.held:,} of them held back to compare on.")
    click.echo(
        f"How often one that needs a stronger model ranks above one that does not: {found.before:.3f} before, "
        f"{found.after:.3f} after, a gain of {gain:+.3f} ({found.low:+.3f} … {found.high:+.3f})."
    )
    if path is None:
        click.echo("No better on labels it has not seen: nothing was written.")
        return
    click.echo(f"{path}: {document['version']}, learnt from {document['learnt']['from']}.")
    if named:
        click.echo("The configuration names it; thresholds are for other weights now: run `penstock tune`.")
    else:
        click.echo("Nothing is served by it until classifier.weights names it; --write does, then run `penstock tune`.")
