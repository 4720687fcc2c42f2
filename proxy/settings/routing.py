"""How `auto` chooses, and what is done when a deployment does not answer: frozen values."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from margin.sellbook import Tier


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
class Rule:
    """One rule of the policy: where all of its conditions hold, what it says applies. A condition of `None` holds.

    Args:
        name: Its word in the route's header.
        customers: Names of customers.
        plans: Names of plans.
        tasks: Tasks as judged.
        models: Names that a request asks for, before aliases.
        headers: Header names in lower case, and the values that fit; `None`: any value.
        tags: Entries of the request's `metadata`, likewise.
        tier: What a request is taken for, in place of judging.
        at_least: The lowest tier that serves it.
        at_most: The highest.
        use: Names of the deployments that serve it, in order; nobody else does. Empty: those of the tier.
    """

    name: str
    customers: frozenset[str] | None = None
    plans: frozenset[str] | None = None
    tasks: frozenset[str] | None = None
    models: frozenset[str] | None = None
    headers: tuple[tuple[bytes, frozenset[bytes] | None], ...] = ()
    tags: tuple[tuple[str, frozenset[str] | None], ...] = ()
    tier: Tier | None = None
    at_least: Tier | None = None
    at_most: Tier | None = None
    use: tuple[str, ...] = ()


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
        rules: The policy; the first rule that fits wins.
        rule_headers: Names of the headers that rules look at.
        is_weighted: Whether any deployment states a weight.
        order: Who of a tier goes first: as `listed`, or who is expected to cost least (`price`).
    """

    baseline: str = "requested"
    sessions_idle_s: float = 1800.0
    margin_floor: Decimal | None = None
    mode: Literal["enforce", "observe"] = "enforce"
    target_quality: Decimal | None = None
    deadline_s: float = 600.0
    retries: Retries = Retries()
    health: Health = Health()
    rules: tuple[Rule, ...] = ()
    rule_headers: tuple[bytes, ...] = ()
    is_weighted: bool = False
    order: Literal["listed", "price"] = "listed"
