"""One request for an answer, from bytes in to books closed. Read this file first.

    authenticate → read → classify → route → admit (limits, hold) → answer (check) → meter → settle → reply
                                                                       └ from memory: charge ──────┘

Every step raises only `ProxyError`. What is refused before the hold leaves no trace in the books; after it the ticket
is settled or voided exactly once, whoever leaves, breaks or dies. A plain answer is settled before it is sent; a
stream is settled before its last byte is (`proxy.streaming`). Whom it calls, in turn, stands in `proxy.calling`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from margin import records
from margin.journal import JournalBroken
from margin.sellbook import Plan
from proxy import (
    advising,
    calling,
    conversing,
    escalating,
    idempotency,
    identity,
    joining,
    limiting,
    repeating,
    resembling,
    shadowing,
    staying,
    telling,
    trimming,
)
from proxy.admission import KeeperAway, Ticket, put_aside
from proxy.caching.answers import Found
from proxy.idempotency import Claim, Tape
from proxy.identity import Principal
from proxy.quote import FREE, quote
from proxy.repeating import Replay, Understood
from proxy.routing import deadline, gating, hints, policy, rules
from proxy.routing.guard import Acts
from proxy.routing.judging import Judging
from proxy.routing.rules import Asker
from proxy.routing.tries import Tries
from proxy.settings import Tier
from proxy.settlement import NS, Call, Case, settle
from proxy.streaming import Relay
from proxy.upstream import dialects
from proxy.upstream.client import Answer, CallFailed
from proxy.wire import headers
from proxy.wire.ask import Ask
from proxy.wire.errors import (
    Forbidden,
    ProxyError,
    Unavailable,
    UpstreamBroke,
    UpstreamLate,
)
from proxy.wire.headers import Headers
from proxy.wire.surfaces import SURFACES
from proxy.world import World


class Inbound(NamedTuple):
    """A request as it came: header names in lower case, the whole body."""

    headers: Mapping[bytes, bytes]
    body: bytes
    surface: str = "chat"
    """The API it is written in."""


class Reply(NamedTuple):
    """What goes back: a whole body, or a relay that streams one."""

    status: int
    headers: Headers
    body: bytes = b""
    relay: Relay | Replay | None = None


async def serve(world: World, principal: Principal, inbound: Inbound, started: float) -> Reply:
    """Answer one request. The caller was authenticated before its body was read.

    Raises:
        ProxyError: nothing is charged; what the attempts cost us is booked.
    """
    principal = await attribute(world, principal, inbound)
    plan = world.plan_of(principal.plan)
    if plan.access is not None:
        gating.check(plan, plan.access, inbound.headers, inbound.surface)
    task = inbound.headers.get(joining.HEADER)
    joined = None if task is None else await joining.join(world, principal, task)
    hint = hints.read(inbound.headers)
    asker = rules.asker(world.settings.routing, principal.name, inbound.headers)
    acts = world.guarded.get(principal.customer)
    known = await conversing.read(world, principal, inbound.body) if inbound.surface == conversing.SURFACE else None
    understood = understand(world, principal, plan, inbound, hint, asker, acts, known)
    ask, judging, route, place = understood
    route, seat = staying.sit(world, principal, plan, inbound.headers, understood, hint, asker, acts)
    feature = limiting.feature(inbound.headers, world.settings.limits)
    member = limiting.member(world, principal, plan, inbound.headers, ask.fields)
    bundle = limiting.bundle_of(world, principal, plan, feature, member)
    ticket = Ticket(world.journal, world.wallets, world.new_exchange(), principal.customer,
                    enforced=plan.credits.enforce == "hard")  # fmt: skip
    terms = quote(plan, route, ask, world.outputs) if joined is None or not joined.is_whole else FREE
    case = Case(
        world.settings, principal, plan, ask, judging, route, terms, ticket, started, _wants_cost(principal, inbound),
        bundle, feature, hint, place=place, within_s=deadline.read(inbound.headers, world.settings.routing.deadline_s),
        member=member, asker=asker, expects=escalating.expected(route, inbound.headers) if route.checks else None,
        expected=staying.learner(world, seat), seat=seat, acts=acts,
        joined=joined,
    )  # fmt: skip
    claim = idempotency.read(inbound.headers, ask, ticket)
    return await run(world, case) if claim is None else await once(world, case, claim)


def understand(
    world: World, principal: Principal, plan: Plan, inbound: Inbound, hint: Tier | None, asker: Asker | None,
    acts: Acts | None, ask: Ask | None = None,
) -> Understood:  # fmt: skip
    """Read a request, unless it is; judge and route it; one that came before, byte for byte, is understood already."""
    seen = repeating.sight(world, principal, inbound, hint, asker)
    if seen is not None:
        found = repeating.known(world, principal, plan, acts, seen)
        if found is not None:
            return found
    if ask is None:
        ask = SURFACES[inbound.surface].read(inbound.body)
    judging = Judging(ask, world.settings.classifier)
    route = policy.route(world.settings, plan, ask, judging, hint, dialects.uncarried, principal.terms, asker,
                         world.prices, acts)  # fmt: skip
    return Understood(ask, judging, route, repeating.place(world, principal, seen, ask, route))


async def once(world: World, case: Case, claim: Claim) -> Reply:
    """Run an exchange under an idempotency key, or return the answer that was given before.

    Raises:
        ProxyError: as `run`, and when the key is in use or was another request's.
    """
    ticket = case.ticket
    stored = await idempotency.take(world.keeper, claim)
    if stored is not None:
        return Reply(200, stored.headers, stored.body)
    ticket.claim = (claim.key, claim.request)
    tape = Tape(world.keeper, claim, case.settings.idempotency.answer_bytes_max)
    try:
        reply = await run(world, case)
    except ProxyError:
        await tape.end(ticket)
        raise
    except BaseException:
        # Cancelled, or a bug of ours: the keeper must not hold the key for good.
        tape.drop(ticket)
        raise
    tape.begin(reply.headers)
    if reply.relay is not None:
        reply.relay.tape = tape
    else:
        tape.add(reply.body)
        await tape.end(ticket)
    return reply


async def run(world: World, case: Case) -> Reply:
    """Admit an exchange, call, answer; its ticket is settled or voided, or its relay will."""
    ticket, case = case.ticket, repeating.sought(world, case)
    try:
        await admit(world, case)
    except limiting.UsedUp as used:
        case = lowered(world, case, used)
        await admit(world, case)
    try:
        if case.settings.classifier.labels is not None:
            advising.remembered(world, case)
        if case.settings.classifier.advisor is not None and case.found is None:
            case = await advising.advised(world, case)
        if case.place is not None and case.found is None:
            case = await repeating.followed(world, case)
            if case.found is None and case.settings.caching.semantic is not None:
                case = await resembling.sought(world, case)
        if case.found is not None:
            return await repeated(world, case, case.found)
        if case.settings.caching.trim is not None:
            case = trimming.lean(case)
        tries = Tries(world.vitals)
        call, answer = await calling.in_turn(world, case, tries, case.route.deployments)
        if case.route.checks is not None:
            call, answer = await escalating.good_enough(world, case, tries, call, answer)
        return streamed(world, case, call, answer) if case.ask.stream else await plain(world, case, call, answer)
    except ProxyError as error:
        error.exchange = ticket.x
        void(world, ticket, error.reason)
        raise
    except JournalBroken:
        # The keeper will find the exchange open when this process ends, and close it.
        raise Unavailable("The books cannot be written right now.", retry_after_s=5) from None
    except BaseException as why:
        # Cancelled, or a bug of ours: the ticket is closed all the same, and the log says which exchange it was.
        abandon(world, ticket)
        why.add_note(f"in exchange {ticket.x}")
        raise


def lowered(world: World, case: Case, used: limiting.UsedUp) -> Case:
    """Return an exchange as it is served while a budget is used up that serves cheaper then.

    Raises:
        OverBudget: the key may use none of what serves then.
    """
    plan = limiting.cheaper(case.plan)
    terms, uncarried = case.principal.terms, dialects.uncarried
    try:
        route = policy.route(case.settings, plan, case.ask, case.judging, case.hint, uncarried, terms, case.asker,
                             world.prices, case.acts)  # fmt: skip
    except Forbidden:
        raise limiting.unserved(world, case, used) from None
    price = case.quote if case.quote is FREE else quote(case.plan, route, case.ask, world.outputs)
    return case._replace(route=route, quote=price, is_lowered=True, place=None, found=None)


async def attribute(world: World, principal: Principal, inbound: Inbound) -> Principal:
    """Return who pays: the key's customer, or the one its header names, opened on the default plan at first use."""
    name = identity.customer_name(inbound.headers)
    if name is None:
        return principal
    found = world.identity.attributed(principal, name)
    if found is not None:
        return found
    try:
        await world.keeper.open_customer(name)
    except KeeperAway:
        raise Unavailable("The customer cannot be opened right now.") from None
    opened = world.identity.attributed(principal, name)
    assert opened is not None, "the keeper announces a customer before it answers"
    return opened


def _wants_cost(principal: Principal, inbound: Inbound) -> bool:
    return "see-cost" in principal.scopes and (
        b"x-penstock-cost" in inbound.headers or b"x-penstock-cost-usd" in inbound.headers
    )


async def admit(world: World, case: Case) -> None:
    """Pass the limits, put the charge aside and note the hold, which goes on file with the first call.

    Raises:
        OverLimit, OverBudget, OutOfCredit, Malformed, Unavailable: nothing was held.
    """
    route, ticket, now = case.route, case.ticket, world.now
    if world.is_closing:
        raise Unavailable("The server is shutting down.")
    right = await limiting.admit(world, case)
    if case.plan.credits.enforce == "hard":
        try:
            await put_aside(world.wallets, ticket.customer, case.quote, now)
        except BaseException:  # cancelled, too: what was refused never counted
            right.undo()
            raise
    ticket.right = right
    t = now()
    total_s = route.deployments[0].provider.timeouts.total_s * case.settings.routing.retries.attempts_max
    ticket.hold(
        records.held(
            x=ticket.x, t=t, customer=ticket.customer, key=case.principal.key, plan=case.plan.name,
            plan_version=case.plan.version, charge_tier=route.charge_tier, served_tier=route.served_tier,
            credits_milli=case.quote.hold_milli, deadline_t=t + int(total_s + 60) * NS,
            metered=case.quote.meter is not None,
            claim=ticket.claim, feature=case.feature, member=case.member,
            task=None if case.joined is None else case.joined.id,
        )
    )  # fmt: skip


async def plain(world: World, case: Case, call: Call, answer: Answer) -> Reply:
    """Read a whole answer, meter it, settle it, and reply with the provider's own bytes."""
    before = time.perf_counter()
    try:
        read = await answer.read(within_s=case.left_s())
        call_id, usage, body = dialects.read_answer(call.deployment, case.ask, read, world.now() // NS)
    except (CallFailed, UpstreamBroke) as error:
        # It answered 200 and broke off, or sent nonsense: it may bill, the caller does not pay.
        settle(case, call, None, "error", call_id=None, output_estimate=0, t=world.now())
        if isinstance(error, CallFailed) and error.phase == "total":
            raise UpstreamLate("The provider's answer was not whole in time.") from error
        world.vitals.broke(call.deployment, before)
        raise UpstreamBroke("The provider's answer broke off or is no answer.") from error
    call = call._replace(upstream_s=call.upstream_s + time.perf_counter() - before)
    estimate = len(body) // 4 if case.ask.output_max != 0 else 0
    cost = settle(case, call, usage, "ok", call_id=call_id or answer.call_id, output_estimate=estimate, t=world.now())
    repeating.keep(world, case, call, usage, body)
    if case.ask.surface == conversing.SURFACE:
        await conversing.keep(world, case, call, body)
    await world.durable()
    if case.settings.classifier.shadows is not None and (sample := shadowing.drawn(world, case)) is not None:
        sample.add(read)
        sample.answered(call)
    found = [headers.JSON, *telling.headers_of(world, case, call)]
    if cost is not None and "see-cost" in case.principal.scopes:
        found.append((b"x-penstock-cost-usd", headers.usd(cost)))
    return Reply(200, found, body)


async def repeated(world: World, case: Case, found: Found) -> Reply:
    """Reply with an answer that was given before: charged as the plan says, at no cost."""
    kept, events = found.kept, found.events
    deployment = repeating.served_by(case, kept)
    call = Call(0, deployment, 200, upstream_s=0, overhead_s=time.perf_counter() - case.started)
    repeating.charge(world, case, kept)
    await world.durable()
    said = telling.headers_of(world, case, call, cache=b"hit" if found.resembling is None else b"semantic")
    if "see-cost" in case.principal.scopes and (events is None or case.wants_cost):
        said.append((b"x-penstock-cost-usd", headers.usd(0)))
    if events is None:
        return Reply(200, [headers.JSON, *said], kept.body)
    return Reply(200, [*headers.STREAM, *said], relay=repeating.Replay(case.ticket, events, said))


def streamed(world: World, case: Case, call: Call, answer: Answer) -> Reply:
    """Reply with a relay: it owns the answer, and settles."""
    case.ticket.streaming()
    return Reply(200, [*headers.STREAM, *telling.headers_of(world, case, call)], relay=Relay(world, case, call, answer))


def void(world: World, ticket: Ticket, why: str) -> None:
    """Give the hold back, if the ticket is still open."""
    if ticket.is_open:
        with suppress(JournalBroken):
            ticket.void(world.now(), why)


def abandon(world: World, ticket: Ticket) -> None:
    """Close an exchange that ends inside a call: what its input may cost stays booked, the caller pays nothing."""
    call = ticket.last_call
    if ticket.is_open and call is not None and all(line["n"] != call["n"] for line in ticket.attempts):
        ticket.attempts.append(records.lost(call))
    void(world, ticket, "aborted")
