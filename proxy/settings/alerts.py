"""Who is told of what when a plan's period is used up so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PERCENTS: Final = (50, 80, 100, 120)
"""Percent of what a month includes at which it is told, unless a plan says otherwise: the pricing brief's."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alerts are sent, and how hard it is tried.

    Args:
        url: The one address they go to; redirects are not followed.
        secret: Signs each of them, as Standard Webhooks has it.
        timeout_s: How long one attempt may take.
        attempts: How many there are at most, while one process runs.
        retry_s: How long the second waits; each further one waits twice as long.
        deadline_s: After this age it is not tried again.
    """

    url: str
    secret: bytes = field(repr=False)
    timeout_s: float = 10.0
    attempts: int = 8
    retry_s: float = 5.0
    deadline_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Alerts:
    """Alerts of quotas.

    Args:
        plans: The percentages of each plan that states some, ascending.
        webhook: Where they are sent; `None`: nowhere.
    """

    plans: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    webhook: Webhook | None = None

    def percents(self, plan: str) -> tuple[int, ...]:
        """Return at which percentages it is told of a plan's customers; of none for a plan that says `[]`."""
        return self.plans.get(plan, PERCENTS)
