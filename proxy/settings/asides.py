"""Calls that we make beside exchanges, as the configuration states them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from proxy.settings.limits import Budget
from proxy.settings.values import Deployment


@dataclass(frozen=True, slots=True)
class Advisor:
    """A model that is asked how hard a request is, where the judge is in doubt.

    Args:
        deployment: Who is asked.
        near: How much likelier the judged tier may be than the next, 0..1.
        deadline_s: How long a request waits.
        share: The share of requests for which it is asked at most.
        budget: What asking may cost.
        remembered_max: Answers that a worker remembers, some 150 bytes each.
    """

    deployment: Deployment
    near: float
    deadline_s: float
    share: Decimal
    budget: Budget
    remembered_max: int


@dataclass(frozen=True, slots=True)
class Shadows:
    """Requests of which another tier's answer is asked for, too, to learn from.

    Args:
        share: The share of the requests of those sampled, 0..1.
        tier: `below` the tier that served, or `above` it.
        plans: Plans whose customers are sampled.
        customers: Names of customers who are sampled besides.
        budget: What asking may cost.
        waiting_max: Samples that a worker has in hand at once; beyond them none is taken.
        compare: `rule` goes by what stands in both answers; `model` asks who is asked in doubt where that says nothing.
    """

    share: float
    tier: Literal["below", "above"]
    plans: frozenset[str]
    customers: frozenset[str]
    budget: Budget
    waiting_max: int
    compare: Literal["rule", "model"]
