"""Re-rating: what booked calls would cost by other prices, and whether stored prices give the stored amounts again.

A cost line holds its usage in disjoint buckets and the id of the card it was booked by; a card is kept for good. So the
same card and usage give the same nano-dollars, at any later time. Nothing is changed here: what differs is returned,
and the ledger posts it as corrections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from margin.card import Card
from margin.costbook import NoPrice, PriceHistory, UnpricedBucket
from margin.costbooks.hours import Hours
from margin.costbooks.rates import exact_rate, levels_of
from margin.ledger.questions import CostLine
from margin.usage import Usage

Verdict = Literal["changed", "unchanged", "unpriced", "billed", "unratable"]
VERDICTS: tuple[Verdict, ...] = ("changed", "unchanged", "unpriced", "billed", "unratable")
"""Another amount; the same; there is no price for it; the provider's bill stands in its place; its card is not kept."""


class CardMissing(LookupError):
    """A line was booked by a card that the ledger does not have: it is older than the keeping of cards."""


Pricing = Callable[[CostLine], Card | None]
"""Finds the card that bills a line; None: it is free.

Raises:
    NoPrice: the prices do not know the model at that moment.
    CardMissing: the line's own card was asked for and is not kept.
"""


@dataclass(frozen=True, slots=True)
class Rated:
    """A line by other prices. Where `verdict` is not `changed`, the cost is what is booked."""

    line: CostLine
    verdict: Verdict
    cost_nusd: int | None
    card: Card | None = None
    """What bills it when it changes; None then: it is free."""


def rerate(lines: Iterable[CostLine], pricing: Pricing) -> Iterator[Rated]:
    """Price lines anew, each once."""
    return (_rated(line, pricing) for line in lines)


def _rated(line: CostLine, pricing: Pricing) -> Rated:
    if line.usage is None:
        return _kept(line, "unchanged")
    if line.card is None and line.revision:
        return _kept(line, "billed")
    try:
        card = pricing(line)
        cost = 0 if card is None else card.cost_nusd(Usage.from_dict(line.usage))
    except (NoPrice, UnpricedBucket):
        return _kept(line, "unpriced")
    except CardMissing:
        return _kept(line, "unratable")
    if cost == line.cost_nusd:
        return _kept(line, "unchanged")
    return Rated(line, "changed", cost, card)


def _kept(line: CostLine, verdict: Verdict) -> Rated:
    return Rated(line, verdict, line.cost_nusd)


def stored(cards: Mapping[str, Card]) -> Pricing:
    """Price each line by the very card it was booked by."""

    def pricing(line: CostLine) -> Card | None:
        if line.card is None:
            if line.cost_nusd is None:
                raise NoPrice("it was booked without a price")
            return None
        if line.card not in cards:
            raise CardMissing(line.card)
        return cards[line.card]

    return pricing


# ---- cards and histories as the journal has them ---------------------------------------------------------------------


def write_card(card: Card) -> list[Any]:
    """Return a card's rates for JSON: [above so many input tokens, {bucket: USD per million}], the base first."""
    levels = levels_of(card.rates, card.tiers)
    return [[above, {bucket: str(rate) for bucket, rate in rates.items()}] for above, rates in levels]


def read_card(levels: list[Any]) -> Card:
    """Read what `write_card` wrote; the id comes out the same, since it is a digest of the rates."""
    read = [(above, {bucket: exact_rate(rate) for bucket, rate in rates.items()}) for above, rates in levels]
    return Card(read[0][1], tuple(read[1:]))


def cards_of(history: PriceHistory) -> Iterator[Card]:
    """Yield every card by which a history can bill."""
    for card in (*(card for _, card in history.cards), *(each.card for _, each in history.hours)):
        yield card
        yield from card.service_tiers.values()


def write_history(history: PriceHistory) -> dict[str, Any]:
    """Return a history for JSON, its cards by id."""
    return {
        "cards": [[start_s, *_named(card)] for start_s, card in history.cards],
        "hours": [[start_s, each.windows, each.days, *_named(each.card)] for start_s, each in history.hours],
    }


def read_history(content: dict[str, Any], cards: Mapping[str, Card]) -> PriceHistory:
    """Read what `write_history` wrote."""
    return PriceHistory(
        cards=tuple((start_s, _found(named, cards)) for start_s, *named in content["cards"]),
        hours=tuple(
            (start_s, Hours(tuple((begin, end) for begin, end in windows), _found(named, cards), tuple(days)))
            for start_s, windows, days, *named in content["hours"]
        ),
    )


def _named(card: Card) -> list[Any]:
    """Return a card's id, and those of its service tiers by name, if it has any."""
    tiers = {name: each.id for name, each in sorted(card.service_tiers.items())}
    return [card.id, tiers] if tiers else [card.id]


def _found(named: list[Any], cards: Mapping[str, Card]) -> Card:
    """Return the card that `_named` named. What was written by 0.1.0's first formats names no service tiers."""
    id_, *tiers = named
    if not tiers:
        return cards[id_]
    return cards[id_].with_service_tiers({name: cards[each] for name, each in tiers[0].items()})
