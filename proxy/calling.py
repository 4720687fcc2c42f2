"""The calls of one exchange: one deployment after the other until one answers, each on file before it is made."""

from __future__ import annotations

from collections.abc import Iterable

from margin import records
from proxy import limiting, metering
from proxy.routing.tries import Tries
from proxy.settings import Deployment
from proxy.settlement import NS, Call, Case
from proxy.upstream import client, dialects
from proxy.upstream.client import Answer, CallFailed, Lost, Unsent
from proxy.upstream.dialects import DIALECTS
from proxy.wire.errors import Malformed, ProxyError, Rejected, UpstreamBroke, UpstreamFailed, UpstreamLate
from proxy.world import World


async def in_turn(world: World, case: Case, tries: Tries, deployments: Iterable[Deployment]) -> tuple[Call, Answer]:
    """Try deployments in order until one answers; each try is a cost line of its own.

    Raises:
        Refused: the provider says the request itself is wrong; no other is asked.
        Malformed: it cannot be said in the wire format of any of them; nobody was asked.
        OverLimit, OverBudget: none of them has room.
        UpstreamFailed: none answered, or all rest.
    """
    attempts_max = case.settings.routing.retries.attempts_max
    for deployment in deployments:
        try:
            body = dialects.request_body(deployment, case.ask)
        except Malformed as error:
            tries.unsayable(error)
            continue
        if not tries.may_call(deployment, attempts_max, case.left_s()):
            if tries.is_over:
                break
            continue
        try:
            most_nusd = await limiting.call(world, case, deployment)
        except Rejected as error:  # this model's limit, or a budget that does not cover it
            tries.limited(error)
            continue
        before = tries.begin()
        try:
            answer = await _call(world, case, tries.n, deployment, body, most_nusd)
        except CallFailed as error:
            tries.lost(error.phase, _failed(world, case, tries.n, deployment, error))
            continue
        if answer.status == 200:
            now = tries.answered(is_stream=case.ask.stream)
            return Call(tries.n, deployment, 200, now - before, before - case.started, tries.detour, most_nusd), answer
        if tries.refused(answer.status, await _refused(world, case, tries.n, deployment, answer)):
            break
    raise tries.error()


async def _call(world: World, case: Case, n: int, deployment: Deployment, body: bytes, most_nusd: int | None) -> Answer:
    t = world.now()
    estimate, tier = case.route.input_estimate, metering.service_tier_of(deployment, case.ask)
    case.ticket.call(
        records.called(
            x=case.ticket.x, t=t, attempt=n, provider=deployment.provider.name, deployment=deployment.name,
            model=deployment.model, card=metering.card_id(deployment, t // NS, tier), input_estimate=estimate,
            input_cost_nusd=metering.cost_nusd(deployment, metering.estimated(estimate, 0, tier), t // NS),
            before=case.ticket.attempts,
            most_nusd=most_nusd,
        )
    )  # fmt: skip
    # Once the request is sent: where the route did not depend on it, the provider's time is when to judge.
    world.soon(case.judging.judge)
    # Each phase up to the answer's head has a deadline of its own in the transport, besides the exchange's.
    return await world.upstream.call(deployment, body, case.left_s(), case.ask.surface, stream=case.ask.stream)


def _failed(world: World, case: Case, n: int, deployment: Deployment, error: CallFailed) -> ProxyError:
    """Note a call without an answer. What was sent may be billed: its input is booked as an estimate.

    Budgets that were stated count all that was held for it: docs/adr/0024.
    """
    tier = metering.service_tier_of(deployment, case.ask)
    usage = metering.estimated(case.route.input_estimate, 0, tier) if isinstance(error, Lost) else None
    at_s = world.now() // NS
    assert case.ticket.last_call is not None, "what failed was called"
    line = metering.attempt(n, deployment, at_s, usage=usage, failed=True, status=None,
                            most_nusd=case.ticket.last_call.get("max"))  # fmt: skip
    case.ticket.attempts.append(line)
    if error.late:
        return UpstreamLate(f"The provider did not answer in time ({error.phase}).")
    if isinstance(error, Unsent):
        return UpstreamFailed("The provider cannot be reached.")
    return UpstreamBroke("The provider's connection broke before it answered.")


async def _refused(world: World, case: Case, n: int, deployment: Deployment, answer: Answer) -> ProxyError:
    """Note an answer that is an error. Providers bill nothing for those."""
    at_s = world.now() // NS
    case.ticket.attempts.append(metering.attempt(n, deployment, at_s, usage=None, failed=True, status=answer.status))
    try:
        body = await answer.read(client.ERROR_BYTES_MAX)
    except Lost:
        body = b""
    dialect = DIALECTS[deployment.provider.dialect]
    return dialect.read_error(answer.status, body, answer.header("retry-after"))
