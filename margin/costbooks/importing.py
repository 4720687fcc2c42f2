"""Brings what a source says into a price file: dated entries beside the old ones, never in their place.

The rules, in the order in which they count:

- a pinned model is left alone;
- a model that the file does not have comes whole, with the source's own dates;
- a price that the source names otherwise than the file bills it gets a new entry from the day of the import on:
  the source's price, for all that it names. What only the source names is added to the price that stands. What
  only the file names is no change in itself, and neither is a difference that only fallbacks make;
- changes that the source dates later come with their dates; one that knows no dates leaves the file's alone;
- an entry of that very day, or of a later one, that says something else is a conflict: it gives way only if asked.

Old requests keep their price, since no entry before the day is touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from margin.costbook import CostBook, NoPrice, PricedModel, Week
from margin.costbooks.comparing import Cell, Place, cells
from margin.costbooks.dated import RATE_KEYS, day_s
from margin.costbooks.reading import book_of, entry_of
from margin.costbooks.sources import Source
from margin.costbooks.writing import Entry

_OURS, _THEIRS = 0, 1
_DATED_KEYS: Final = ("from", "source", "pinned")


@dataclass(frozen=True, slots=True)
class Change:
    """A price that an import gives a new entry, or would.

    Args:
        provider: Who bills the model.
        model: Its name in the file.
        day: From when.
        rates: Each place that changes, with what it cost and what it will; `None` where it had no price.
        ends: Places that the new price no longer names, so that they fall back to another.
        clashes: Whether the file has an entry of that day already.
    """

    provider: str
    model: str
    day: date
    rates: tuple[tuple[Place, Decimal | None, Decimal], ...]
    ends: tuple[Place, ...]
    clashes: bool


@dataclass(frozen=True, slots=True)
class Import:
    """What an import makes of a price file.

    Args:
        document: The file's new content.
        changes: What changes, by model and day.
        new: `(provider, model)`: models that the file did not have.
        conflicts: What the source says of days for which the file says something else; not in `document`.
        pinned: What the source says of pinned models; not in `document`.
        unchanged: How many models of the source cost what the file says.
    """

    document: dict[str, Any]
    changes: tuple[Change, ...]
    new: tuple[tuple[str, str], ...]
    conflicts: tuple[Change, ...]
    pinned: tuple[Change, ...]
    unchanged: int

    @property
    def is_empty(self) -> bool:
        """Whether the file stays as it was."""
        return not self.changes and not self.new


def merged(document: dict[str, Any], source: Source, day: date, *, replace: bool = False) -> Import:
    """Return a price file with what a source says from a day on.

    Args:
        document: The file's content, which is not changed.
        source: What to bring in.
        day: From when changed prices count.
        replace: Whether entries of that day and later give way to the source's.

    Raises:
        CostBookError: The result would be no price file.
    """
    book = book_of(document, str(document.get("name")))
    raw = {(entry["provider"], entry["model"]): entry for entry in document["models"]}
    changes: list[Change] = []
    pinned: list[Change] = []
    matches = _matches(book, source)
    for ours, theirs in matches:
        key = (ours.provider, ours.model)
        prices, found = _folded(raw[key], theirs, source, day, document["source"], replace=replace)
        if ours.pinned_s is not None:
            pinned += found
        else:
            changes += found
            raw[key] = {**raw[key], "prices": prices}
    new = [entry for entry in source.entries if not _known(book, entry)]
    raw |= {(entry["provider"], entry["model"]): _labelled(entry, source.label) for entry in new}
    content = {**document, "models": [raw[key] for key in sorted(raw)]}
    book_of(content, f"{document['name']} with {source.name}")
    return Import(
        document=content,
        changes=tuple(each for each in changes if replace or not each.clashes),
        new=tuple(sorted((entry["provider"], entry["model"]) for entry in new)),
        conflicts=tuple(each for each in changes if each.clashes and not replace),
        pinned=tuple(pinned),
        unchanged=len(matches) - len({(each.provider, each.model) for each in (*changes, *pinned)}),
    )


def _matches(book: CostBook, source: Source) -> list[tuple[PricedModel, Entry]]:
    """Return the file's models with the source's: by name, and if there is none by the first alias that fits."""
    listed = {(entry["provider"], entry["model"]): entry for entry in source.entries}
    found = []
    for ours in book.models():
        named = (source.book.entry(name, ours.provider) for name in (ours.model, *ours.aliases))
        theirs = next((each for each in named if each is not None and each.provider == ours.provider), None)
        if theirs is not None:
            found.append((ours, listed[theirs.provider, theirs.model]))
    return found


def _known(book: CostBook, entry: Entry) -> bool:
    """Tell whether the file has a model under any of a source's names for it."""
    names = (entry["model"], *entry.get("aliases", ()))
    return entry["provider"] in book.providers and any(book.entry(name, entry["provider"]) for name in names)


def _labelled(entry: Entry, label: str) -> Entry:
    """Return a new model whose prices say where they came from."""
    return {**entry, "prices": [{**price, "source": label} for price in entry["prices"]]}


def _folded(
    ours: Entry, theirs: Entry, source: Source, day: date, usual: str, *, replace: bool
) -> tuple[list[Entry], list[Change]]:
    """Return a model's prices with the source's, and what changed; days that clash stay unless replaced."""
    prices, found = list(ours["prices"]), []
    for step in _days(ours, theirs, source, day):
        standing = entry_of({**ours, "prices": prices})
        compared = list(cells([_week(standing, step), _week(entry_of(theirs), step)]))
        change = _change(standing, step, compared, clashes=any(p["from"] == step.isoformat() for p in prices))
        if change is not None:
            found.append(change)
            if replace or not change.clashes:
                price = _price(prices, theirs, step, compared, source.label, usual)
                prices = _inserted(prices, price)
    return prices, found


def _days(ours: Entry, theirs: Entry, source: Source, day: date) -> list[date]:
    """Return the days to compare: that of the import, and those on which either is known to change later."""
    if not source.dated:
        return [day]
    written = [price["from"] for price in (*ours["prices"], *theirs["prices"]) if price["from"] is not None]
    return sorted({day, *(later for later in map(date.fromisoformat, written) if later > day)})


def _week(entry: PricedModel, day: date) -> Week | None:
    try:
        return entry.history.week_at(day_s(day))
    except NoPrice:
        return None


def _change(standing: PricedModel, day: date, compared: list[Cell], *, clashes: bool) -> Change | None:
    rates = tuple(_rates(compared))
    if not rates:
        return None
    replaces = any(cell.differs for cell in compared)
    ends = tuple(cell.place for cell in compared if _ends(cell)) if replaces else ()
    return Change(standing.provider, standing.model, day, rates, ends, clashes)


def _rates(compared: list[Cell]) -> Iterator[tuple[Place, Decimal | None, Decimal]]:
    for cell in compared:
        before, after = cell.rates
        if cell.listed[_THEIRS] and after is not None and before != after:
            yield cell.place, before, after


def _ends(cell: Cell) -> bool:
    return cell.listed[_OURS] and not cell.listed[_THEIRS] and cell.rates[_OURS] != cell.rates[_THEIRS]


def _price(prices: list[Entry], theirs: Entry, day: date, compared: list[Cell], label: str, usual: str) -> Entry:
    """Return the new entry: the source's, or where the two agree as far as both go, what either names."""
    own = _without_date(_valid(theirs["prices"], day))
    if any(cell.differs for cell in compared) or all(cell.rates[_OURS] is None for cell in compared):
        return {"from": day.isoformat(), **own, "source": label}
    standing = _valid(prices, day)
    source = f"{standing.get('source', usual)}; {label}"
    return {"from": day.isoformat(), **_united(_without_date(standing), own), "source": source}


def _valid(prices: list[Entry], day: date) -> Entry:
    return [each for each in prices if each["from"] is None or date.fromisoformat(each["from"]) <= day][-1]


def _without_date(price: Entry) -> Entry:
    return {key: value for key, value in price.items() if key not in _DATED_KEYS}


def _united(ours: Entry, theirs: Entry) -> Entry:
    """Return what either names; where both do, ours, which is the same."""
    rates = {key: ours.get(key, theirs.get(key)) for key in RATE_KEYS if key in ours or key in theirs}
    beyond = {tier["above"]: tier for tier in theirs.get("tiers", ())}
    united: Entry = {key: value for key, value in ours.items() if key not in RATE_KEYS} | rates
    if "tiers" in ours:
        united["tiers"] = [{**beyond.get(tier["above"], {}), **tier} for tier in ours["tiers"]]
    tiers, more = ours.get("service_tiers", {}), theirs.get("service_tiers", {})
    if more:
        both = {name: _united(own, more[name]) if name in more else own for name, own in tiers.items()}
        united["service_tiers"] = dict(sorted({**more, **both}.items()))
    return united


def _inserted(prices: list[Entry], price: Entry) -> list[Entry]:
    """Put a price in its place in time, for the one of the same day if there is one."""
    kept = [each for each in prices if each["from"] != price["from"]]
    return sorted([*kept, price], key=lambda each: each["from"] or "")
