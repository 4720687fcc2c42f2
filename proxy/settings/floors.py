"""What keeps a customer's margin up: frozen values. How steps are chosen stands in `proxy.routing.guard`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

Step = Literal["tighten", "cap_medium", "cap_simple", "flex", "alert", "refuse"]
"""What may be done, each besides what was done before it: serve a tier lower where the judgement is not sure; serve
`auto` from no tier above; ask for the provider's cheaper, slower service tier; tell people; refuse."""

STEPS: Final[tuple[Step, ...]] = ("tighten", "cap_medium", "cap_simple", "flex", "alert")
"""The steps of who states none: nobody is refused unless somebody says so."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The margin that a customer must keep.

    Args:
        margin: Gross margin, 0..1.
        steps: What is done below it, one after the other.
    """

    margin: Decimal
    steps: tuple[Step, ...] = STEPS


@dataclass(frozen=True, slots=True)
class Guard:
    """How the guard moves.

    Args:
        over: The calendar period, in UTC, whose margin is held against the floor.
        wait_s: How long a step is given before the next.
        recover_s: No next step while what is missing is made good within this, as things go since the last.
        release_s: How long a step lasts at least; twice as long each time it has to be taken again soon after.
        clear: How far above the floor the margin must be to take a step back.
        evidence_nusd: Cost in the period below which nothing is concluded.
        loss_nusd: Cost in the period from which a customer without revenue counts as below; `None`: it never does.
    """

    over: Literal["day", "month"] = "month"
    wait_s: float = 300.0
    recover_s: float = 1800.0
    release_s: float = 3600.0
    clear: Decimal = Decimal("0.05")
    evidence_nusd: int = 1_000_000_000
    loss_nusd: int | None = None


@dataclass(frozen=True, slots=True)
class Floors:
    """The floors of all customers: its own, else its plan's, else everybody's.

    Args:
        guard: How the guard moves.
        everybody: The floor of who has no other; `None`: none.
        plans: By plan.
        customers: By name.
    """

    guard: Guard = Guard()
    everybody: Floor | None = None
    plans: Mapping[str, Floor] = field(default_factory=lambda: MappingProxyType({}))
    customers: Mapping[str, Floor] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_none(self) -> bool:
        """Whether nobody has one."""
        return self.everybody is None and not self.plans and not self.customers

    def of(self, customer: str, plan: str) -> Floor | None:
        """Return a customer's floor; None where it has none."""
        return self.customers.get(customer) or self.plans.get(plan) or self.everybody


NO_FLOORS: Final = Floors()
"""Of who states none."""
