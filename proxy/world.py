"""Everything an exchange needs of its surroundings, wired by `proxy.app`.

Only `adopt` rebinds anything: a reloaded configuration. An exchange keeps the settings it began with in its case.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from margin.journal import Journal, JournalBroken
from margin.sellbook import Plan
from proxy.admission import Wallets
from proxy.caching.answers import Answers
from proxy.caching.flights import Flights
from proxy.caching.prefixes import Prefixes
from proxy.caching.shards import Shards
from proxy.caching.stores.store import Store
from proxy.expected import Expected
from proxy.idempotency import Registry
from proxy.identity import Identity
from proxy.limits.bundles import Bundles
from proxy.limits.crowd import Crowd
from proxy.outputs import Outputs
from proxy.routing.advice import Remembered
from proxy.routing.guard import Acts
from proxy.routing.health import Vitals
from proxy.routing.horizons import Horizons
from proxy.routing.pins import Pins
from proxy.routing.policy import Prices
from proxy.settings import Settings
from proxy.upstream.client import Upstream
from proxy.wire.errors import NotDurable

if TYPE_CHECKING:
    from proxy.caching.semantic.memory import Memory

SHADOWS_AT_ONCE = 4
"""Calls of a worker to compare answers: they wait for one another, and take no connection that customers need."""


class Keeper(Registry, Protocol):
    """The keeper, as an exchange sees it."""

    async def open_customer(self, name: str) -> None:
        """See to it that a customer of that name exists, on the default plan; raises `KeeperAway`."""
        ...

    async def keep(self, kept: dict[str, Any]) -> bool:
        """Keep a response that its customer may go on with; raises `KeeperAway`."""
        ...

    async def kept(self, customer: int, identity: str) -> dict[str, Any] | None:
        """Return a response of a customer's that is kept; raises `KeeperAway`."""
        ...

    async def drop(self, customer: int, identity: str) -> bool:
        """Forget a response of a customer's; raises `KeeperAway`."""
        ...

    async def command(
        self, command: str, args: dict[str, Any], key: str, *, claim: str | None, request: str
    ) -> dict[str, Any]:
        """Have a command performed in the name of a key; raises `KeeperAway`."""
        ...

    def tell_prompt(self, customer: int, x: str, text: str) -> None:
        """Have remembered what an exchange asks, in case a label is made of it."""
        ...

    async def usage(self, customer: int, days: int, key: str, member: str | None) -> dict[str, Any]:
        """Return what a customer has used in the last days; raises `KeeperAway`."""
        ...


class Stoppable(Protocol):
    """A stream on its way."""

    @property
    def key(self) -> str:
        """The id of the key it is served under."""
        ...

    def dismiss(self) -> None:
        """End it now, as its key has ended."""
        ...

    def cut(self) -> None:
        """End it now, with an error event."""
        ...


class Tasks:
    """Work that goes on when its caller left: started here, kept here, waited for here at the end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start work that outlives its caller."""
        task = asyncio.ensure_future(work)
        task.set_name(name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def __len__(self) -> int:
        return len(self._running)

    async def finish(self, timeout_s: float) -> None:
        """Wait for all work; cancel what is left at the deadline (each settles on its way out)."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


@dataclass(slots=True)
class World:
    """One worker's parts."""

    settings: Settings
    identity: Identity
    wallets: Wallets
    journal: Journal
    upstream: Upstream
    keeper: Keeper
    tasks: Tasks = field(default_factory=Tasks)
    outputs: Outputs = field(default_factory=Outputs)
    expected: Expected = field(default_factory=Expected)
    limits: Bundles = field(default_factory=Bundles)
    answers: Answers = field(default_factory=Answers)
    flights: Flights = field(default_factory=Flights)
    answer_store: Store | None = None
    """Where answers lie beside this worker's memory; None: nowhere."""
    prefixes: Prefixes = field(default_factory=Prefixes)
    shards: Shards = field(default_factory=Shards)
    advice: Remembered = field(default_factory=Remembered)
    crowd: Crowd = field(default_factory=Crowd)
    guarded: dict[int, Acts] = field(default_factory=dict)
    """What the margin guard does to the requests of a customer; the keeper says so."""
    alerted: dict[int, bytes] = field(default_factory=dict)
    """How far customers have used up what their plan includes, once that was told; the keeper says so."""
    pins: Pins = field(default_factory=Pins)
    horizons: Horizons = field(default_factory=Horizons)
    shadows: int = 0
    """Samples of what another tier answers that are in hand."""
    shadowing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SHADOWS_AT_ONCE))
    vitals: Vitals = field(init=False)
    incarnation: str = field(default_factory=lambda: secrets.token_hex(6))
    relays: set[Stoppable] = field(default_factory=set)
    """Streams on their way, so that a shutdown, or the end of their key, can end them with an error event."""
    exchanges_open: int = 0
    is_closing: bool = False
    refusals: dict[str, int] = field(default_factory=dict)
    """Requests refused before they reached the books, by reason; the keeper exports them."""
    _meaning: Memory | None = None
    _count: int = 0
    _loop: asyncio.AbstractEventLoop | None = None

    def __post_init__(self) -> None:
        self.vitals = Vitals(self.settings)

    def plan_of(self, name: str) -> Plan:
        """Return a customer's plan; the default one when a reload took its own away a moment ago."""
        book = self.settings.sellbook
        return book.plan(name if name in book.plans else book.default)

    def adopt(self, settings: Settings) -> None:
        """Serve new exchanges under another configuration; connections to providers stay."""
        self.settings = settings
        self.vitals = Vitals(settings, self.vitals)
        self.upstream = self.upstream.anew()

    @property
    def prices(self) -> Prices | None:
        """What orders a tier's deployments; None where the list does."""
        return self.expected.nusd if self.settings.routing.order == "price" else None

    def new_exchange(self) -> str:
        """Return a fresh exchange id: unique forever, as the incarnation is random and the count never repeats."""
        self._count += 1
        return f"ex_{self.incarnation}{self._count:08x}"

    def dismiss_ended(self) -> None:
        """End the streams whose key has been revoked, or has expired."""
        t = self.now()
        for relay in list(self.relays):
            if not self.identity.is_live(relay.key, t):
                relay.dismiss()

    def soon(self, step: Callable[[], object]) -> None:
        """Do a short step once whoever runs now waits, and what it has sent has left."""
        if self._loop is None:  # to ask for it costs a system call
            self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._loop.call_soon, step)  # `proxy.outbox` is emptied in between

    def meaning(self) -> Memory:
        """Return what is remembered to answer by meaning; nothing of it is loaded before somebody asks."""
        if self._meaning is None:
            from proxy.caching.semantic.memory import Memory

            self._meaning = Memory()
        return self._meaning

    def counted(self) -> dict[str, dict[str, float]]:
        """Return what happened since this was last asked: *meant*, look-ups by meaning; *stored*, in the answer store.

        `seconds` among the first are of CPU that they took.
        """
        found: dict[str, dict[str, float]] = {}
        memory = self._meaning
        if memory is not None and memory.counts:
            found["meant"] = {**memory.counts, "seconds": memory.spent_s}
            memory.counts.clear()
            memory.spent_s = 0.0
        if self.answer_store is not None and self.answer_store.counts:
            found["stored"] = dict(self.answer_store.counts)
            self.answer_store.counts.clear()
        return found

    @staticmethod
    def now() -> int:
        """Return nanoseconds since 1970 UTC."""
        return time.time_ns()

    async def durable(self) -> None:
        """With `sync: always`, wait until what was journalled is on the disk; else return at once.

        Raises:
            NotDurable: the disk refused.
        """
        if self.settings.server.sync == "always":
            try:
                await asyncio.get_running_loop().run_in_executor(None, self.journal.sync)
            except JournalBroken:
                raise NotDurable("The answer was charged, and the books cannot be made durable right now.") from None

    def refuse(self, reason: str) -> None:
        """Count a refusal."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1
