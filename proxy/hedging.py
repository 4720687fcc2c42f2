"""A slow call gets company: one more is made elsewhere, and whoever answers first serves.

The other is given up and booked as a call that nobody saw the answer of: an estimate in the books, the most that it
may cost in stated budgets (docs/adr/0024, 0046). Only the first call of an exchange, before its caller has a byte, and
within a budget of such calls. Off unless `routing.hedge` is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from margin import records
from proxy import limiting, sending
from proxy.routing import policy
from proxy.routing.tries import Tries
from proxy.sending import Made
from proxy.settings import Deployment
from proxy.settlement import Case
from proxy.upstream import dialects
from proxy.upstream.client import Answer, CallFailed
from proxy.wire.errors import Malformed, ProxyError
from proxy.world import World


class _Running:
    """A call under way. `is_beside`: it is the one that was made as the other was slow."""

    def __init__(self, world: World, case: Case, made: Made, *, is_beside: bool = False) -> None:
        self.made, self.is_beside = made, is_beside
        self.task = asyncio.ensure_future(sending.send(world, case, made))


async def raced(
    world: World, case: Case, tries: Tries, made: Made, others: Sequence[Deployment]
) -> tuple[Made, Answer | None, Deployment | None]:
    """Wait for a call's answer, and when it is slow ask another deployment beside it.

    Returns the call that ended, its answer (None: both brought none, which is noted), and who was asked beside it.

    Raises:
        CallFailed: it brought no answer, and nobody else was asked.
    """
    terms, vitals = case.settings.routing.hedge, world.vitals
    assert terms is not None, "the configuration has a hedge"
    vitals.hedges.request()
    after_s = vitals.delays.after_s(made.deployment, float(terms.quantile), is_stream=case.ask.stream)
    if after_s is None or not others:
        answer = await sending.send(world, case, made)
        return _learnt(world, case, made, answer), answer, None
    running = [_Running(world, case, made)]
    try:
        await asyncio.wait([running[0].task], timeout=max(after_s, terms.delay_min_s))
        second = None if running[0].task.done() else await _beside(world, case, tries, made, others)
        if second is None:
            answer = await running[0].task
            running.clear()
            return _learnt(world, case, made, answer), answer, None
        running.append(second)
        found, given = await _faster(world, case, tries, running)
        return found, given, second.made.deployment
    finally:
        _give_up(case, running)


def _learnt(world: World, case: Case, made: Made, answer: Answer) -> Made:
    if answer.status == 200:
        head_s = time.perf_counter() - made.began_s
        world.vitals.delays.learn(made.deployment, head_s, is_stream=case.ask.stream)
    return made


async def _beside(world: World, case: Case, tries: Tries, made: Made, others: Sequence[Deployment]) -> _Running | None:
    """Make one more call, to the first other of the same tier that may be called; None where none may.

    A tier up would be faster at ten times the price: that is not what company is for.
    """
    vitals, lowest = world.vitals, case.route.served_tier
    tier = policy.tier_of(case.settings, made.deployment, lowest)
    for deployment in others:
        if policy.tier_of(case.settings, deployment, lowest) != tier:
            continue
        if deployment.name == made.deployment.name or vitals.of(deployment).rests_until_s:
            continue
        try:
            body = dialects.request_body(deployment, case.sent)
        except Malformed:
            continue
        if tries.n >= case.settings.routing.retries.attempts_max or not vitals.hedges.take(time.perf_counter()):
            return None
        try:
            most_nusd = await limiting.call(world, case, deployment, is_beside=True)
        except ProxyError:  # no room for it: what is under way goes on
            return None
        began_s = time.perf_counter()
        tries.n += 1
        # Should we die now, both may be billed.
        before = [*case.ticket.attempts, records.lost(made.record)]
        second = sending.note(world, case, tries.n, deployment, body, began_s, most_nusd, before)
        return _Running(world, case, second, is_beside=True)
    return None


async def _faster(world: World, case: Case, tries: Tries, running: list[_Running]) -> tuple[Made, Answer | None]:
    """Return the first answer of two calls, and give the other up; the last one's end where neither answers well."""
    while True:
        await asyncio.wait([each.task for each in running], return_when=asyncio.FIRST_COMPLETED)
        each = next(each for each in running if each.task.done())
        made = each.made
        tries.about(made.deployment, made.began_s)
        running.remove(each)
        try:
            answer = each.task.result()
        except CallFailed as error:
            tries.lost(error.phase, sending.failed(world, case, made, error))
        else:
            if answer.status == 200:
                _learnt(world, case, made, answer)
                _lose(case, running)
                limiting.goes_on(case, is_beside=each.is_beside)
                if case.ticket.last_call is not made.record:
                    # The last call on file is the one that goes on.
                    case.ticket.call({**made.record, "a": list(case.ticket.attempts)})
                return made, answer
            tries.is_over = tries.refused(answer.status, await sending.refused(world, case, made, answer))
        limiting.end_one(case, is_beside=each.is_beside)
        if tries.is_over or not running:
            _lose(case, running)
            return made, None


def _lose(case: Case, running: list[_Running]) -> None:
    """Give calls up that are still under way, and book them."""
    for each in running:
        each.task.cancel()
        each.task.add_done_callback(_close)
        case.ticket.attempts.append({**records.lost(each.made.record), "for": "hedge"})
        limiting.end_one(case, is_beside=each.is_beside)
    running.clear()


def _give_up(case: Case, running: list[_Running]) -> None:
    """Whoever waits was cancelled: calls end, and those that are not the last on file are booked here."""
    for each in running:
        each.task.cancel()
        each.task.add_done_callback(_close)
        if case.ticket.last_call is not each.made.record:
            case.ticket.attempts.append(records.lost(each.made.record))


def _close(task: asyncio.Task[Answer]) -> None:
    """Give back the connection of an answer that came all the same."""
    if not task.cancelled() and task.exception() is None:
        closing = asyncio.ensure_future(task.result().close())
        closing.add_done_callback(lambda done: done.cancelled() or done.exception())
