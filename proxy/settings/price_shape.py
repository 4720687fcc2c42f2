"""The YAML of prices by quantity, which what a plan charges has in common, and how it becomes their tiers."""

from __future__ import annotations

from pydantic import Field

from margin.plan_error import PlanError
from margin.tiering import Band, TierMode, Tiers
from proxy.settings.fields import Section, Usd, Whole


class BandShape(Section):
    """A price up to a quantity."""

    up_to: Whole | None = Field(None, description="The last unit of the band, beyond what is included; last: unset.")
    price: Usd = Field(description="US dollars for each unit, or for as many as `per` says.")


class PricesShape(Section):
    """What a quantity costs, added up over a month in UTC."""

    price: Usd | None = Field(None, description="US dollars for each unit, where there are no tiers.")
    tiers: list[BandShape] | None = Field(None, description="Prices by quantity, the first units first.")
    mode: TierMode = Field(
        "graduated", description="graduated: each unit at its band's price; volume: all at that of the last one."
    )
    included: Whole = Field(0, description="Units that cost nothing and come first.")


def tiers_of(shape: PricesShape, per: int = 1, parts: int = 1) -> Tiers | None:
    """Return the tiers that a shape says; None if it says no price at all.

    Args:
        shape: Its prices.
        per: How many units a price is for.
        parts: Into how many parts of itself a unit is counted.

    Raises:
        PlanError: They contradict themselves.
    """
    if shape.price is not None and shape.tiers is not None:
        raise PlanError("tiers", "contradict price: say one of them")
    if shape.price is not None:
        return Tiers((Band(None, shape.price),), shape.mode, shape.included, per, parts)
    if shape.tiers is None:
        return None
    return Tiers(tuple(Band(each.up_to, each.price) for each in shape.tiers), shape.mode, shape.included, per, parts)


def must_tiers_of(shape: PricesShape, per: int = 1, parts: int = 1) -> Tiers:
    """Return the same where a price must be said.

    Raises:
        PlanError: There is none, or they contradict themselves.
    """
    tiers = tiers_of(shape, per, parts)
    if tiers is None:
        raise PlanError("price", "is missing: say a price or tiers")
    return tiers
