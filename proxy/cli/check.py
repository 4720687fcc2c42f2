"""`penstock check`: is the configuration good, what does it mean, and where does each value come from?"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import orjson

from proxy import settings as configuration
from proxy.cli.frame import USAGE, fail, print_json, shared_options
from proxy.settings import TIERS, Classifier, Entry, Provider, Settings, SettingsError, startup_errors

_GAP: Final = "  "
_VALUE_CHARS_MIN: Final = 12  # `entitlement` and `1000/day` stay whole on the narrowest terminal


@click.command()
@click.option("--effective", is_flag=True, help="Also show every value in effect, secrets redacted, and its origin.")
@shared_options
def check(config: Path, as_json: bool, effective: bool) -> None:
    """Check the configuration and say what it means. Nothing is called and nothing is started.

    All that is wrong is told at once, each with its line. Exit 0 when it can be used, 2 when it cannot; a missing
    provider key stops `serve` alone, so it is a note here.
    """
    found = _load(config, as_json=as_json)
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        print_json(_document(found))
        return
    click.echo(f"{config} is good ({found.version}).\n")
    for name, told in _summary(found):
        click.echo(f"  {name:<10}{told}")
    if effective:
        click.echo()
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for row in _rows(configuration.effective(found), columns):
            click.echo(row)
    for sentence in startup_errors(found):
        click.echo(f"note: it cannot serve yet: {sentence}", err=True)


def _load(config: Path, *, as_json: bool) -> Settings:
    try:
        return configuration.load(config, environ=os.environ)
    except SettingsError as error:
        if as_json:
            print_json({"ok": False, "problems": [_problem(each) for each in error.problems]})
        fail(str(error), USAGE)


def _problem(found: configuration.Problem) -> dict[str, Any]:
    return {"file": found.file, "line": found.line, "path": found.path, "message": found.message}


def _summary(found: Settings) -> Iterator[tuple[str, str]]:
    """Yield what a person wants to know first, by name."""
    server = found.server
    workers = "1 worker" if server.workers == 1 else f"{server.workers} workers"
    yield "listens", f"{server.host}:{server.port}, metrics on {server.metrics_port}, {workers}"
    yield "data", str(server.data_dir)
    for index, provider in enumerate(found.providers.values()):
        yield "" if index else "providers", _provider(provider)
    for tier in TIERS:
        yield tier, ", ".join(each.name for each in found.tiers[tier])
    yield "judge", ", ".join(_judge(found.classifier))
    if found.aliases:
        yield "aliases", ", ".join(f"{alias} → {target}" for alias, target in found.aliases.items())
    default = found.sellbook.default
    others = [name for name in found.sellbook.plans if name != default]
    yield "plans", ", ".join([f"{default} (default)", *others])
    yield "prices", f"{found.costbook.name} ({found.costbook.version})"


def _judge(classifier: Classifier) -> Iterator[str]:
    """Yield what judges `auto`, and by which cut points."""
    yield "the shipped weights" if classifier.weights is None else f"{classifier.weights.name} ({classifier.version})"
    cuts = classifier.cuts
    yield (
        "the shipped cut points"
        if cuts is None
        else f"medium from {cuts.medium:g} on, complex from {cuts.complex:g} on"
    )
    if classifier.labels is not None:
        yield "labels are kept"
    if classifier.advisor is not None:
        yield f"in doubt {classifier.advisor.deployment.name} is asked"


def _provider(provider: Provider) -> str:
    address = "the simulator" if provider.simulated else provider.base_url
    return f"{provider.name} at {address}{'' if provider.enabled else ' (disabled)'}"


def _rows(entries: tuple[Entry, ...], columns: int | None) -> Iterator[str]:
    """Yield lines of three columns; values too long for a terminal's `columns` go on in the next line."""
    path_chars = max(len(entry.path) for entry in entries)
    value_chars = max(len(_written(entry.value)) for entry in entries)
    if columns is not None:
        left = columns - path_chars - max(len(entry.origin) for entry in entries) - 2 * len(_GAP)
        value_chars = min(value_chars, max(left, _VALUE_CHARS_MIN))
    for entry in entries:
        first, *more = textwrap.wrap(_written(entry.value), value_chars, break_on_hyphens=False)
        yield _GAP.join((entry.path.ljust(path_chars), first.ljust(value_chars), entry.origin))
        yield from (f"{'':<{path_chars}}{_GAP}{each}" for each in more)


def _written(value: Any) -> str:
    """Write a value as YAML has it, where one line is enough."""
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, list):
        return f"[{', '.join(_written(item) for item in value)}]"
    return orjson.dumps(value).decode()


def _document(found: Settings) -> dict[str, Any]:
    effective = configuration.effective(found)
    return {
        "ok": True,
        "version": found.version,
        "cost_book": found.costbook.version,
        "sell_book": found.sellbook.version,
        "tiers": {tier: [each.name for each in found.tiers[tier]] for tier in TIERS},
        "aliases": dict(found.aliases),
        "plans": sorted(found.sellbook.plans),
        "providers": {name: {"enabled": each.enabled} for name, each in found.providers.items()},
        "servable": found.servable,
        "warnings": list(found.warnings),
        "effective": [{"path": each.path, "value": each.value, "origin": each.origin} for each in effective],
    }
