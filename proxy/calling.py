"""The calls of one exchange: one deployment after the other until one answers, each on file before it is made."""

from __future__ import annotations

from collections.abc import Sequence

from proxy import hedging, limiting, sending
from proxy.routing.tries import Tries, spared
from proxy.sending import Made
from proxy.settings import Deployment
from proxy.settlement import Call, Case
from proxy.upstream import dialects
from proxy.upstream.client import Answer, CallFailed
from proxy.wire.errors import Malformed, Rejected
from proxy.world import World


async def in_turn(world: World, case: Case, tries: Tries, deployments: Sequence[Deployment]) -> tuple[Call, Answer]:
    """Try deployments in order until one answers; each try is a cost line of its own.

    Raises:
        Refused: the provider says the request itself is wrong; no other is asked.
        Malformed: it cannot be said in the wire format of any of them; nobody was asked.
        OverLimit, OverBudget: none of them has room.
        UpstreamFailed: none answered, or all rest.
    """
    routing, beside = case.settings.routing, None
    most = routing.retries.attempts_max
    if len(deployments) > most and not case.route.rule.startswith("named"):  # of named ones the order is configured
        deployments = spared(deployments, most - tries.n)
    for place, deployment in enumerate(deployments):
        if tries.is_over:
            break
        if deployment is beside:  # called already, as another was slow
            continue
        try:
            body = dialects.request_body(deployment, case.sent)
        except Malformed as error:
            tries.unsayable(error)
            continue
        if not tries.may_call(deployment, most, case.left_s()):
            continue
        try:
            most_nusd = await limiting.call(world, case, deployment)
        except Rejected as error:  # this model's limit, or a budget that does not cover it
            tries.limited(error)
            continue
        began_s = tries.begin()
        made = sending.note(world, case, tries.n, deployment, body, began_s, most_nusd, case.ticket.attempts)
        # Once the request is sent: where the route did not depend on it, the provider's time is when to judge.
        world.soon(case.judging.judge)
        try:
            if routing.hedge is None or made.n > 1:
                answer: Answer | None = await sending.send(world, case, made)
            else:
                made, answer, beside = await hedging.raced(world, case, tries, made, deployments[place + 1 :])
        except CallFailed as error:
            tries.lost(error.phase, sending.failed(world, case, made, error))
            continue
        if answer is None:
            continue
        if answer.status == 200:
            return _answered(case, tries, made, began_s, beside), answer
        tries.is_over = tries.refused(answer.status, await sending.refused(world, case, made, answer))
    raise tries.error()


def _answered(case: Case, tries: Tries, made: Made, began_s: float, beside: Deployment | None) -> Call:
    """Return the call that answered. `began_s`: since when the caller waits for providers and not for us."""
    now_s = tries.answered(is_stream=case.ask.stream)
    detour = tries.detour if beside is None else f"{tries.detour}+hedged"
    return Call(
        made.n, made.deployment, 200, now_s - began_s, began_s - case.started, detour, made.most_nusd,
        beside=None if beside is None else beside.name, is_marked=made.is_marked,
    )  # fmt: skip
