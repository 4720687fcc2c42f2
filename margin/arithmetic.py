"""The sum behind a cost, bucket by bucket, as a person would check it: tokens × rate, and one rounding at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from margin.card import Card
from margin.costbooks.rates import TOKENS_PER_RATE, effective_rate, levels_of
from margin.money import NUSD_PER_USD
from margin.usage import BUCKETS, Usage


@dataclass(frozen=True, slots=True)
class Product:
    """One bucket's part of a cost: `tokens` × `rate`, in US dollars a million, is `nusd`, exact."""

    bucket: str
    tokens: int
    rate: Decimal
    nusd: Fraction


def products(card: Card, usage: Usage) -> Iterator[Product]:
    """Yield each bucket that was used, at the rate that the request's size pays; their sum is the cost before rounding.

    A bucket that the card does not price at all is left out: a card refuses to price such a usage.
    """
    reached = [rates for above, rates in levels_of(card.rates, card.tiers) if not above or usage.input_total > above]
    for bucket in BUCKETS:
        tokens, rate = getattr(usage, bucket), effective_rate(reached[-1], bucket)
        if tokens and rate is not None:
            numerator, denominator = rate.as_integer_ratio()
            yield Product(
                bucket, tokens, rate, Fraction(tokens * numerator * NUSD_PER_USD, denominator * TOKENS_PER_RATE)
            )
