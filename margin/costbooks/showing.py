"""One model's prices on one day, as rows that a person can check against the provider's page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from margin.card import STANDARD, Card
from margin.costbook import PricedModel
from margin.costbooks.comparing import NAMES
from margin.costbooks.dated import day_s
from margin.costbooks.rates import effective_rate, levels_of
from margin.usage import BUCKETS, Usage

EXAMPLE_INPUT_TOKENS: Final = 1_000
EXAMPLE_OUTPUT_TOKENS: Final = 500
"""A common request: two pages in, one page out."""


@dataclass(frozen=True, slots=True)
class PriceRow:
    """What one card bills for requests of one size.

    Args:
        card: The card's id, as it is recorded with each call.
        service_tier: The service tier it is for.
        hours: The hours it is for; empty for all others.
        above: Requests with more input tokens than this pay it.
        rates: US dollars per million tokens, by the file's names, fallbacks followed.
        example_nusd: What `EXAMPLE_INPUT_TOKENS` in and `EXAMPLE_OUTPUT_TOKENS` out cost, in nano-dollars; for a
            model without output the input alone; `None` where the request would have to be larger.
    """

    card: str
    service_tier: str
    hours: str
    above: int
    rates: dict[str, Decimal]
    example_nusd: int | None


@dataclass(frozen=True, slots=True)
class ShownModel:
    """A model's prices on a day.

    Args:
        entry: The model.
        since: The day from which they hold; `None` for always.
        until: The first day on which they hold no more; `None` when no change is known.
        source: Where they were read; `None` where the book was.
        pinned: Whether they are pinned, so that a change that is known does not come.
        rows: The prices.
    """

    entry: PricedModel
    since: date | None
    until: date | None
    source: str | None
    pinned: bool
    rows: tuple[PriceRow, ...]


def shown(entry: PricedModel, day: date) -> ShownModel:
    """Return a model's prices on a day.

    Raises:
        NoPrice: It had none yet.
    """
    history = entry.history
    index = history.index_at(day_s(day))
    start_s, card = history.cards[index]
    later = history.cards[index + 1][0] if index + 1 < len(history.cards) else None
    hours = [(each.text, each.card) for start, each in history.hours if start == start_s]
    rows = [*_rows(STANDARD, "", card)]
    for text, own in hours:
        rows += _rows(STANDARD, text, own)
    for name, own in sorted(card.service_tiers.items()):
        rows += _rows(name, "", own)
    return ShownModel(
        entry=entry,
        since=_day(start_s) if start_s else None,
        until=None if later is None else _day(later),
        source=entry.source(index),
        pinned=entry.pinned_s == start_s,
        rows=tuple(rows),
    )


def _day(unix_s: int) -> date:
    return datetime.fromtimestamp(unix_s, UTC).date()


def _rows(service_tier: str, hours: str, card: Card) -> Iterator[PriceRow]:
    listed = [bucket for bucket in BUCKETS if any(bucket in rates for _, rates in levels_of(card.rates, card.tiers))]
    for above, level in levels_of(card.rates, card.tiers):
        found = {NAMES[bucket]: effective_rate(level, bucket) for bucket in listed}
        rates = {name: rate for name, rate in found.items() if rate is not None}
        yield PriceRow(card.id, service_tier, hours, above, rates, _example_nusd(card) if above == 0 else None)


def _example_nusd(card: Card) -> int:
    output = EXAMPLE_OUTPUT_TOKENS if "output" in card.rates else 0
    return card.cost_nusd(Usage(input=EXAMPLE_INPUT_TOKENS, output=output))
