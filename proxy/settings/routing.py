"""How `auto` chooses, and what is done when a deployment does not answer: frozen values."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True)
class Health:
    """When a deployment is left alone for a while.

    Args:
        window_s: How far back its calls count; a quarter of a minute forgets a hiccup, and sees an outage at once.
        calls_min: Calls in the window before anything is concluded from them.
        failed_share: The share of them, 0..1, that must have failed.
        rest_s: How long nobody calls it then; after it one call tries.
        rest_max_s: What a rest grows to, doubling with each failed try; also the most of a provider's `retry-after`.
        slow_s: A stream whose first byte takes longer counts as failed; `None`: none does.
    """

    window_s: float = 15.0
    calls_min: int = 5
    failed_share: Decimal = Decimal("0.5")
    rest_s: float = 5.0
    rest_max_s: float = 120.0
    slow_s: float | None = None


@dataclass(frozen=True, slots=True)
class Retries:
    """How many calls may follow one that failed.

    Args:
        attempts_max: Calls for one request, the first included; more only turn an outage into a storm.
        share: Calls after the first, as a share of all requests.
        burst: How many of them may come at once beyond that share.
    """

    attempts_max: int = 3
    share: Decimal = Decimal("0.1")
    burst: int = 10


@dataclass(frozen=True, slots=True)
class Routing:
    """How `auto` chooses.

    Args:
        baseline: What savings are measured against: `requested` (what the client asked for; for
            `auto` the first of complex), `frontier` (the first of complex) or a deployment's name.
        sessions_idle_s: How long a conversation keeps its model without a request.
        margin_floor: The gross margin, 0..1, below which the guard acts; `None` for no guard.
        mode: `enforce` routes, `observe` only records what it would have done.
        target_quality: The share of frontier quality to keep, 0..1; `None` for the shipped cuts.
        deadline_s: How long a request may take, all its calls together.
        retries: How many calls may follow one that failed.
        health: When a deployment is left alone.
    """

    baseline: str = "requested"
    sessions_idle_s: float = 1800.0
    margin_floor: Decimal | None = None
    mode: Literal["enforce", "observe"] = "enforce"
    target_quality: Decimal | None = None
    deadline_s: float = 600.0
    retries: Retries = Retries()
    health: Health = Health()
