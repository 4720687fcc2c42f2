"""What is paid by the month for all customers together, and what it costs to be paid: shared out by what each used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from margin.money import round_half_even

Key = Literal["requests", "tokens", "revenue"]
KEYS: Final[tuple[Key, ...]] = ("requests", "tokens", "revenue")
"""What an overhead can be shared out by."""


class MonthUse(NamedTuple):
    """What a customer had in a month, or a part of one."""

    customer: int
    month: str
    requests: int
    tokens: int
    revenue_nusd: int

    def weight(self, by: Key) -> int:
        """Return how much counts for it; of a month that gave more back than it brought, nothing."""
        return max({"requests": self.requests, "tokens": self.tokens, "revenue": self.revenue_nusd}[by], 0)


@dataclass(frozen=True, slots=True)
class Overhead:
    """An amount a month, and what it is shared out by."""

    nusd_month: int
    by: Key


@dataclass(frozen=True, slots=True)
class OtherCosts:
    """What is in no customer's books.

    Args:
        overheads: By the operator's names for them.
        fee_percent: What taking a payment costs, in percent of it.
        fee_fixed_nusd: The same, for each month in which a customer is charged anything.
    """

    overheads: Mapping[str, Overhead]
    fee_percent: Decimal = Decimal(0)
    fee_fixed_nusd: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether no report needs to look."""
        return not (self.overheads or self.fee_percent or self.fee_fixed_nusd)

    def fees_nusd(self, uses: Iterable[MonthUse]) -> dict[int, int]:
        """Return what taking each customer's payments costs; rounded once for each month."""
        found: dict[int, int] = {}
        for use in uses:
            if use.revenue_nusd > 0:
                share = Fraction(self.fee_percent) * Fraction(use.revenue_nusd, 100)
                fee = round_half_even(share.numerator, share.denominator) + self.fee_fixed_nusd
                found[use.customer] = found.get(use.customer, 0) + fee
        return found

    def overheads_nusd(self, uses: Iterable[MonthUse], passed: Mapping[str, Fraction]) -> tuple[dict[int, int], int]:
        """Share out every month's overheads.

        Args:
            uses: Who had what.
            passed: The months that are asked about, with how much of each has passed.

        Returns:
            Nano-dollars by customer, and what is nobody's as nobody had any of its key.
        """
        found: dict[int, int] = {}
        nobodys = 0
        by_month: dict[str, list[MonthUse]] = {month: [] for month in passed}
        for use in uses:
            by_month.setdefault(use.month, []).append(use)
        for overhead in self.overheads.values():
            for month, share in passed.items():
                part = overhead.nusd_month * share
                nusd = round_half_even(part.numerator, part.denominator)
                parts = shared_out(nusd, {use.customer: use.weight(overhead.by) for use in by_month[month]})
                nobodys += nusd - sum(parts.values())
                for customer, its_own in parts.items():
                    found[customer] = found.get(customer, 0) + its_own
        return found, nobodys


def shared_out(nusd: int, weights: Mapping[int, int]) -> dict[int, int]:
    """Share an amount out by weight, to the last nano-dollar; nothing where nobody has any weight.

    What the rounding down of the parts leaves goes to the largest remainders, of equal ones to the lower number.
    """
    whole = sum(weights.values())
    if whole == 0:
        return {}
    parts = {name: divmod(nusd * weight, whole) for name, weight in weights.items() if weight}
    left = nusd - sum(part for part, _ in parts.values())
    order = sorted(parts, key=lambda name: (-parts[name][1], name))
    return {name: parts[name][0] + (place < left) for place, name in enumerate(order)}
