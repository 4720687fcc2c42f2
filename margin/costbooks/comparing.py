"""Price against price, place by place: what each of several books bills for the same tokens at the same moment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from margin.card import SERVICE_TIERS, STANDARD, Card, Rates
from margin.costbooks.dated import RATE_KEYS
from margin.costbooks.hours import DAY_S, DAYS, WEEK_S, Week, Window, write_days, write_windows
from margin.costbooks.rates import effective_rate, levels_of, rates_above
from margin.usage import BUCKETS

NAMES: Final = {bucket: key for key, bucket in RATE_KEYS.items()}
"""The file's names of the buckets: what operators read."""

_SAME_LINE: Final = 1  # tokens: `above 199,999` and `above 200,000` are one line, written as ≥ and as >

Cards = tuple[Card | None, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a rate stands among a model's prices.

    Args:
        hours: At which hours, as people write them; empty at all.
        service_tier: For which service tier.
        above: For requests with more input tokens than this.
        bucket: For which tokens, by the file's name.
    """

    hours: str
    service_tier: str
    above: int
    bucket: str

    def __str__(self) -> str:
        """Write it for people: `batch input above 272,000, 01:00-04:00`."""
        tier = "" if self.service_tier == STANDARD else f"{self.service_tier} "
        above = f" above {self.above:,}" if self.above else ""
        return f"{tier}{self.bucket}{above}" + (f", {self.hours}" if self.hours else "")


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of a model's prices, on every side.

    Args:
        place: Where.
        rates: What each side bills there, fallbacks followed; `None` where a side has no price at all.
        listed: Whether the side names this price itself, rather than falling back to another.
    """

    place: Place
    rates: tuple[Decimal | None, ...]
    listed: tuple[bool, ...]

    @property
    def known(self) -> list[Decimal]:
        """The rates that are listed."""
        return [rate for rate, listed in zip(self.rates, self.listed, strict=True) if listed and rate is not None]

    @property
    def differs(self) -> bool:
        """Whether two sides list different rates."""
        return len(set(self.known)) > 1

    @property
    def ratio(self) -> Fraction | None:
        """How many times the cheapest listed rate the dearest is; `None` where the cheapest is nothing."""
        numerator, denominator = min(self.known).as_integer_ratio()
        return None if numerator == 0 else Fraction(max(self.known)) * Fraction(denominator, numerator)


def cells(weeks: Sequence[Week | None]) -> Iterator[Cell]:
    """Compare what several sides bill; a side that does not know the model is `None`.

    Service tiers come once: they cost the same at every hour.
    """
    by_hours = list(_by_hours(weeks))
    for hours, cards in by_hours:
        yield from _levels(hours, STANDARD, cards, (None,) * len(cards))
    standards = by_hours[0][1]
    for service_tier in SERVICE_TIERS:
        own = tuple(None if card is None else card.service_tiers.get(service_tier) for card in standards)
        yield from _levels("", service_tier, own, standards)


def _by_hours(weeks: Sequence[Week | None]) -> Iterator[tuple[str, Cards]]:
    """Yield the cards that stand beside each other, and the hours at which they do."""
    boundaries = sorted({0}.union(*(week.boundaries_s() for week in weeks if week is not None)))
    spans: dict[tuple[str | None, ...], tuple[Cards, list[Window]]] = {}
    for start_s, end_s in zip(boundaries, [*boundaries[1:], WEEK_S], strict=True):
        cards = tuple(None if week is None else week.of_second(start_s) for week in weeks)
        names = tuple(None if card is None else card.id for card in cards)
        spans.setdefault(names, (cards, []))[1].append((start_s, end_s))
    for cards, when in spans.values():
        yield ("" if len(spans) == 1 else _hours_text(when)), cards


def _hours_text(spans: list[Window]) -> str:
    """Write spans of the week as hours and days."""
    days_of: dict[tuple[Window, ...], list[int]] = {}
    for day in range(len(DAYS)):
        days_of.setdefault(_windows_of(day, spans), []).append(day)
    parts = [(write_windows(windows), days) for windows, days in days_of.items() if windows]
    return "; ".join(text if len(days) == len(DAYS) else f"{text} {write_days(days)}" for text, days in parts)


def _windows_of(day: int, spans: list[Window]) -> tuple[Window, ...]:
    """Return a day's part of spans of the week, in seconds of the day; what touches is joined."""
    begin, end = day * DAY_S, (day + 1) * DAY_S
    found: list[Window] = []
    for start_s, end_s in spans:
        if start_s < end and end_s > begin:
            window = (max(start_s, begin) - begin, min(end_s, end) - begin)
            if found and found[-1][1] == window[0]:
                found[-1] = (found[-1][0], window[1])
            else:
                found.append(window)
    return tuple(found)


def _levels(hours: str, service_tier: str, cards: Cards, standards: Cards) -> Iterator[Cell]:
    """Compare the rates of each context size; `standards` are the cards that a service tier stands beside."""
    for above in _thresholds(cards):
        rates = [_rates_at(card, above) for card in cards]
        inherited = [_rates_at(card, above) for card in standards]
        for bucket in BUCKETS:
            listed = tuple(_is_listed(own, other, bucket) for own, other in zip(rates, inherited, strict=True))
            if any(listed):
                effective = tuple(None if own is None else effective_rate(own, bucket) for own in rates)
                yield Cell(Place(hours, service_tier, above, NAMES[bucket]), effective, listed)


def _is_listed(own: Rates | None, standard: Rates | None, bucket: str) -> bool:
    """Tell a rate that is named from one that is only inherited from the standard tier."""
    if own is None or bucket not in own:
        return False
    return standard is None or standard.get(bucket) != own[bucket]


def _thresholds(cards: Cards) -> list[int]:
    """Return 0 and every context threshold; of two that mean one line, the higher."""
    found = sorted({above for card in cards if card is not None for above, _ in card.tiers})
    return [0, *(above for above in found if above + _SAME_LINE not in found)]


def _rates_at(card: Card | None, above: int) -> Rates | None:
    """Return the rates of a request just above a threshold, or of the smallest one."""
    return None if card is None else rates_above(levels_of(card.rates, card.tiers), above)
