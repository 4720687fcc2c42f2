"""How `auto` chooses, and what is done when a deployment does not answer: frozen values."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from margin.sellbook import Tier
from proxy.settings.floors import NO_FLOORS, Floors
from proxy.settings.patterns import Pattern

Flaw = Literal["schema", "truncated", "empty", "refusal", "pattern", "expect"]
"""What may be wrong with an answer."""


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
        escalated_share: Answers that are asked for again one tier up, as a share of the requests that are checked.
    """

    attempts_max: int = 3
    share: Decimal = Decimal("0.1")
    burst: int = 10
    escalated_share: Decimal = Decimal("0.2")


@dataclass(frozen=True, slots=True)
class Checks:
    """What an answer must not be, or is asked for again one tier up.

    Args:
        flaws: Those that are looked for, but for patterns.
        reject: Patterns of which none may be in it.
        require: Patterns that must all be in it.
        callers: Whether a caller's own pattern counts, too.
        holds_streams: Whether a stream is held back until it was checked; else none is checked.
    """

    flaws: frozenset[Flaw] = frozenset({"schema", "truncated", "empty", "refusal"})
    reject: tuple[Pattern, ...] = ()
    require: tuple[Pattern, ...] = ()
    callers: bool = False
    holds_streams: bool = False

    def words(self) -> dict[str, object]:
        """Return what is looked for, for people."""
        patterned = [*(["pattern"] if self.reject or self.require else []), *(["expect"] if self.callers else [])]
        return {"flaws": [*sorted(self.flaws), *patterned], "streams": "hold" if self.holds_streams else "pass"}

    @property
    def is_none(self) -> bool:
        """Whether nothing is looked for."""
        return not (self.flaws or self.reject or self.require or self.callers)


@dataclass(frozen=True, slots=True)
class Hedge:
    """When a slow call gets company.

    Args:
        quantile: It is slow when it takes longer to begin than this share of its model's answers, between 0 and 1.
        share: Such calls, as a share of all requests.
        delay_min_s: No call is slow before that.
    """

    quantile: Decimal = Decimal("0.95")
    share: Decimal = Decimal("0.02")
    delay_min_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Sessions:
    """How conversations keep their model.

    Args:
        idle_s: Without a request for so long, a conversation is forgotten: what providers keep of it is, too.
        most: Conversations that each worker remembers; one takes about a kilobyte.
    """

    idle_s: float = 1800.0
    most: int = 20_000


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
        checks: How answers are checked, in the place of the policy's own checks; `None`: by those.
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
    checks: Checks | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    """How `auto` chooses.

    Args:
        baseline: What savings are measured against: `requested` (what the client asked for; for
            `auto` the first of complex), `frontier` (the first of complex) or a deployment's name.
        sessions: How conversations keep their model; `None`: each request is routed alone.
        floors: The margins that customers must keep, and what is done below them.
        mode: `enforce` routes, `observe` only records what it would have done.
        target_quality: The share of frontier quality to keep, 0..1, `None` where none is stated.
        target_share: The most that complex may serve, likewise. What is served goes by `Classifier.cuts`.
        deadline_s: How long a request may take, all its calls together.
        retries: How many calls may follow one that failed.
        health: When a deployment is left alone.
        rules: The policy; the first rule that fits wins.
        rule_headers: Names of the headers that rules look at.
        is_weighted: Whether any deployment states a weight.
        order: Who of a tier goes first: as `listed`, or who is expected to cost least (`price`).
        checks: How answers are checked before they are given; `None`: they are not.
        hedge: When a slow call gets company; `None`: never.
    """

    baseline: str = "requested"
    sessions: Sessions | None = Sessions()
    floors: Floors = NO_FLOORS
    mode: Literal["enforce", "observe"] = "enforce"
    target_quality: Decimal | None = None
    target_share: Decimal | None = None
    deadline_s: float = 600.0
    retries: Retries = Retries()
    health: Health = Health()
    rules: tuple[Rule, ...] = ()
    rule_headers: tuple[bytes, ...] = ()
    is_weighted: bool = False
    order: Literal["listed", "price"] = "listed"
    checks: Checks | None = None
    hedge: Hedge | None = None
