"""The YAML of tasks and outcomes in a plan, and how it becomes their terms."""

from __future__ import annotations

from pydantic import Field

from margin.plan_error import PlanError
from margin.tasking import OutcomeTerms, TaskTerms
from margin.tiering import Band, TierMode, Tiers
from proxy.settings.fields import Duration, Name, Section, Text, Usd, Whole


class UnitBandShape(Section):
    """A price up to a quantity."""

    up_to: Whole | None = Field(None, description="The last unit of the band, beyond what is included; last: unset.")
    price: Usd = Field(description="US dollars for each.")


class UnitPriceShape(Section):
    """What each unit costs, by how many there were in the month in UTC."""

    price: Usd | None = Field(None, description="US dollars for each, where there are no tiers.")
    tiers: list[UnitBandShape] | None = Field(None, description="Prices by quantity, the first units first.")
    mode: TierMode = Field(
        "graduated", description="graduated: each unit at its band's price; volume: all at that of the last one."
    )
    included: Whole = Field(0, description="Units that cost nothing and come first.")


class OutcomeShape(UnitPriceShape):
    """What an outcome costs, and what one is."""

    definition: Text = Field(description="When it has happened, in words that a customer could hold you to.")
    window: Duration | None = Field(
        None, description="How long after a task is done its outcome is assumed; unset, never."
    )
    human_cost: Usd | None = Field(None, description="What a person's work for the same costs in US dollars; no term.")


class TaskShape(UnitPriceShape):
    """How a type of task is charged: as a whole, by its outcome, or, with neither, by its requests."""

    outcome: Name | None = Field(None, description="The outcome that it is charged by.")
    idle: Duration | None = Field(None, description="How long after its last request it is done; unset, never.")


def outcomes_of(shapes: dict[str, OutcomeShape]) -> dict[str, OutcomeTerms]:
    """Return the terms of a plan's outcomes.

    Raises:
        PlanError: They contradict themselves.
    """
    found = {}
    for name, shape in shapes.items():
        try:
            found[name] = OutcomeTerms(_must(_prices(shape)), shape.definition, shape.window, shape.human_cost)
        except PlanError as error:
            raise error.within(f"outcomes.{name}") from None
    return found


def tasks_of(shapes: dict[str, TaskShape]) -> dict[str, TaskTerms]:
    """Return the terms of a plan's types of tasks.

    Raises:
        PlanError: They contradict themselves.
    """
    found = {}
    for name, shape in shapes.items():
        try:
            found[name] = TaskTerms(_prices(shape), shape.outcome, shape.idle)
        except PlanError as error:
            raise error.within(f"tasks.{name}") from None
    return found


def _must(prices: Tiers | None) -> Tiers:
    if prices is None:
        raise PlanError("price", "is missing: say a price or tiers")
    return prices


def _prices(shape: UnitPriceShape) -> Tiers | None:
    if shape.price is not None and shape.tiers is not None:
        raise PlanError("tiers", "contradict price: say one of them")
    if shape.price is not None:
        return Tiers((Band(None, shape.price),), shape.mode, shape.included)
    if shape.tiers is None:
        return None
    return Tiers(tuple(Band(each.up_to, each.price) for each in shape.tiers), shape.mode, shape.included)
