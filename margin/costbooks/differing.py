"""Where books disagree: the one that counts, and what the sources say. Nothing is changed by asking."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from margin.card import STANDARD
from margin.costbook import CostBook, NoPrice, PricedModel, Week
from margin.costbooks.comparing import Cell, Place, cells
from margin.costbooks.dated import day_s

TOLERANCE_PERCENT: Final = 1
"""How far prices may differ without an alarm: a list in another currency, or a rounded one, is that far off."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the compared books.

    Args:
        name: What its column is called.
        book: Its prices.
        dated: Whether it knows when prices change; one that does not says nothing about another day.
    """

    name: str
    book: CostBook
    dated: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """One price on which sides disagree, on one day."""

    provider: str
    model: str
    day: date
    cell: Cell

    @property
    def is_large(self) -> bool:
        """Whether it is more than `TOLERANCE_PERCENT` of the cheaper price."""
        low, high = min(self.cell.known), max(self.cell.known)
        return high * 100 > low * (100 + TOLERANCE_PERCENT)


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A price that some sides name and one does not, so that there it falls back to another.

    Args:
        provider: Who bills the model.
        model: Its name in the book.
        side: The side that does not name it.
        what: Which price: a bucket, a service tier, or both.
    """

    provider: str
    model: str
    side: str
    what: str


@dataclass(frozen=True, slots=True)
class Ahead:
    """A price that changes on a later day.

    Args:
        provider: Who bills the model.
        model: Its name in the book.
        day: When.
        place: Which price.
        rates: For each side, before and after; `None` for a side that says nothing of that day.
    """

    provider: str
    model: str
    day: date
    place: Place
    rates: tuple[tuple[Decimal, Decimal] | None, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that differs between some books.

    Args:
        sides: The books; the first is the one whose models are compared.
        day: The day of the prices.
        differences: Prices that differ on that day.
        ahead: Prices that change later, by the books that know dates.
        unlisted: Prices that a side does not name.
        absent: `(provider, model, side)`: models of the first book that a side does not know.
        more: How many models each further side has that the first does not.
    """

    sides: tuple[Side, ...]
    day: date
    differences: tuple[Difference, ...]
    ahead: tuple[Ahead, ...]
    unlisted: tuple[Unlisted, ...]
    absent: tuple[tuple[str, str, str], ...]
    more: dict[str, int]


def compare(sides: Sequence[Side], day: date) -> Comparison:
    """Compare the first side's models with the same models on the other sides, as of a day."""
    first, *others = sides
    found: list[Difference] = []
    ahead: list[Ahead] = []
    unlisted: dict[Unlisted, None] = {}
    absent: list[tuple[str, str, str]] = []
    for entry in first.book.models():
        usual = [entry, *(_counterpart(entry, side.book) for side in others)]
        absent += [(entry.provider, entry.model, side.name) for side, e in zip(sides, usual, strict=True) if e is None]
        row = _row(usual, day)
        unlisted |= dict.fromkeys(_unlisted(entry, sides, usual, row))
        ahead += _ahead(entry, sides, usual, day)
        found += [Difference(entry.provider, entry.model, day, cell) for cell in row if cell.differs]
        for alias, own in _snapshots(entry, usual, others, day):
            found += [Difference(entry.provider, alias, day, cell) for cell in _row(own, day) if cell.differs]
    more = {side.name: _more(first.book, side.book) for side in others}
    return Comparison(tuple(sides), day, tuple(found), tuple(ahead), tuple(unlisted), tuple(absent), more)


Row = Sequence[PricedModel | None]
"""What each side has for one model."""


def _row(entries: Row, day: date) -> list[Cell]:
    return list(cells([_week(each, day) for each in entries]))


def _snapshots(entry: PricedModel, usual: Row, others: Sequence[Side], day: date) -> Iterator[tuple[str, Row]]:
    """Yield the aliases that a side prices as models of their own, and otherwise than the model itself."""
    prices = [_week(each, day) for each in usual]
    for alias in entry.aliases:
        own = [None, *(_own(alias, entry.provider, side.book) for side in others)]
        apart = [e for e, price in zip(own, prices, strict=True) if e is not None and _week(e, day) != price]
        if apart:
            yield alias, [entry, *own[1:]]


def _counterpart(entry: PricedModel, book: CostBook) -> PricedModel | None:
    named = (book.entry(name, entry.provider) for name in (entry.model, *entry.aliases))
    return next((found for found in named if found is not None), None)


def _own(name: str, provider: str, book: CostBook) -> PricedModel | None:
    found = book.entry(name, provider)
    return found if found is not None and found.model == name else None


def _week(entry: PricedModel | None, day: date) -> Week | None:
    try:
        return None if entry is None else entry.history.week_at(day_s(day))
    except NoPrice:
        return None


def _ahead(entry: PricedModel, sides: Sequence[Side], usual: Row, day: date) -> Iterator[Ahead]:
    """Yield what changes later, by each side that knows dates."""
    found: dict[tuple[date, Place], dict[str, tuple[Decimal, Decimal]]] = {}
    for side, each in zip(sides, usual, strict=True):
        if side.dated and each is not None:
            for later, cell in _changes(each, day):
                found.setdefault((later, cell.place), {})[side.name] = (cell.known[0], cell.known[1])
    for (later, place), rates in sorted(found.items()):
        yield Ahead(entry.provider, entry.model, later, place, tuple(rates.get(side.name) for side in sides))


def _changes(entry: PricedModel, day: date) -> Iterator[tuple[date, Cell]]:
    for start_s, _ in entry.history.cards:
        if start_s > day_s(day):
            later = datetime.fromtimestamp(start_s, UTC).date()
            changed = cells([_week(entry, later - timedelta(days=1)), _week(entry, later)])
            yield from ((later, cell) for cell in changed if cell.differs)


def _unlisted(entry: PricedModel, sides: Sequence[Side], usual: Row, row: Sequence[Cell]) -> Iterator[Unlisted]:
    for cell in row:
        for side, each, rate, listed in zip(sides, usual, cell.rates, cell.listed, strict=True):
            if each is not None and not listed and not _says_the_same(rate, cell.known):
                yield Unlisted(entry.provider, entry.model, side.name, _what(cell.place, rate))


def _says_the_same(rate: Decimal | None, known: Sequence[Decimal]) -> bool:
    return rate is not None and set(known) == {rate}


def _what(place: Place, rate: Decimal | None) -> str:
    """Name what is missing; a service tier that is not there at all is named once, not by its buckets."""
    if rate is None and place.service_tier != STANDARD:
        return place.service_tier
    return str(Place("", place.service_tier, 0, place.bucket))


def _more(first: CostBook, other: CostBook) -> int:
    return sum(_counterpart(entry, first) is None for entry in other.models())
