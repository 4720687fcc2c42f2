"""Closes the books of one exchange: one charge, its cost lines, the baseline, and the record of why."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from margin.records import Outcome
from margin.sellbook import Plan
from margin.usage import Usage
from proxy import metering
from proxy.admission import Ticket
from proxy.caching.answers import Found, Place
from proxy.expected import Expected
from proxy.identity import Principal
from proxy.limits.bundles import Bundle
from proxy.quote import Quote
from proxy.routing import policy
from proxy.routing.advice import Advice
from proxy.routing.guard import Acts
from proxy.routing.judging import Judging
from proxy.routing.policy import Route
from proxy.routing.rules import Asker
from proxy.settings import Deployment, Settings, Tier
from proxy.settings.patterns import Pattern
from proxy.wire.ask import Ask

if TYPE_CHECKING:
    from proxy.caching.semantic.memory import Meant
    from proxy.joining import Joined
    from proxy.staying import Seat

NS = 1_000_000_000


# Values made for each exchange are named tuples: a frozen dataclass takes thrice as long to make.


class Lean(NamedTuple):
    """What is sent of a request that was trimmed; and about how many tokens it had before, and has after."""

    ask: Ask
    before: int
    after: int


class Case(NamedTuple):
    """An admitted exchange: everything decided before the call. `started` is a `perf_counter` reading."""

    settings: Settings
    principal: Principal
    plan: Plan
    ask: Ask
    judging: Judging
    route: Route
    quote: Quote
    ticket: Ticket
    started: float
    wants_cost: bool
    bundle: Bundle
    """The limits it meets."""
    feature: str | None
    """The feature it is for, if that has limits."""
    hint: Tier | None = None
    """The tier that the caller's header asks for."""
    is_lowered: bool = False
    """Whether it is served cheaper, as a budget is used up that says so."""
    place: Place | None = None
    """Where its answer is kept; None when it is not to be answered from memory."""
    found: Found | None = None
    """The answer from memory that it is to get: nobody is called for it, and it costs nothing."""
    meant: Meant | None = None
    """What it is compared by, where answers may be given by meaning."""
    member: str | None = None
    """The digest of the member it is for, if members have limits."""
    asker: Asker | None = None
    """What of its caller the route depends on."""
    expected: Expected | None = None
    """What learns from its answer, where the order is by price."""
    expects: Pattern | None = None
    """What its caller wants to find in the answer, where the route heeds that."""
    acts: Acts | None = None
    """What the margin guard does to its customer's requests."""
    seat: Seat | None = None
    """Its place in a conversation that keeps its model."""
    advice: Advice | None = None
    """What came of asking a model how hard it is."""
    joined: Joined | None = None
    """The task it belongs to."""
    lean: Lean | None = None
    """What is sent of its prompt, where something of it was left out."""
    within_s: float = math.inf
    """How long it may take, from `started`, all its calls together."""

    @property
    def sent(self) -> Ask:
        """What providers are sent of it."""
        return self.ask if self.lean is None else self.lean.ask

    @property
    def is_hurried(self) -> bool:
        """Whether its caller gave it less time than the configuration does."""
        return self.within_s < self.settings.routing.deadline_s

    def left_s(self) -> float:
        """Return how much of its time is left."""
        return self.within_s - (time.perf_counter() - self.started)


class Call(NamedTuple):
    """The call that answered: attempt number, deployment, and the seconds it took to the answer's head."""

    n: int
    deployment: Deployment
    status: int
    upstream_s: float
    overhead_s: float
    """What the caller waited for us and not for the provider, up to the answer's head."""
    detour: str = ""
    """What the route's token says of deployments that did not answer, or were left alone."""
    most_nusd: int | None = None
    """What stated budgets count of it if nobody learns what it cost."""
    escalated: tuple[tuple[str, str, str], ...] = ()
    """Answers before it that were not good enough: deployment, tier and flaw."""
    flaw: str | None = None
    """What is wrong with its own, for which nobody better was asked."""
    beside: str | None = None
    """Who was asked beside it, or instead of whom it answered: of two calls at once."""
    is_marked: bool = False
    """Whether it was marked here for the provider's prompt cache."""


def charge_milli(case: Case, usage: Usage, outcome: Outcome) -> int:
    """Return what the customer pays: by the terms frozen at admission, or nothing when the provider broke off.

    A client that left pays: the provider produced its answer, and bills us for it.
    """
    return 0 if outcome in {"error", "cut"} else case.quote.charge_milli(usage)


def settle(
    case: Case, call: Call, usage: Usage | None, outcome: Outcome, *, call_id: str | None, output_estimate: int, t: int
) -> int | None:
    """Journal the one settlement; return the exchange's cost in nano-dollars, None when it is not known."""
    if usage is None:
        tier = metering.service_tier_of(call.deployment, case.ask)
        usage = metering.estimated(case.route.input_estimate, output_estimate, tier)
    line = metering.attempt(call.n, call.deployment, t // NS, usage=usage, status=call.status, call_id=call_id,
                            most_nusd=call.most_nusd, whole=outcome == "ok")  # fmt: skip
    case.ticket.attempts.append(line)
    # Without us nobody would have asked for a cheaper service tier than the caller's.
    usual = usage if call.deployment.asks_tier is None else usage._replace(service_tier=None)
    # Nor would a provider's cache have been told of the prompt.
    is_cached = call.is_marked and usage.cached > 0
    usual = usual.uncached() if is_cached else usual
    is_own = case.route.baseline is call.deployment and not is_cached
    baseline = line["cost"] if is_own else _baseline_nusd(case, usual, t // NS)
    marks = _marks_nusd(call, usage, line["cost"], t // NS) if is_cached else 0
    trims = 0 if baseline is None else _gone_nusd(case, usage, t // NS)
    baseline = None if baseline is None else baseline + trims
    decision = _decision(case, call, usage, t // NS)
    case.ticket.settle(t, outcome, charge_milli(case, usage, outcome), baseline, decision, marks, trims)
    if outcome in {"ok", "client_gone"}:
        case.quote.learn(usage)
        if case.expected is not None:
            case.expected.learn(call.deployment, case.judging.task, usage, t // NS)
        if case.seat is not None:
            case.seat.answered(case, call.deployment, usage)
    costs = [each["cost"] for each in case.ticket.attempts]
    return None if None in costs else sum(costs)


def _baseline_nusd(case: Case, usage: Usage, at_s: int) -> int | None:
    """Return what the same tokens would have cost at the baseline's price (the *same-token* figure)."""
    baseline = case.route.baseline
    return None if baseline is None else metering.cost_nusd(baseline, usage, at_s)


def _gone_nusd(case: Case, usage: Usage, at_s: int) -> int:
    """Return what the baseline's model would have billed for what was left out of the prompt.

    What is in no bill is an estimate; where its maker counts more than the provider did, it is scaled to that.
    """
    lean, baseline = case.lean, case.route.baseline
    if lean is None or baseline is None or usage.source != "reported":
        return 0
    gone, sent = lean.before - lean.after, usage.input_total
    if lean.after > sent:
        gone = gone * sent // lean.after
    return metering.cost_nusd(baseline, Usage(input=gone), at_s) or 0


def _marks_nusd(call: Call, usage: Usage, cost_nusd: int | None, at_s: int) -> int | None:
    """Return what marking the call saved: what its tokens had cost without a cache, less its cost. None if unknown."""
    plain = metering.cost_nusd(call.deployment, usage.uncached(), at_s)
    return None if plain is None or cost_nusd is None else plain - cost_nusd


def _decision(case: Case, call: Call, usage: Usage, at_s: int) -> dict[str, Any]:
    judged, route = case.judging.judge(), case.route
    total_s = time.perf_counter() - case.started
    metered = {} if case.quote.meter is None else {"metered": case.quote.meter.terms()}
    noted = case.judging.noted(case.principal.customer)
    found: dict[str, Any] = {
        "config": case.settings.version,
        "classifier": judged.version,
        "cost_book": case.settings.costbook.version,
        "sell_book": case.settings.sellbook.version,
        "requested": route.requested,
        "task": judged.task,
        "tier": judged.tier,
        "score": round(judged.score, 4),
        **({} if judged.cuts is None else {"cuts": [*judged.cuts]}),
        **({} if noted is None else {"ask": noted}),
        "probabilities": [round(each, 4) for each in judged.probabilities],
        "features": {name: value for name, value in judged.features.items() if value},  # what is absent is 0
        "rule": route.rule + call.detour,
        "reasons": route.reasons,
        "candidates": [each.name for each in route.deployments],
        "baseline": None if route.baseline is None else route.baseline.name,
        "charge_tier": route.charge_tier,
        "served_tier": policy.tier_of(case.settings, call.deployment, route.served_tier),
        "cache": "bypass" if case.place is None else "miss",
        **_sampled(case),
        "stream": case.ask.stream,
        "usage_source": usage.source,
        "total_us": round(total_s * 1e6),
        "head_us": round(call.upstream_s * 1e6),
        "overhead_us": round(call.overhead_s * 1e6),
        **metered,
        **({} if case.seat is None else case.seat.told()),
    }
    if case.lean is not None:
        found["trimmed"] = [case.lean.before, case.lean.after]
    if case.joined is not None:
        found["joined"] = [*case.joined]
    if case.advice is not None:
        found["advice"] = case.advice.told()
    if call.escalated:
        found["escalated"] = call.escalated
    if call.beside is not None:
        found["hedged"] = call.beside
    if route.would is not None:
        found["would"] = _would(route.would, usage, at_s)
    return found


def _sampled(case: Case) -> dict[str, Any]:
    """Return which exchange's answer was at hand, and how near its prompt is, while the provider was asked."""
    sample = None if case.meant is None else case.meant.sample
    return {} if sample is None else {"near": round(sample.score, 4), "near_to": sample.exchange}


def _would(route: Route, usage: Usage, at_s: int) -> dict[str, Any]:
    """Return where a request would have gone that was served as before, and what the same tokens would have cost."""
    first = route.deployments[0]
    return {
        "deployment": first.name,
        "served_tier": route.served_tier,
        "rule": route.rule,
        "cost_nusd": metering.cost_nusd(first, usage, at_s),
    }
