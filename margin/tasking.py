"""What a plan charges for work and for what comes of it, instead of for requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from margin.plan_error import PlanError
from margin.tiering import Tiers

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class OutcomeTerms:
    """What one kind of outcome costs.

    Args:
        prices: US dollars for each, by how many there were in the month.
        definition: When it has happened, in words that a customer could hold us to.
        window_s: How long after it became pending it is assumed; `None` for never.
        human_cost: What a person's work for the same would cost in US dollars; `None` when nobody said. No term.

    Raises:
        PlanError: It has no definition, or a window of nothing.
    """

    prices: Tiers
    definition: str
    window_s: float | None = None
    human_cost: Decimal | None = None

    def __post_init__(self) -> None:
        if not self.definition.strip():
            raise PlanError("definition", "must say when the outcome has happened")
        if self.window_s is not None and self.window_s <= 0:
            raise PlanError("window", "must be longer than nothing; leave it out for never")

    def terms(self) -> dict[str, Any]:
        """Return the terms as plain JSON values."""
        return {"price": self.prices.terms(), "definition": self.definition, "window": _ns(self.window_s)}


@dataclass(frozen=True, slots=True)
class TaskTerms:
    """How a type of task is charged: as a whole, by its outcome, or, with neither, by its requests.

    Args:
        prices: US dollars for each task with at least one request, by how many there were in the month.
        outcome: The kind of outcome that it is charged by.
        idle_s: How long after its last request it is closed; `None` for never.

    Raises:
        PlanError: It is charged in two ways, or idle at once.
    """

    prices: Tiers | None = None
    outcome: str | None = None
    idle_s: float | None = None

    def __post_init__(self) -> None:
        if self.prices is not None and self.outcome is not None:
            raise PlanError("outcome", "contradicts price: a task is charged as a whole or by what comes of it")
        if self.idle_s is not None and self.idle_s <= 0:
            raise PlanError("idle", "must be longer than nothing; leave it out for never")

    def terms(self) -> dict[str, Any]:
        """Return the terms as plain JSON values."""
        price = None if self.prices is None else self.prices.terms()
        return {"price": price, "outcome": self.outcome, "idle": _ns(self.idle_s)}

    def frozen(self, type_: str, outcomes: Mapping[str, OutcomeTerms]) -> dict[str, Any]:
        """Return what an open task keeps of its terms; see `margin.ledger.tasks.Task`."""
        idle = _ns(self.idle_s)
        if self.outcome is not None:
            outcome = outcomes[self.outcome]
            return {"metric": "outcome", "name": self.outcome, "price": outcome.prices.terms(), "idle": idle,
                    "window": _ns(outcome.window_s)}  # fmt: skip
        metric = "" if self.prices is None else "workflow"
        price = None if self.prices is None else self.prices.terms()
        return {"metric": metric, "name": type_, "price": price, "idle": idle, "window": None}


def check(tasks: Mapping[str, TaskTerms], outcomes: Mapping[str, OutcomeTerms]) -> None:
    """Refuse tasks that are charged by outcomes the plan does not have.

    Raises:
        PlanError: So it is.
    """
    for name, task in tasks.items():
        if task.outcome is not None and task.outcome not in outcomes:
            known = ", ".join(sorted(outcomes)) or "none"
            raise PlanError(f"tasks.{name}.outcome", f'"{task.outcome}" is no outcome of this plan; there are: {known}')


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * NS)
