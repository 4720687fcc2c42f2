"""Answers from memory, as an exchange sees them: found before anybody is called, kept after somebody answered.

A request that came before, byte for byte, from the same key, is not read, judged and routed again. A hit passes the
limits and is charged by its plan; it cost nothing, and its journal is one record that names the exchange it repeats.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from margin import records
from margin.money import share_milli
from margin.sellbook import Plan
from margin.usage import Usage
from proxy import metering, resembling
from proxy.admission import Ticket
from proxy.caching import repeatable, words
from proxy.caching.answers import SHARE_MAX, Found, Kept, Known, Place
from proxy.caching.stores.store import Store
from proxy.caching.words import Words
from proxy.identity import Principal
from proxy.routing.guard import Acts
from proxy.routing.judging import Judging
from proxy.routing.policy import Route
from proxy.routing.rules import Asker
from proxy.settings import Deployment, Tier
from proxy.settlement import NS, Call, Case
from proxy.wire import chat_again, sse
from proxy.wire.ask import Ask
from proxy.wire.chat_pieces import usage_of
from proxy.wire.headers import Headers
from proxy.world import World

if TYPE_CHECKING:
    from proxy.exchange import Inbound
    from proxy.idempotency import Tape
    from proxy.streaming import Outlet

SURFACE = "chat"
"""The one API whose answers are kept: only its own can be told in both of their forms."""
EVENTS_AT_ONCE = 16
"""Events in one write of a repeated stream: it is all there, and a write for each would only cost."""


FLIGHTS_MAX = 3
"""How many others are waited for, one after the other, whose calls bring nothing: after that a call of one's own."""
FOLLOW_S = 60.0
"""A plain answer takes as long as it takes; a caller would wait as long for its own."""
FOLLOW_STREAM_S = 5.0
"""Who wants a stream looks at it: it is told only once the other's is whole, so it is not waited for longer."""


class Understood(NamedTuple):
    """A request, read, judged and routed; and where its answer is kept, if it may be given again."""

    ask: Ask
    judging: Judging
    route: Route
    place: Place | None


class Sight(NamedTuple):
    """A request before it is read: the digest of its bytes, and what its caller says about answers from memory."""

    digest: bytes
    words: Words


def sight(world: World, principal: Principal, inbound: Inbound, hint: Tier | None, asker: Asker | None) -> Sight | None:
    """Look at a request; None where answers are not kept, or its caller wants none kept.

    Raises:
        Malformed: its header says what it cannot.
    """
    if inbound.surface != SURFACE:
        return None
    said = words.read(inbound.headers)
    if not world.settings.caching.keeps_any or not (said.reads or said.keeps):
        return None
    who = b"%d|%b|%b|" % (principal.customer, principal.key.encode(), b"" if hint is None else hint.encode())
    if asker is not None:
        who += asker.digest()
    return Sight(blake2b(inbound.body, digest_size=32, key=blake2b(who, digest_size=32).digest()).digest(), said)


def known(world: World, principal: Principal, plan: Plan, acts: Acts | None, seen: Sight) -> Understood | None:
    """Return what was understood of the same bytes before, under this configuration, plan and terms of the key."""
    found = world.answers.known(seen.digest, principal.customer, (world.settings, plan, principal.terms, acts))
    if found is None:
        return None
    ask, judging, route = found.understood
    return Understood(ask, judging, route, Place(seen.digest, found.key, seen.words))


def place(world: World, principal: Principal, seen: Sight | None, ask: Ask, route: Route) -> Place | None:
    """Return where the answer is kept; None when it always comes from a provider."""
    if seen is None or repeatable.why_not(ask) is not None or not world.settings.caching.keeping(route.rule).enabled:
        return None
    return Place(seen.digest, _key(principal, ask, route), seen.words)


def placed(case: Case, route: Route) -> Place | None:
    """Return where an exchange's answer is kept when it goes another route."""
    return None if case.place is None else case.place._replace(key=_key(case.principal, case.ask, route))


def _key(principal: Principal, ask: Ask, route: Route) -> bytes:
    return key(principal.customer, route, repeatable.deciding(ask), ask.surface.encode())


def key(customer: int, route: Route, decided: object, purpose: bytes) -> bytes:
    """Return the digest of what decides an answer: whose it is, who may give it, and `decided`, which is JSON."""
    # Sorted: an order that follows prices, health or a conversation's place says nothing of the answer.
    served = sorted([each.provider.name, each.name, each.model] for each in route.deployments)
    whole = orjson.dumps([customer, route.served_tier, served, decided])
    return blake2b(whole, digest_size=32, person=purpose).digest()


def sought(world: World, case: Case) -> Case:
    """Return an exchange with the answer that it is given from memory, if there is one that is young enough."""
    at = case.place
    if at is None:
        return case
    if case.expects is not None:
        return case._replace(place=None)  # what came before was not held against it
    if not at.words.reads:
        return case
    kept = world.answers.find(at.key, case.principal.customer, since_t(world, case))
    if kept is None:
        return case
    found = told(case, kept)
    return case if found is None else case._replace(found=found)


def since_t(world: World, case: Case) -> int:
    """Return the moment before which an answer is too old for an exchange, in nanoseconds."""
    age_s = case.settings.caching.keeping(case.route.rule).ttl_s
    if case.place is not None and case.place.words.age_s_max is not None and case.place.words.age_s_max < age_s:
        age_s = case.place.words.age_s_max
    return world.now() - int(age_s * NS)


def told(case: Case, kept: Kept) -> Found | None:
    """Return an answer as the caller wants it told; None of one that no stream can tell."""
    if not case.ask.stream:
        return Found(kept, None)
    events = chat_again.events(kept.body, include_usage=case.ask.include_usage)
    return None if events is None else Found(kept, events)


async def followed(world: World, case: Case) -> Case:
    """Wait for the same request of somebody before this one, and take its answer; else be the one that others wait for.

    That one looks in the store first. What comes is an answer from memory like any other. Where none comes in time this
    exchange makes a call of its own.
    """
    at = case.place
    assert at is not None, "an answer that is kept nowhere is nobody's to wait for"
    if not at.words.reads:
        return case
    for _ in range(FLIGHTS_MAX):
        if not world.flights.has(at.key):
            break
        await world.flights.landed(at.key, min(case.left_s(), FOLLOW_STREAM_S if case.ask.stream else FOLLOW_S))
        case = sought(world, case)
        if case.found is not None:
            return case
    if at.words.keeps and not world.flights.has(at.key):
        case.ticket.on_closed = world.flights.begin(at.key)
    return case if world.answer_store is None else await _fetched(world, case, at.key, world.answer_store)


async def _fetched(world: World, case: Case, key: bytes, store: Store) -> Case:
    """Look in the store; what it has is in memory from here on, so that those who wait find it there."""
    kept = await store.find(key, case.principal.customer, since_t(world, case), case.left_s())
    if kept is None:
        return case
    world.answers.keep(key, kept, case.settings.caching.bytes_max)
    found = told(case, kept)
    return case if found is None else case._replace(found=found)


def keep(world: World, case: Case, call: Call, usage: Usage | None, body: bytes) -> None:
    """Keep a whole answer, for who asks the same again; not one whose usage nobody knows."""
    at = case.place
    if at is None or not at.words.keeps or usage is None or usage.source != "reported" or call.flaw is not None:
        return
    bytes_max = case.settings.caching.bytes_max
    answer = Kept(case.principal.customer, body, usage, call.deployment.name, case.ticket.x, world.now())
    if world.answers.keep(at.key, answer, bytes_max):
        if world.answer_store is not None:
            world.answer_store.keep(at.key, answer, case.settings.caching.keeping(case.route.rule).ttl_s)
        _learn(world, case, at)
        if case.meant is not None:
            resembling.learn(world, case, at.key, body)


class Recording:
    """A stream as it goes by, up to a size; at its end it is kept as the answer that it gave, if that can be told."""

    __slots__ = ("_blocks", "_call", "_case", "_left_bytes", "_world")

    def __init__(self, world: World, case: Case, call: Call) -> None:
        self._world, self._case, self._call = world, case, call
        self._blocks: list[bytes] = []
        self._left_bytes = case.settings.caching.bytes_max // SHARE_MAX

    def add(self, block: bytes) -> None:
        """Note whole events; of a stream that is too long, none."""
        self._left_bytes -= len(block)
        if self._left_bytes >= 0:
            self._blocks.append(block)
        else:
            self._blocks.clear()

    def end(self, usage: Usage | None) -> None:
        """The stream is whole."""
        if usage is None or self._left_bytes < 0:
            return
        body = chat_again.completion(b"".join(self._blocks), usage_of(usage))
        if body is not None:
            keep(self._world, self._case, self._call, usage, body)


def _learn(world: World, case: Case, at: Place) -> None:
    if case.advice is not None and case.advice.moves:  # what it went by before it was moved is not known here
        return
    principal = case.principal
    under = (case.settings, case.plan, principal.terms, case.acts)
    found = Known(principal.customer, at.key, under, (case.ask, case.judging, case.route))
    world.answers.learn(at.sight, found, case.ask.body_bytes, case.settings.caching.bytes_max)


def served_by(case: Case, found: Kept) -> Deployment:
    """Return the deployment that made an answer: one of the route's, as these are in its key."""
    route = case.route.deployments
    return next((each for each in route if each.name == found.deployment), route[0])


def charge(world: World, case: Case, found: Kept) -> None:
    """Journal a repeated answer and its charge.

    Raises:
        Unavailable: the books cannot be written; nothing is charged, and nothing may be answered.
    """
    t, share = world.now(), case.plan.credits.cached_share
    full = case.quote.charge_milli(found.usage)
    milli = full if share == 1 else share_milli(full, share)
    spared = metering.cost_nusd(case.route.deployments[0], found.usage, t // NS)
    baseline = case.route.baseline
    would = spared if baseline is case.route.deployments[0] else (
        None if baseline is None else metering.cost_nusd(baseline, found.usage, t // NS)
    )  # fmt: skip
    case.ticket.repeat(
        records.repeated(
            hold=case.ticket.unwritten, t=t, credits_milli=min(milli, case.quote.hold_milli),
            deployment=found.deployment, model=served_by(case, found).model, spared_nusd=spared, baseline_nusd=would,
            decision={"cache": "hit", "of": found.exchange, "requested": case.route.requested,
                      "cached_share": "1" if share == 1 else f"{share.normalize():f}", "stream": case.ask.stream,
                      **_resembling(case), **({} if case.joined is None else {"joined": [*case.joined]})},
        )
    )  # fmt: skip
    if case.place is not None and case.found is not None and case.found.resembling is not None:
        return  # its own answer is not kept: it is looked for anew
    if case.place is not None and not world.answers.knows(case.place.sight):
        _learn(world, case, case.place)


def _resembling(case: Case) -> dict[str, Any]:
    """Return what the record says of an answer that was given to another request."""
    how = None if case.found is None else case.found.resembling
    if how is None:
        return {}
    return {"cache": "semantic", "near": round(how.score, 4), "samples": how.samples, "errors": how.errors}


class Replay:
    """A stream from memory. Its books are closed before its first byte: it only has to be sent."""

    __slots__ = ("_blocks", "_has_left", "_ticket", "tape")

    def __init__(self, ticket: Ticket, blocks: list[bytes], said: Headers) -> None:
        self._ticket = ticket
        cost = next((value for name, value in said if name == b"x-penstock-cost-usd"), None)
        end = b"" if cost is None else sse.comment(f"x-penstock-cost-usd {cost.decode()}")
        self._blocks = [*blocks, end + sse.event(sse.DONE)]
        self._has_left = False
        self.tape: Tape | None = None

    def left(self) -> None:
        """The caller is gone: nobody has to be told."""
        self._has_left = True

    async def run(self, outlet: Outlet) -> None:
        """Send it. Cancelled half-way it raises: the server aborts such a connection, so nobody takes it for whole."""
        if self.tape is not None:
            for block in self._blocks:
                self.tape.add(block)
            await self.tape.end(self._ticket)
        try:
            await outlet.open()
            for start in range(0, len(self._blocks), EVENTS_AT_ONCE):
                if self._has_left:
                    return
                await outlet.send(b"".join(self._blocks[start : start + EVENTS_AT_ONCE]))
        except (OSError, TimeoutError):
            self._has_left = True
