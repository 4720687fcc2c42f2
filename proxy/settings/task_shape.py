"""The YAML of tasks and outcomes in a plan, and how it becomes their terms."""

from __future__ import annotations

from pydantic import Field

from margin.plan_error import PlanError
from margin.tasking import OutcomeTerms, TaskTerms
from proxy.settings.fields import Duration, Name, Text, Usd
from proxy.settings.price_shape import PricesShape, must_tiers_of, tiers_of


class OutcomeShape(PricesShape):
    """What an outcome costs, and what one is."""

    definition: Text = Field(description="When it has happened, in words that a customer could hold you to.")
    window: Duration | None = Field(
        None, description="How long after a task is done its outcome is assumed; unset, never."
    )
    human_cost: Usd | None = Field(None, description="What a person's work for the same costs in US dollars; no term.")


class TaskShape(PricesShape):
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
            found[name] = OutcomeTerms(must_tiers_of(shape), shape.definition, shape.window, shape.human_cost)
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
            found[name] = TaskTerms(tiers_of(shape), shape.outcome, shape.idle)
        except PlanError as error:
            raise error.within(f"tasks.{name}") from None
    return found
