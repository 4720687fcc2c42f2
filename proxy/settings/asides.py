"""Calls that we make beside exchanges, as the configuration states them."""

from dataclasses import dataclass
from decimal import Decimal

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
