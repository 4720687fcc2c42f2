"""Answers that are checked before they are given: one that is not good enough is asked for again, one tier up.

Only what its caller has seen nothing of: a plain answer, or a stream that is held back until it is whole. Each call is
a cost line of its own, and the customer pays once, what was frozen at admission. When nobody better answers, the caller
gets the best there is. See docs/adr/0044.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from proxy import calling, limiting, metering
from proxy.routing import policy
from proxy.routing.checks import flaw
from proxy.routing.policy import Route
from proxy.routing.tries import Tries
from proxy.settings import TIERS, Deployment, Flaw, Tier
from proxy.settings.patterns import Pattern, pattern
from proxy.settlement import NS, Call, Case
from proxy.upstream import dialects
from proxy.upstream.client import Answer, Held
from proxy.upstream.dialects import gists
from proxy.wire.errors import Malformed, ProxyError, UpstreamBroke
from proxy.wire.surfaces import CONVERSATIONS
from proxy.world import World

HELD_BYTES_MAX: Final = 4 << 20
"""Of an answer that is held back: a hundred thousand tokens are half a megabyte, as events eight times that. What is
longer is given unchecked."""
EXPECT: Final = "x-penstock-expect"


def expected(route: Route, headers: Mapping[bytes, bytes]) -> Pattern | None:
    """Return the pattern that a caller wants to find in its answer, where its route heeds that.

    Raises:
        Malformed: it is none.
    """
    said = headers.get(b"x-penstock-expect")
    if said is None or route.checks is None or not route.checks.callers:
        return None
    try:
        return pattern(said.decode())
    except UnicodeDecodeError:
        raise Malformed(f"`{EXPECT}` must be UTF-8.", param=EXPECT) from None
    except ValueError as error:
        raise Malformed(f"`{EXPECT}` {error}.", param=EXPECT) from None


async def good_enough(world: World, case: Case, tries: Tries, call: Call, answer: Answer) -> tuple[Call, Answer]:
    """Return an answer that passes the route's checks, or the best there is, and the call that gave it.

    Raises:
        JournalBroken: nothing more can be called, or charged.
    """
    checks = case.route.checks
    assert checks is not None, "the route says that answers are checked"
    if case.ask.stream and not checks.holds_streams:
        return call, answer
    world.vitals.escalations.request()
    began_s, waited_for_us_s = time.perf_counter() - call.upstream_s, call.overhead_s
    while True:
        held = Held(answer)
        body = await held.take(HELD_BYTES_MAX, case.left_s())
        call = call._replace(upstream_s=time.perf_counter() - began_s, overhead_s=waited_for_us_s)
        why = flaw_of(case, call, body) if held.is_whole else None
        if why is None:
            return call, held
        following = await _above(world, case, tries, call, body, why)
        if following is None:
            return call._replace(flaw=why, detour=f"{call.detour}+flawed:{why}"), held
        await held.close()
        call, answer = following


def flaw_of(case: Case, call: Call, body: bytes) -> Flaw | None:
    """Return what is wrong with an answer; None where nothing is, or nobody can tell."""
    gist = gists.read(call.deployment, case.ask, body)
    if gist is None:
        return None
    assert case.route.checks is not None
    surface = CONVERSATIONS[case.ask.surface]
    return flaw(case.route.checks, gist, surface.knobs(case.ask).shape, surface.schema(case.ask), case.expects)


async def _above(
    world: World, case: Case, tries: Tries, call: Call, body: bytes, why: Flaw
) -> tuple[Call, Answer] | None:
    """Ask for it again one tier up; None where nobody is there, may be called, or answers."""
    tier, above = higher(case, call.deployment)
    if not above or not tries.may_escalate(case.settings.routing.retries.attempts_max, case.left_s()):
        return None
    attempts = case.ticket.attempts
    line = _line(world, case, call, body)
    attempts.append(line)
    try:
        following, answer = await calling.in_turn(world, case, tries, above)
    except ProxyError:
        # The answer at hand is given after all: its cost line comes last, when it is settled.
        limiting.end_call(case)
        attempts.remove(line)
        return None
    before = (*call.escalated, (call.deployment.name, tier, why))
    return following._replace(escalated=before, detour=f"{following.detour}+escalated:{why}"), answer


def higher(case: Case, deployment: Deployment) -> tuple[Tier, list[Deployment]]:
    """Return the tier that a deployment serves in, and those of the route that serve above it, the next tier first."""
    lowest = case.route.served_tier
    tier = policy.tier_of(case.settings, deployment, lowest)
    ranks = {each.name: TIERS.index(policy.tier_of(case.settings, each, lowest)) for each in case.route.deployments}
    above = [each for each in case.route.deployments if ranks[each.name] > TIERS.index(tier)]
    return tier, sorted(above, key=lambda each: ranks[each.name])


def _line(world: World, case: Case, call: Call, body: bytes) -> dict[str, object]:
    """Return the cost line of an answer that nobody gets."""
    at_s, call_id, usage, estimate = world.now() // NS, None, None, len(body) // 4
    if case.ask.stream:
        stream = dialects.stream(call.deployment, case.ask, at_s)
        stream.feed(body)
        call_id, usage, estimate = stream.call_id, stream.usage, stream.output_estimate
    else:
        with suppress(UpstreamBroke):
            call_id, usage, _ = dialects.read_answer(call.deployment, case.ask, body, at_s)
    if usage is None:
        tier = metering.service_tier_of(call.deployment, case.ask)
        usage = metering.estimated(case.route.input_estimate, estimate, tier)
    return metering.attempt(
        call.n, call.deployment, at_s, usage=usage, status=call.status, call_id=call_id, most_nusd=call.most_nusd,
        whole=True, sake="escalation",
    )  # fmt: skip
