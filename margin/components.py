"""What a plan sells beside credits: metered usage, things that somebody delivers, seats, and commitments.

Each is a term of the plan, and none changes the version of a plan without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from margin.money import round_half_even
from margin.plan_error import PlanError
from margin.tiering import QUANTITY_MAX, Tiers

METER_PARTS: Final[Mapping[str, int]] = MappingProxyType(
    {"calls": 1, "tokens": 1, "input_tokens": 1, "output_tokens": 1, "compute_minutes": 60_000}
)
"""What an exchange is measured by, and how many parts a unit of it has: a compute minute is counted in milliseconds."""


@dataclass(frozen=True, slots=True)
class Metered:
    """A quantity that is charged, added up over a month of UTC.

    Args:
        tiers: What it costs.
        minimum: Units that are paid for each month whether they are used or not; 0 for none.

    Raises:
        PlanError: The minimum is negative, or costs nothing because all of it is included.
    """

    tiers: Tiers
    minimum: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.minimum * self.tiers.parts <= QUANTITY_MAX:
            raise PlanError("minimum", "must not be negative, nor more than the books can count")
        if self.minimum and self.minimum <= self.tiers.included:
            raise PlanError("minimum", f"has no effect: {self.tiers.included} units are included")

    def terms(self) -> dict[str, Any]:
        """Return the terms as plain JSON values."""
        return self.tiers.terms() | {"minimum": self.minimum}

    @classmethod
    def read(cls, terms: Mapping[str, Any]) -> Metered:
        """Return what `terms` wrote."""
        return cls(Tiers.read(terms), terms["minimum"])


@dataclass(frozen=True, slots=True)
class Seats:
    """What a seat costs and includes.

    Args:
        price_nusd_month: Nano-dollars for each seat and month of UTC, accrued by the second.
        included_milli: Milli-credits that each seat adds to the customer's one pool, once a month.

    Raises:
        PlanError: A negative number.
    """

    price_nusd_month: int
    included_milli: int = 0

    def __post_init__(self) -> None:
        for name, number in (("price", self.price_nusd_month), ("included", self.included_milli)):
            if number < 0:
                raise PlanError(name, "must not be negative")

    def terms(self) -> dict[str, int]:
        """Return the terms as plain JSON values."""
        return {"price": self.price_nusd_month, "included": self.included_milli}


@dataclass(frozen=True, slots=True)
class Commit:
    """What a customer promises to spend in each term, at the plan's prices.

    Args:
        amount_nusd: Nano-dollars of a term.
        months: How long a term is.
        beyond: What usage beyond the amount costs, as a multiple of the plan's prices.

    Raises:
        PlanError: A promise of nothing, or a multiple of nothing.
    """

    amount_nusd: int
    months: int = 12
    beyond: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if self.amount_nusd <= 0:
            raise PlanError("amount", "must be more than nothing; leave the commitment out")
        if self.beyond <= 0:
            raise PlanError("beyond", "must be more than nothing: 1 for the plan's own prices")

    def beyond_nusd(self, nusd: int) -> int:
        """Return what usage beyond the amount is charged that costs so much at the plan's prices, rounded once."""
        numerator, denominator = self.beyond.as_integer_ratio()
        return round_half_even(nusd * numerator, denominator)

    def terms(self) -> dict[str, Any]:
        """Return the terms as plain JSON values."""
        return {"amount": self.amount_nusd, "months": self.months, "beyond": f"{self.beyond.normalize():f}"}

    @classmethod
    def read(cls, terms: Mapping[str, Any]) -> Commit:
        """Return what `terms` wrote."""
        return cls(terms["amount"], terms["months"], Decimal(terms["beyond"]))


def frozen(metered: Mapping[str, Metered]) -> Mapping[str, Metered]:
    """Return a copy that nobody can change."""
    return MappingProxyType(dict(metered))


def written(metered: Mapping[str, Metered]) -> dict[str, Any]:
    """Return the terms of each, by name, as plain JSON values."""
    return {name: each.terms() for name, each in metered.items()}
