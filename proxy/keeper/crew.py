"""The workers as one crew: starts them, replaces the dead, puts an end to the hung, and says when all answer.

A worker answers a ping every half second. One that does not for `HUNG_S` is not ready, and neither is the house; one
that does not for `KILL_S`, or takes a change in too late, is killed: what it knows may be out of date, and what a dead
worker left open is recovered.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from margin.ledger.store import LedgerBusy
from proxy.keeper import labelling
from proxy.keeper.administering import Administration
from proxy.keeper.claims import Claims
from proxy.keeper.conversations import Conversations
from proxy.keeper.counter import Counter
from proxy.keeper.desk import Desk
from proxy.keeper.frames import Message
from proxy.keeper.loans import Loans
from proxy.keeper.office import Office
from proxy.keeper.spending import Ledgered
from proxy.keeper.usage import usage_of
from proxy.keeper.workers import Worker
from proxy.limits.shares import Name

log = logging.getLogger("penstock")

PING_S = 0.5
HUNG_S = 2.0
KILL_S = 15.0
"""A worker whose loop stands still this long serves nobody: real turns are tens of milliseconds."""
STOP_S = 8.0
"""What workers get to end; with the rest of an orderly end this stays under ten seconds."""
RESTART_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits before a worker that died is started again; the last repeats."""
RECOVER_S = 0.5
"""Between two tries to close a dead worker's exchanges while the ledger is locked."""
TIDY_S = 60.0
"""How often limits that nobody uses are forgotten: it looks at each."""
STEADY_S = 60.0
"""A worker that lived this long ends the row of failures."""

Start = Callable[[Coroutine[Any, Any, None], str], None]


class Crew:
    """All workers, and what the keeper says to them."""

    def __init__(self, office: Office, argv: list[str], listener: socket.socket, start: Start) -> None:
        self._office, self._argv, self._listener, self._start = office, argv, listener, start
        self._workers: set[Worker] = set()
        self._desk = Desk(office, self._workers)
        self._loans = Loans()
        self._counter = Counter(self._loans, self._workers, Ledgered(office))
        self.claims = Claims(office)
        self.conversations = Conversations(lambda: office.settings.conversations)
        self._administration = Administration(office)
        self._is_ending = False
        self._failures = 0
        self._said_unready: str | None = ""
        """What was last told to be wrong; empty: nothing was told yet."""
        self.guarded: Callable[[], list[Message]] = list
        """What the margin guard does to whom, as changes."""
        self.on_refused: Callable[[dict[str, int]], None] = lambda _: None
        self.on_meant: Callable[[dict[str, float]], None] = lambda _: None
        self.on_stored: Callable[[dict[str, float]], None] = lambda _: None
        self.all_up = asyncio.Event()
        """Set once all workers answered for the first time."""

    # ---- life -------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start all workers, and watch them."""
        for _ in range(self._office.settings.server.workers):
            self._start(self._keep_one(), "worker")
        self._start(self._watch(), "watch the crew")

    async def end(self) -> None:
        """End all workers, the slow ones by force, and close what they left open."""
        self._is_ending = True
        for worker in list(self._workers):
            worker.terminate()
        deadline = time.monotonic() + STOP_S
        while self._workers and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for worker in list(self._workers):
            worker.kill()
            await worker.dead()
            await self._bury(worker)

    async def _keep_one(self) -> None:
        """Run one worker, and another when it dies, until the end."""
        while not self._is_ending:
            began_s = time.monotonic()
            worker = await Worker.spawn(self._argv, self._listener)
            self._workers.add(worker)
            await self._follow(worker)
            worker.lost()
            self._say_ready()
            if not self._is_ending:
                # Its line is gone; it must be dead before its leases and open exchanges are anyone else's.
                worker.kill()
            await worker.dead()
            await self._bury(worker)
            await self._rest(lived_s=time.monotonic() - began_s)

    async def _bury(self, worker: Worker) -> None:
        if worker in self._workers:
            self._workers.discard(worker)
            if worker.journal is not None:
                await self._recover(worker.journal)
                self.claims.bury(worker.journal)
                await self._counter.bury(worker.journal)

    async def _recover(self, journal: str) -> None:
        """Close what a dead worker left open, once its journal can be folded; at the end, the next start does it."""
        while True:
            try:
                self._office.recover({journal})
            except LedgerBusy:
                if self._is_ending:
                    return
                await asyncio.sleep(RECOVER_S)
            else:
                return

    async def _rest(self, *, lived_s: float) -> None:
        if self._is_ending:
            return
        self._failures = 1 if lived_s > STEADY_S else self._failures + 1
        log.warning("a worker died after %.0f s; starting another", lived_s)
        await asyncio.sleep(RESTART_S[min(self._failures, len(RESTART_S)) - 1])

    async def _watch(self) -> None:
        looked_s = tidied_s = time.monotonic()
        while True:
            if time.monotonic() - looked_s > 3 * PING_S:
                # It was this loop that stood still, with a long command: nobody could be heard.
                for worker in self._workers:
                    worker.heard()
            looked_s = time.monotonic()
            if looked_s - tidied_s > TIDY_S:
                tidied_s = looked_s
                self._loans.tidy(time.monotonic_ns())
            for worker in self._workers:
                worker.ping()
                if worker.is_up and worker.silent_s > KILL_S:
                    log.error("a worker has not answered for %.0f s and is killed", worker.silent_s)
                    worker.kill()
            self._say_ready()
            await asyncio.sleep(PING_S)

    @property
    def answering(self) -> int:
        """How many workers answer."""
        return sum(worker.is_up and worker.silent_s < HUNG_S for worker in self._workers)

    def resting(self) -> dict[str, int]:
        """Return how many workers leave a deployment alone, as its calls fail."""
        return collections.Counter(name for worker in self._workers if worker.is_up for name in worker.resting)

    @property
    def broken(self) -> int:
        """How many workers have a journal that a disk error closed."""
        return sum(worker.is_up and worker.is_broken for worker in self._workers)

    def _say_ready(self) -> None:
        """Tell the workers, who answer /readyz, whether all of them answer, and what else is not as it should be."""
        if self.answering == self._office.settings.server.workers:
            self.all_up.set()
        why = self._why_unready()
        if why != self._said_unready:
            self._said_unready = why
            for worker in self._workers:
                worker.frames.send({"unready": why})

    def _why_unready(self) -> str | None:
        missing = self._office.settings.server.workers - self.answering
        if missing:
            return f"{missing} workers do not answer"
        foreign = self._office.foreign
        return f"journal {next(iter(foreign.values()))}" if foreign else None

    # ---- what they say ----------------------------------------------------------------------------------------------

    async def _follow(self, worker: Worker) -> None:
        async for message in worker.frames.receive():
            if "ask" in message:
                self._start(self._answer(worker, message), f"answer {message['ask']}")
            elif "pins" in message:
                self._tell_others(worker, message)
            elif "prompt" in message:
                labelling.remember(self._office, *message["prompt"])
            else:
                self._note(worker, message)

    def _tell_others(self, worker: Worker, message: Message) -> None:
        """Hand on what one worker says to the others, unread and unanswered."""
        for other in self._workers:
            if other is not worker and other.is_up:
                other.frames.send(message)

    def _note(self, worker: Worker, message: Message) -> None:
        if "pong" in message:
            worker.heard()
            worker.is_broken, worker.resting = message["broken"], message["resting"]
        elif "ack" in message:
            for customer, milli in message["leases"]:
                self._desk.give_back(worker, customer, milli)
            worker.acknowledged(message)
        elif "returned" in message:
            self._desk.give_back(worker, message["customer"], message["milli"])
            worker.returned(message)
        elif "share" in message:
            self._counter.give_back(worker, Name.read(message["name"]), message["back"])
            worker.share_returned(message)
        elif "shares" in message:
            for name, count in message["shares"]:
                self._counter.give_back(worker, Name.read(name), count)
        elif "refused" in message:
            self.on_refused(message["refused"])
        elif "meant" in message:
            self.on_meant(message["meant"])
        elif "stored" in message:
            self.on_stored(message["stored"])
        elif "hello" in message:
            worker.journal = message["hello"]
            self._start(self._introduce(worker), "introduce")

    async def _introduce(self, worker: Worker) -> None:
        """Tell a new worker everything."""
        # Marked up first: a change made meanwhile must reach it too, and comes after this in its line.
        worker.is_up = True
        secret = {"member_secret": self._office.directory.member_secret().hex()}
        taken_in = worker.tell([secret, *self._office.everything(), *self.guarded()])
        worker.frames.send({"told": True})
        await taken_in
        worker.heard()
        self._said_unready = ""
        self._say_ready()

    async def _answer(self, worker: Worker, message: Message) -> None:
        try:
            answer = await self._work_out(worker, message)
        except LedgerBusy:
            return  # nobody can say: whoever waits gives up in time, and refuses with 503
        worker.frames.send({"id": message["id"], "answer": answer})

    async def _work_out(self, worker: Worker, message: Message) -> Any:
        assert worker.journal is not None
        answer: Any = True
        if message["ask"] == "lease":
            answer = await self._desk.lend(worker, message)
        elif message["ask"] == "share":
            answer = await self._counter.lend(worker, message)
        elif message["ask"] == "spent":
            answer = self._counter.spent(message["names"])
        elif message["ask"] == "claim":
            answer = self.claims.claim(worker.journal, message)
        elif message["ask"] == "answered":
            self.claims.answered(message)
        elif message["ask"] == "released":
            self.claims.released(message)
        elif message["ask"] == "keep":
            answer = self.conversations.keep(message)
        elif message["ask"] == "kept":
            answer = self.conversations.find(message)
        elif message["ask"] == "drop":
            answer = self.conversations.drop(message)
        elif message["ask"] == "command":
            answer = self._administration.perform(message)
            await self.announce()
        elif message["ask"] == "usage":
            answer = usage_of(self._office, message["customer"], message["days"], message["key"], message["member"])
        else:
            self._office.open_customer(message["name"])
            await self.announce()
        return answer

    # ---- what they are told -----------------------------------------------------------------------------------------

    async def announce(self) -> None:
        """Tell all workers of pending changes; return when each has taken them in, or is dead."""
        changes = self._office.take_changes()
        if changes:
            await asyncio.gather(*(worker.tell(changes) for worker in self._workers if worker.is_up))

    async def reload(self, version: str) -> bool:
        """Have all workers read the configuration; True when each of them now serves `version`."""
        taken = await asyncio.gather(*(worker.reload(version) for worker in self._workers if worker.is_up))
        return all(taken)
