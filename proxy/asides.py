"""A call of our own beside a customer's exchange: bounded, on file before it is made, booked, never charged.

It is an exchange of its own, of no credits, under the other's name, which ends void with its cost line: whoever dies
leaves what the keeper closes as any other (docs/adr/0063). It takes from the budget of its kind and from those of all
costs together, and of its model's limits; from no limit of the customer's.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import NamedTuple

from margin import records
from margin.journal import JournalBroken
from margin.ledger.spending import most_nusd
from margin.records import Aside, Record
from proxy import metering, sending
from proxy.admission import Ticket
from proxy.ceilings import ceiling_nusd
from proxy.limits.guard import Away, Reached
from proxy.limits.passage import Passage
from proxy.limits.shares import Amounts
from proxy.routing.tries import Tries
from proxy.settings import Budget, Deployment
from proxy.settlement import NS, Case
from proxy.upstream import dialects
from proxy.upstream.client import CallFailed
from proxy.upstream.dialects import gists
from proxy.wire.ask import Ask, input_estimate
from proxy.wire.errors import Malformed, ProxyError, UpstreamBroke
from proxy.wire.gist import Gist
from proxy.world import World

ANSWER_BYTES_MAX = 1 << 20
"""Of an answer that we look at ourselves: a hundred thousand tokens are half of it."""


class NotAsked(Exception):
    """Nobody was called: no budget or limit has room, the model rests, or its format has no words for it."""


class Question(NamedTuple):
    """What is asked beside which exchange, of whom, within which budget, and how long its answer is waited for.

    `output_tokens` is how long its answer is reckoned to be at most: what budgets and limits hold for it.
    """

    x: str
    kind: Aside
    deployment: Deployment
    ask: Ask
    budget: Budget
    within_s: float
    output_tokens: int


class _Room:
    """What a call has of its budgets and of its model's limits, until its books are closed."""

    __slots__ = ("_budgets", "_model", "most_nusd")

    def __init__(self, budgets: Passage, model: Passage, most: int) -> None:
        self._budgets, self._model, self.most_nusd = budgets, model, most

    def end(self, attempts: list[Record], credits_milli: int) -> None:
        """It came to this; where nobody was called it never counted."""
        if not attempts:
            self._budgets.undo()
            self._model.undo()
            return
        cost = sum(map(most_nusd, attempts))
        used = sum(sum(each["u"].values()) for each in attempts if each["u"] is not None)
        self._budgets.end(Amounts(0, 0, cost, credits_milli))
        self._model.end(Amounts(1, used, cost, credits_milli))

    def repeat(self, credits_milli: int) -> None:
        """No answer from memory is asked for here."""
        raise AssertionError(credits_milli)


async def ask(world: World, case: Case, question: Question) -> Gist | None:
    """Ask, and close the books of it; return what the answer comes to, None where it is none.

    Raises:
        NotAsked: nothing was booked.
    """
    deployment = question.deployment
    if world.is_closing or world.vitals.rests(deployment):
        raise NotAsked
    try:
        body = dialects.request_body(deployment, question.ask)
        room = await _room(world, case, question)
    except (Malformed, Reached, Away):
        raise NotAsked from None
    tries = Tries(world.vitals)
    if not tries.may_call(deployment, 1, question.within_s):  # it began to rest meanwhile
        room.end([], 0)
        raise NotAsked
    beside = _beside(world, case, question, room)
    try:
        return await _called(world, beside, question, tries, body, room.most_nusd)
    except (ProxyError, JournalBroken):  # the books cannot be written: what is on file the keeper closes
        return None
    finally:
        _close(world, beside.ticket, question.kind)


async def _room(world: World, case: Case, question: Question) -> _Room:
    """Take what the call needs.

    Raises:
        Reached, Away: there is not so much, or nobody can tell.
    """
    limits, guard = case.settings.limits, world.limits.guard
    bounded: Ask = question.ask._replace(output_max=question.output_tokens)  # type: ignore[attr-defined]
    found = ceiling_nusd(question.deployment, bounded, world.now() // NS, assumed_out=question.output_tokens)
    most = 0 if found is None else found  # of an unknown price nothing is booked, so no budget can count it
    tokens = input_estimate(bounded) + question.output_tokens
    budgets = await guard.admit(world.limits.aside(question.kind, question.budget, limits), Amounts(0, 0, most, 0))
    model = None
    try:
        model = await guard.admit(world.limits.of_model(question.deployment.name, limits), Amounts(1, tokens, most, 0))
    finally:
        if model is None:  # no room, or cancelled: nobody is called
            budgets.undo()
    return _Room(budgets, model, most)


def _beside(world: World, case: Case, question: Question, room: _Room) -> Case:
    """Return the call's own exchange, held: it charges nothing."""
    t, route = world.now(), case.route
    ticket = Ticket(
        world.journal, world.wallets, records.aside(question.x, question.kind), case.ticket.customer, enforced=False
    )
    ticket.right = room
    ticket.hold(
        records.held(
            x=ticket.x, t=t, customer=ticket.customer, key=case.principal.key, plan=case.plan.name,
            plan_version=case.plan.version, charge_tier=route.charge_tier, served_tier=question.deployment.tier,
            credits_milli=0, deadline_t=t + int(question.within_s + 60) * NS,
        )
    )  # fmt: skip
    return case._replace(
        ask=question.ask, ticket=ticket, started=time.perf_counter(), within_s=question.within_s, place=None, seat=None,
        route=route._replace(input_estimate=input_estimate(question.ask)),
    )  # fmt: skip


async def _called(
    world: World, beside: Case, question: Question, tries: Tries, body: bytes, most: int
) -> Gist | None:  # fmt: skip
    """Make the call, and note its cost line. What fails says as much of the model as any other call that does."""
    deployment, ask, ticket = question.deployment, question.ask, beside.ticket
    made = sending.note(world, beside, 1, deployment, body, tries.begin(), most, ())
    try:
        answer = await sending.send(world, beside, made)
    except CallFailed as error:
        tries.lost(error.phase, sending.failed(world, beside, made, error))
        return None
    if answer.status != 200:
        tries.refused(answer.status, await sending.refused(world, beside, made, answer))
        return None
    tries.answered(is_stream=False)
    read, call_id, usage, is_whole = b"", answer.call_id, None, False
    try:
        read = await answer.read(ANSWER_BYTES_MAX, beside.left_s())
        named, usage, _ = dialects.read_answer(deployment, ask, read, world.now() // NS)
        call_id, is_whole = named or call_id, True
    except (CallFailed, UpstreamBroke):  # it broke off, or is no answer: it may be billed
        pass
    if usage is None:
        tier = metering.service_tier_of(deployment, ask)
        usage = metering.estimated(beside.route.input_estimate, len(read) // 4, tier)
    ticket.attempts.append(
        metering.attempt(1, deployment, world.now() // NS, usage=usage, status=answer.status, call_id=call_id,
                         most_nusd=most, whole=is_whole, aside=question.kind)
    )  # fmt: skip
    return gists.read(deployment, ask, read) if is_whole else None


def _close(world: World, ticket: Ticket, kind: Aside) -> None:
    """Close the books of it; of a call that was given up, what its input may cost stays booked."""
    if ticket.last_call is not None and not ticket.attempts:
        ticket.attempts.append(records.lost(ticket.last_call))
    if ticket.is_open:
        with suppress(JournalBroken):
            ticket.void(world.now(), kind)
