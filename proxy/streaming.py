"""Relays a provider's stream to the caller, meters it as it goes by, and settles it before its last byte.

Whoever leaves first, the bill is settled: a caller that goes is drained within a budget to learn the true usage; a
provider that breaks off, or a key that ends, makes an error event, never a clean `[DONE]`. Settling is one synchronous
append, so that no cancellation can come between.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from margin.journal import JournalBroken
from margin.records import Outcome
from proxy import conversing, metering, repeating, shadowing
from proxy.idempotency import Tape
from proxy.settlement import NS, Call, Case, settle
from proxy.upstream import dialects
from proxy.upstream.client import Answer, Lost
from proxy.wire import headers, sse
from proxy.wire.errors import (
    NotDurable,
    ProxyError,
    Unauthenticated,
    Unavailable,
    UpstreamBroke,
    UpstreamBusy,
    UpstreamLate,
)
from proxy.world import World

MARK_NS = 1_000_000_000
"""A checkpoint a second: what a crash can leave unknown of a running stream."""
MARK_TOKENS = 256
"""Or as many tokens, whichever comes first."""


class Outlet(Protocol):
    """Where the bytes go. Either call may raise `OSError`: the caller left, or takes nothing any more."""

    async def open(self) -> None:
        """Send the head of the reply."""
        ...

    async def send(self, data: bytes) -> None:
        """Send bytes, waiting while the caller reads slowly."""
        ...


class Relay:
    """One stream on its way. `run` returns when the books are closed and the last byte was sent.

    The pump runs in a task of ours: a server that cancels its own task when the caller leaves cannot cancel this one.
    """

    __slots__ = (
        "_answer",
        "_budget_s",
        "_call",
        "_case",
        "_cut",
        "_dismissed",
        "_gone",
        "_kept",
        "_limit",
        "_marked_t",
        "_marked_tokens",
        "_sample",
        "_stream",
        "_world",
        "tape",
    )

    def __init__(self, world: World, case: Case, call: Call, answer: Answer) -> None:
        self._world, self._case, self._call, self._answer = world, case, call, answer
        self._stream = dialects.stream(call.deployment, case.ask, world.now() // NS)
        self._gone = self._cut = self._dismissed = False
        self._budget_s = min(call.deployment.provider.timeouts.total_s, case.left_s())
        self._limit: asyncio.Timeout | None = None
        """The pump's deadline while it pumps."""
        self._marked_t = self._marked_tokens = 0
        self.tape: Tape | None = None
        """Keeps the answer, when it came with an idempotency key."""
        self._kept = None if case.place is None else repeating.Recording(world, case, call)
        self._sample = None if case.settings.classifier.shadows is None else shadowing.drawn(world, case)

    def left(self) -> None:
        """The caller is gone: read on, but no longer than the drain budget."""
        if self._gone or not self._case.ticket.is_open:
            return
        self._gone = True
        self._case.ticket.draining()
        self._end_within(self._world.settings.server.drain_s)

    def cut(self) -> None:
        """We are shutting down: end the stream now, with an error event."""
        self._cut = True
        self._end_within(0)

    @property
    def key(self) -> str:
        """The id of the key it is served under."""
        return self._case.principal.key

    def dismiss(self) -> None:
        """Its key has ended: end the stream now, with an error event. Who was sent away pays as who leaves."""
        if not self._gone:  # what is read on for nobody is bounded already
            self._dismissed = True
            self._end_within(0)

    def _end_within(self, seconds: float) -> None:
        self._budget_s = seconds
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + seconds)

    async def run(self, outlet: Outlet) -> None:
        """Relay to the end. Cancelled, it goes on without the caller."""
        self._world.relays.add(self)
        pump = self._world.tasks.start(self._run(outlet), f"relay {self._case.ticket.x}")
        try:
            await asyncio.shield(pump)
        except asyncio.CancelledError:
            self.left()
            raise

    async def _run(self, outlet: Outlet) -> None:
        try:
            began_s = time.perf_counter()
            outcome, error = await self._pump(outlet)
            if isinstance(error, UpstreamBroke | UpstreamBusy):  # not where the request itself was at fault
                self._world.vitals.broke(self._call.deployment, began_s)
            cost = self._settle(outcome)
            if self._kept is not None and error is None:  # whole, also where its caller has left
                self._kept.end(self._stream.usage)
            error = await self._durable(error)
            end = self._stream.end() if error is None else self._stream.fault(error)  # asked for once: it is numbered
            if error is None and self._case.ask.surface == conversing.SURFACE:
                await conversing.keep(self._world, self._case, self._call, end)
            await self._keep(end, is_whole=error is None)
            await self._send(outlet, self._comment(error, cost) + end)
            if self._sample is not None and error is None:
                self._sample.answered(self._call)
        finally:
            # Only a bug or the end of the process comes here with the ticket open.
            self._settle("client_gone" if self._gone else "cut")
            if self.tape is not None:
                self.tape.drop(self._case.ticket)
            self._world.relays.discard(self)
            await self._answer.close()

    async def _keep(self, end: bytes, *, is_whole: bool) -> None:
        """Under an idempotency key: hand the whole answer to the keeper, for who asks again."""
        if self.tape is not None:
            self.tape.add(end)
            await self.tape.end(self._case.ticket, is_whole=is_whole)

    async def _durable(self, error: ProxyError | None) -> ProxyError | None:
        """With `sync: always`, wait for the disk; a disk that fails is an error of its own."""
        try:
            await self._world.durable()
        except NotDurable as refused:
            return refused
        return error

    async def _pump(self, outlet: Outlet) -> tuple[Outcome, ProxyError | None]:
        """Move bytes until the provider's end; say how it ended."""
        try:
            async with asyncio.timeout(self._budget_s) as self._limit:
                await self._relay(outlet)
        except Lost as lost:
            return "cut", UpstreamBroke(f"The provider's stream broke off ({lost.phase}).")
        except TimeoutError:
            if self._stream.finished and not self._stream.error:
                return ("client_gone" if self._gone else "ok"), None
            return self._ended()
        except sse.EventTooLarge:
            return "cut", UpstreamBroke("The provider sent an event that is too large.")
        except JournalBroken:
            return "cut", Unavailable("The books cannot be written right now.")
        finally:
            self._limit = None
        if self._stream.finished and not self._stream.error:
            return ("client_gone" if self._gone else "ok"), None
        return "cut", self._stream.failure or UpstreamBroke("The provider's stream broke off before its end.")

    async def _relay(self, outlet: Outlet) -> None:
        try:
            await outlet.open()
        except OSError:
            self.left()
        async for data in self._answer.parts():
            block = self._stream.feed(data)
            if self._sample is not None:
                self._sample.add(data)
            if block:
                self._mark()
                if self.tape is not None:
                    self.tape.add(block)
                if self._kept is not None:
                    self._kept.add(block)
                await self._send(outlet, block)
            if self._stream.finished or self._stream.error:
                return

    async def _send(self, outlet: Outlet, data: bytes) -> None:
        if self._gone:
            return
        try:
            await outlet.send(data)
        except (OSError, TimeoutError):
            # Gone, or reading so slowly that it might as well be: the answer is read on without it, and charged.
            self.left()

    def _ended(self) -> tuple[Outcome, ProxyError]:
        """Say how a stream ended that ran out of time, or was ended."""
        if self._cut:
            return "cut", Unavailable("The server is shutting down.")
        if self._dismissed:
            return "client_gone", Unauthenticated("The API key was revoked, or has expired.")
        if self._case.is_hurried and self._case.left_s() <= 0:
            return "client_gone", UpstreamLate("The stream outlasted the deadline that came with its request.")
        return ("client_gone" if self._gone else "cut"), UpstreamLate("The provider's stream took too long.")

    def _mark(self) -> None:
        """Journal a checkpoint at the first byte, and then by time or tokens."""
        tokens, t = self._stream.deltas, self._world.now()
        if self._marked_t and t - self._marked_t < MARK_NS and tokens - self._marked_tokens < MARK_TOKENS:
            return
        self._marked_t, self._marked_tokens = t, tokens
        estimate = self._stream.output_estimate
        tier = metering.service_tier_of(self._call.deployment, self._case.ask)
        usage = metering.estimated(self._case.route.input_estimate, estimate, tier)
        cost = metering.cost_nusd(self._call.deployment, usage, t // NS)
        so_far = self._case.quote.so_far_milli(usage)
        self._case.ticket.mark(t, estimate, cost, self._stream.call_id, so_far)

    def _settle(self, outcome: Outcome) -> int | None:
        if not self._case.ticket.is_open:
            return None
        try:
            return settle(self._case, self._call, self._stream.usage, outcome, call_id=self._stream.call_id,
                          output_estimate=self._stream.output_estimate, t=self._world.now())  # fmt: skip
        except JournalBroken:
            # Nothing more can be written; the keeper will settle from the last checkpoint. Readiness is off by now.
            return None

    def _comment(self, error: ProxyError | None, cost_nusd: int | None) -> bytes:
        if error is None and self._case.wants_cost and cost_nusd is not None:
            return sse.comment(f"x-penstock-cost-usd {headers.usd(cost_nusd).decode()}")
        return b""
