"""Prices by quantity: what the first units include, and what a unit costs from which quantity on.

Bounds are half-open, so none overlaps another: a band that ends `up_to` 500 prices units 1 to 500, and the 501st is the
next band's. A total is rounded once. What a part of the quantity costs is the total with it less the total without it,
so the parts add up to the total to the last nano-dollar, in whatever order and however they were split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal

from margin.money import NUSD_PER_USD, add_checked, round_half_even
from margin.plan_error import PlanError

TierMode = Literal["graduated", "volume"]
"""*graduated*: each unit costs what its own band says. *volume*: all cost what the band of the last one says."""

BANDS_MAX: Final = 32
"""More bands than any price list that we have seen; a request may be rated through all of them."""

QUANTITY_MAX: Final = 2**63 - 1
"""The largest quantity: what a column of the ledger holds."""


@dataclass(frozen=True, slots=True)
class Band:
    """A unit's price up to a quantity.

    Args:
        up_to: The last unit of the band, counted beyond what is included; `None`: there is no end.
        price: US dollars for `Tiers.per` units.
    """

    up_to: int | None
    price: Decimal


@dataclass(frozen=True, slots=True)
class TierLine:
    """What one band comes to: `quantity` parts of units at `price` US dollars are `nusd` nano-dollars.

    The lines of a total add up to it: each is what the total rises by, so a line may be off its own product by one.
    A price of `None` stands for what is included.
    """

    quantity: int
    price: Decimal | None
    nusd: int


@dataclass(frozen=True, slots=True)
class Fall:
    """Quantities `first` to `last` cost less than `before`, the last unit of the band below: only volume prices do."""

    before: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Tiers:
    """What a quantity costs.

    Args:
        bands: From the first unit on; each ends higher than the one before, and the last has no end.
        mode: How the bands are meant.
        included: Units that cost nothing and come before the first band.
        per: How many units a price is for: 1000 where it is one for a thousand tokens.
        parts: How many parts of a unit quantities are counted in: 1000 where they are milli-credits. `included` and
            `up_to` are whole units.

    Raises:
        PlanError: No band, too many, bands that overlap or end, or a number below zero.
    """

    bands: tuple[Band, ...]
    mode: TierMode = "graduated"
    included: int = 0
    per: int = 1
    parts: int = 1
    _prices: tuple[Fraction, ...] = field(init=False, repr=False, compare=False)
    _ends: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check()
        object.__setattr__(self, "_prices", tuple(self._nusd_per_part(band.price) for band in self.bands))
        ends = [QUANTITY_MAX if band.up_to is None else band.up_to * self.parts for band in self.bands]
        object.__setattr__(self, "_ends", tuple(ends))

    def _check(self) -> None:
        if not 0 < len(self.bands) <= BANDS_MAX:
            raise PlanError("tiers", f"must be 1 to {BANDS_MAX} bands, not {len(self.bands)}")
        if self.included < 0:
            raise PlanError("included", "must not be negative")
        if self.per < 1:
            raise PlanError("per", "must be one unit or more")
        before = 0
        for number, band in enumerate(self.bands):
            if not band.price.is_finite() or band.price < 0:
                raise PlanError(f"tiers.{number}.price", "must not be negative")
            before = self._check_end(number, band.up_to, before)

    def _check_end(self, number: int, up_to: int | None, before: int) -> int:
        is_last = number == len(self.bands) - 1
        if up_to is None:
            if not is_last:
                raise PlanError(f"tiers.{number}.up_to", "must say where the band ends, as another follows it")
            return before
        if is_last:
            raise PlanError(f"tiers.{number}.up_to", "must be left out: the last band has no end")
        if up_to <= before:
            raise PlanError(f"tiers.{number}.up_to", f"overlaps the band below, which ends at {before}")
        return up_to

    def total_nusd(self, quantity: int) -> int:
        """Return what a quantity costs, rounded once, half-even.

        Raises:
            ValueError: The quantity is negative.
            OverflowError: The cost does not fit 64 bits of nano-dollars.
        """
        exact = self._exact(quantity)
        return add_checked(round_half_even(exact.numerator, exact.denominator))

    def added_nusd(self, before: int, added: int) -> int:
        """Return what `added` more cost after `before`: below zero where volume prices fall, or with a negative one."""
        return self.total_nusd(before + added) - self.total_nusd(before)

    def lines(self, quantity: int) -> tuple[TierLine, ...]:
        """Return the quantity split by bands, the included one first; their sums are the quantity and its cost."""
        billed = self._billed(quantity)
        found = [] if billed == quantity else [TierLine(quantity - billed, None, 0)]
        if self.mode == "volume":
            price = self.bands[self._band(billed)].price
            return (*found, TierLine(billed, price, self.total_nusd(quantity))) if billed else tuple(found)
        before = 0
        included = quantity - billed
        for band, end in zip(self.bands, self._ends, strict=True):
            upper = min(billed, end)
            if upper > before:
                nusd = self.total_nusd(included + upper) - self.total_nusd(included + before)
                found.append(TierLine(upper - before, band.price, nusd))
                before = end
        return tuple(found)

    def next_price(self, quantity: int) -> Decimal:
        """Return the price that holds for the unit after a quantity, in US dollars for `per`, 0 while it is included.

        Of volume prices, what the unit itself is priced at; that all others change theirs with it is not in it.
        """
        if quantity < self.included * self.parts:
            return Decimal(0)
        return self.bands[self._band(self._billed(quantity) + 1)].price

    def falls(self) -> tuple[Fall, ...]:
        """Return where one unit more costs less than the units before it: empty unless prices are by volume."""
        if self.mode != "volume":
            return ()
        found: list[Fall] = []
        shift = self.included
        for number, (lower, upper) in enumerate(zip(self._prices, self._prices[1:], strict=False)):
            end = self._ends[number]
            if upper >= lower or lower * end == 0:
                continue
            last = self._ends[number + 1] if upper == 0 else -(-(lower * end) // upper) - 1
            last = min(last, self._ends[number + 1])
            if last > end:
                found.append(Fall(end // self.parts + shift, end // self.parts + 1 + shift, last // self.parts + shift))
        return tuple(found)

    def terms(self) -> dict[str, Any]:
        """Return the prices as plain JSON values, equal ones written equally."""
        bands = [{"up_to": band.up_to, "price": f"{band.price.normalize():f}"} for band in self.bands]
        return {"mode": self.mode, "included": self.included, "per": self.per, "parts": self.parts, "tiers": bands}

    @classmethod
    def read(cls, terms: Mapping[str, Any]) -> Tiers:
        """Return the prices that `terms` wrote."""
        bands = tuple(Band(each["up_to"], Decimal(each["price"])) for each in terms["tiers"])
        return cls(bands, terms["mode"], terms["included"], terms["per"], terms["parts"])

    def _nusd_per_part(self, price: Decimal) -> Fraction:
        return Fraction(price) * Fraction(NUSD_PER_USD, self.per * self.parts)

    def _billed(self, quantity: int) -> int:
        if quantity < 0:
            raise ValueError(f"a quantity must not be negative, as {quantity} is")
        return max(quantity - self.included * self.parts, 0)

    def _band(self, billed: int) -> int:
        return next(number for number, end in enumerate(self._ends) if billed <= end)

    def _exact(self, quantity: int) -> Fraction:
        billed = self._billed(quantity)
        if self.mode == "volume":
            return self._prices[self._band(billed)] * billed
        total, before = Fraction(0), 0
        for price, end in zip(self._prices, self._ends, strict=True):
            if billed <= before:
                break
            total += price * (min(billed, end) - before)
            before = end
        return total


def flat(price: Decimal, *, included: int = 0, per: int = 1, parts: int = 1) -> Tiers:
    """Return one price for all units beyond what is included."""
    return Tiers((Band(None, price),), included=included, per=per, parts=parts)
