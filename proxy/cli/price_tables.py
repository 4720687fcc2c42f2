"""How the price commands show what they found: tables for people, plain values for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import click
from rich.table import Table

from margin.costbook import CostBook
from margin.costbooks.comparing import Place
from margin.costbooks.dated import RATE_KEYS
from margin.costbooks.differing import TOLERANCE_PERCENT, Comparison, Difference
from margin.costbooks.importing import Change, Import
from margin.costbooks.showing import EXAMPLE_INPUT_TOKENS, EXAMPLE_OUTPUT_TOKENS, PriceRow, ShownModel
from margin.costbooks.sources import Source
from margin.money import format_usd
from proxy.cli.frame import console

Watched = frozenset[tuple[str, str]]
"""Models that the tiers list: provider and name."""

_NAMES_SHOWN = 12
_WIDTH_MAX = 400  # wider than any table here


def alarms(found: Comparison, watched: Watched) -> list[Difference]:
    """Return the differences that matter: large ones of models in tiers."""
    return [each for each in found.differences if each.is_large and (each.provider, each.model) in watched]


def _table(*columns: str, numbers: Sequence[str], title: str | None = None) -> Table:
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _print(table: Table) -> None:
    """Print a table in its own width: half a model's name is no name, and half a price is another price."""
    wide = console()
    wide.width = _WIDTH_MAX
    wide.print(table)


def _rate(rate: Decimal | None) -> str:
    return "-" if rate is None else format(rate.normalize(), "f")


def _number(rate: Decimal | Fraction | None) -> float | None:
    return None if rate is None else float(rate)


def _place(place: Place) -> dict[str, Any]:
    return {
        "bucket": place.bucket,
        "service_tier": place.service_tier,
        "above": place.above,
        "hours": place.hours or None,
    }


# --- import


def import_as_json(made: Import, source: Source, day: date) -> dict[str, Any]:
    """Return an import as plain values."""
    return {
        "source": source.label,
        "from": day.isoformat(),
        "changes": [_change(each) for each in made.changes],
        "new": [{"provider": provider, "model": model} for provider, model in made.new],
        "conflicts": [_change(each) for each in made.conflicts],
        "pinned": [_change(each) for each in made.pinned],
        "unchanged": made.unchanged,
    }


def _change(change: Change) -> dict[str, Any]:
    rates = [
        _place(place) | {"before": _number(before), "after": _number(after)} for place, before, after in change.rates
    ]
    return {
        "provider": change.provider,
        "model": change.model,
        "from": change.day.isoformat(),
        "prices": rates,
        "no_longer_listed": [_place(place) for place in change.ends],
    }


def print_import(made: Import, source: Source, day: date) -> None:
    """Print what an import changes."""
    click.echo(f"{source.label}: {len(source.entries)} models, USD per million tokens")
    for title, changes in (
        ("changes", made.changes),
        ("conflicts", made.conflicts),
        ("pinned, left alone", made.pinned),
    ):
        if changes:
            _print(_changes(title, changes))
    if made.new:
        names = [f"{provider}/{model}" for provider, model in made.new]
        click.echo(f"{len(names)} new models: {_some(names)}")
    count = len({(each.provider, each.model) for each in made.changes})
    click.echo(f"{count} models change from {day} on, {made.unchanged} cost the same.")


def _changes(title: str, changes: Sequence[Change]) -> Table:
    table = _table(title, "from", numbers=("before", "after", "ratio"))
    for change in changes:
        table.add_row(f"{change.provider}/{change.model}", change.day.isoformat())
        for place, before, after in change.rates:
            ratio = f"{after / before:.3g}" if before else "-"
            table.add_row(f"  {place}", "", _rate(before), _rate(after), ratio)
        for place in change.ends:
            table.add_row(f"  {place}", "", "listed", "no more", "-")
    return table


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more (--json lists all)" if more > 0 else "")


# --- diff


def comparison_as_json(found: Comparison, watched: Watched) -> dict[str, Any]:
    """Return a comparison as plain values."""
    names = [side.name for side in found.sides]
    return {
        "ok": not alarms(found, watched),
        "at": found.day.isoformat(),
        "tolerance": TOLERANCE_PERCENT / 100,
        "sides": [
            {"name": side.name, "source": side.book.source, "version": side.book.version} for side in found.sides
        ],
        "differences": [_difference(each, names, watched) for each in found.differences],
        "unlisted": [
            {"provider": each.provider, "model": each.model, "side": each.side, "price": each.what}
            for each in found.unlisted
        ],
        "absent": [{"provider": provider, "model": model, "side": side} for provider, model, side in found.absent],
        "not_in_the_book": found.more,
        "ahead": [
            {"provider": each.provider, "model": each.model, "from": each.day.isoformat(), **_place(each.place)}
            | {"prices": {name: _before_after(pair) for name, pair in zip(names, each.rates, strict=True)}}
            for each in found.ahead
        ],
    }


def _difference(each: Difference, names: list[str], watched: Watched) -> dict[str, Any]:
    rates = zip(names, each.cell.rates, each.cell.listed, strict=True)
    return {
        "provider": each.provider,
        "model": each.model,
        "in_tiers": (each.provider, each.model) in watched,
        **_place(each.cell.place),
        "prices": {name: _number(rate) if listed else None for name, rate, listed in rates},
        "ratio": _number(each.cell.ratio),
    }


def _before_after(pair: tuple[Decimal, Decimal] | None) -> dict[str, float | None] | None:
    return None if pair is None else {"before": _number(pair[0]), "after": _number(pair[1])}


def print_comparison(found: Comparison, watched: Watched, *, everything: bool) -> None:
    """Print where books disagree; what is missing on a side stands apart."""
    for side in found.sides:
        click.echo(f"{side.name:<14}{side.book.source}")
    if found.differences:
        click.echo()
        _print(_differences(found, watched))
    if found.ahead:
        click.echo()
        _print(_ahead(found))
    for line in _missing(found, watched, everything=everything):
        click.echo(line)
    click.echo(_verdict(found, watched))


def _differences(found: Comparison, watched: Watched) -> Table:
    names = [side.name for side in found.sides]
    table = _table(f"differ on {found.day}, USD per million", numbers=(*names, "ratio"))
    before = None
    for each in sorted(found.differences, key=lambda one: (one.provider, one.model) not in watched):
        model = (each.provider, each.model)
        if model != before:
            table.add_row(f"{each.provider}/{each.model}{' (in a tier)' if model in watched else ''}")
        rates = [_rate(r) if listed else "-" for r, listed in zip(each.cell.rates, each.cell.listed, strict=True)]
        ratio = "-" if each.cell.ratio is None else f"{float(each.cell.ratio):.3g}"
        table.add_row(f"  {each.cell.place}", *rates, ratio)
        before = model
    return table


def _ahead(found: Comparison) -> Table:
    names = [side.name for side in found.sides]
    table = _table("changes ahead", numbers=names)
    before = None
    for each in found.ahead:
        when = f"{each.provider}/{each.model} from {each.day}"
        if when != before:
            table.add_row(when)
        cells = ["-" if pair is None else f"{_rate(pair[0])} → {_rate(pair[1])}" for pair in each.rates]
        table.add_row(f"  {each.place}", *cells)
        before = when
    return table


def _missing(found: Comparison, watched: Watched, *, everything: bool) -> Iterator[str]:
    """Say what a side does not list: in full, or for the models in tiers with a count of the rest."""
    absent = [each for each in found.absent if everything or each[:2] in watched]
    unlisted = [each for each in found.unlisted if everything or (each.provider, each.model) in watched]
    gaps: dict[str, list[str]] = {}
    for provider, model, side in absent:
        gaps.setdefault(f"{side} does not know", []).append(f"{provider}/{model}")
    for each in unlisted:
        gaps.setdefault(f"{each.side} does not price {each.what} of", []).append(f"{each.provider}/{each.model}")
    yield from (f"{gap} {', '.join(models)}" for gap, models in gaps.items())
    hidden = len(found.absent) + len(found.unlisted) - len(absent) - len(unlisted)
    if hidden:
        yield f"{hidden} more are missing on a side, of models that no tier lists (--all lists them)"
    for name, count in found.more.items():
        if count:
            yield f"{name} knows {count} models that the book does not"


def _verdict(found: Comparison, watched: Watched) -> str:
    models = sorted({f"{each.provider}/{each.model}" for each in alarms(found, watched)})
    if models:
        return f"In a tier and more than {TOLERANCE_PERCENT} % apart: {', '.join(models)}. Nothing was changed."
    return f"No model in a tier differs by more than {TOLERANCE_PERCENT} %. Nothing was changed."


# --- pin and show


def price_in_words(price: dict[str, Any]) -> str:
    """Write a price of a file in one line."""
    rates = ", ".join(f"{key} {price[key]}" for key in RATE_KEYS if key in price)
    extra = [key.replace("_", " ") for key in ("tiers", "hours", "service_tiers") if key in price]
    more = f", with its {' and '.join(extra)}" if extra else ""
    return f"{rates} USD per million from {price['from']} on{more} (source: {price['source']})"


def shown_as_json(name: str, day: date, book: CostBook, found: Sequence[ShownModel]) -> dict[str, Any]:
    """Return a model's prices as plain values."""
    return {
        "model": name,
        "at": day.isoformat(),
        "book": {"name": book.name, "version": book.version, "source": book.source},
        "example": {"input_tokens": EXAMPLE_INPUT_TOKENS, "output_tokens": EXAMPLE_OUTPUT_TOKENS},
        "models": [_shown(each, book) for each in found],
    }


def _shown(each: ShownModel, book: CostBook) -> dict[str, Any]:
    entry = each.entry
    return {
        "provider": entry.provider,
        "model": entry.model,
        "aliases": list(entry.aliases),
        "context_window": entry.history.context_window,
        "output_max": entry.history.output_max,
        "note": entry.history.note,
        "from": None if each.since is None else each.since.isoformat(),
        "to": None if each.until is None else each.until.isoformat(),
        "pinned": each.pinned,
        "source": book.source if each.source is None else each.source,
        "prices": [_row(row) for row in each.rows],
    }


def _row(row: PriceRow) -> dict[str, Any]:
    return {
        "card": row.card,
        "service_tier": row.service_tier,
        "hours": row.hours or None,
        "above": row.above,
        "rates": {name: float(rate) for name, rate in row.rates.items()},
        "example_nusd": row.example_nusd,
    }


def print_shown(day: date, book: CostBook, found: Sequence[ShownModel]) -> None:
    """Print a model's prices on a day."""
    for each in found:
        entry = each.entry
        since = "since always" if each.since is None else f"from {each.since}"
        until = f" until {each.until}" if each.until else ""
        pinned = ", pinned" if each.pinned else ""
        click.echo(f"{entry.provider}/{entry.model} on {day}: valid {since}{until}{pinned}")
        click.echo(f"source: {book.source if each.source is None else each.source}; book {book.name} {book.version}")
        _print(_rows(each))
        if entry.history.note is not None:
            click.echo(f"note: {entry.history.note}")


def _rows(each: ShownModel) -> Table:
    names = [key for key in RATE_KEYS if any(key in row.rates for row in each.rows)]
    example = f"{EXAMPLE_INPUT_TOKENS:,} in + {EXAMPLE_OUTPUT_TOKENS:,} out"
    table = _table("USD per million", numbers=(*names, example, "card"))
    for row in each.rows:
        rates = [_rate(row.rates.get(name)) for name in names]
        is_first = row.example_nusd is not None
        table.add_row(_for(row), *rates, format_usd(row.example_nusd) if is_first else "", row.card if is_first else "")
    return table


def _for(row: PriceRow) -> str:
    """Name the requests that a row is for."""
    if row.above:
        return f"  above {row.above:,} tokens in"
    return f"{row.hours} UTC" if row.hours else row.service_tier
