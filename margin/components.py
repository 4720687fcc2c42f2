"""What a plan sells beside credits: metered usage, things that somebody delivers, and seats.

Each is a term of the plan, and none changes the version of a plan without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

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


def frozen(metered: Mapping[str, Metered]) -> Mapping[str, Metered]:
    """Return a copy that nobody can change."""
    return MappingProxyType(dict(metered))


def written(metered: Mapping[str, Metered]) -> dict[str, Any]:
    """Return the terms of each, by name, as plain JSON values."""
    return {name: each.terms() for name, each in metered.items()}
