"""Idempotency keys, on the keeper's side: who may run, who gets the stored answer, who is told no.

Running claims and answers are in memory; answers hold customers' content and never touch a disk. What must survive is
in the journals (the hold names the key's digest) and so in the ledger: after a restart a key whose exchange was
charged is never run again, its answer is merely gone. Bounded by count, bytes and age.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import orjson

from margin.ledger.store import LedgerBusy
from proxy.keeper.frames import Message
from proxy.keeper.office import NS, Office

Name = tuple[int, str]
"""A customer, and the digest of its key."""
Verdict = Literal["run", "replayed", "in_use", "reused", "unavailable"]
VERDICTS: tuple[Verdict, ...] = ("run", "replayed", "in_use", "reused", "unavailable")


@dataclass(frozen=True, slots=True)
class _Running:
    """A claim whose exchange has not ended."""

    x: str
    request: str
    worker: str


@dataclass(frozen=True, slots=True)
class _Answered:
    """A claim whose exchange answered; `content` None: the answer was not to be kept."""

    x: str
    request: str
    t: int
    content: bytes | None

    @property
    def size(self) -> int:
        """Its bytes, the answer's and a little for the rest."""
        return 200 + (0 if self.content is None else len(self.content))


class Claims:
    """All idempotency keys that matter."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._running: dict[Name, _Running] = {}
        self._answered: OrderedDict[Name, _Answered] = OrderedDict()
        """In the order in which they answered, so that the oldest is the first."""
        self.bytes = 0
        self.verdicts: Counter[Verdict] = Counter()

    def __len__(self) -> int:
        return len(self._answered)

    def claim(self, worker: str, asked: Message) -> Message:
        """Return the verdict on a claim of a worker's; with *run* the key is taken from here on."""
        name, request = (asked["customer"], asked["key"]), asked["request"]
        self._forget_old()
        verdict, x, content = self._verdict(name, request)
        self.verdicts[verdict] += 1
        if verdict == "run":
            self._running[name] = _Running(asked["x"], request, worker)
        # Embedded as it is: an answer is encoded once, by the worker that gave it.
        return {"verdict": verdict, "x": x, "content": None if content is None else orjson.Fragment(content)}

    def _verdict(self, name: Name, request: str) -> tuple[Verdict, str, bytes | None]:
        running = self._running.get(name)
        if running is not None:
            return ("in_use" if running.request == request else "reused"), running.x, None
        kept = self._answered.get(name)
        if kept is None:
            return self._booked(name, request)
        if kept.request != request:
            return "reused", kept.x, None
        return ("unavailable" if kept.content is None else "replayed"), kept.x, kept.content

    def _booked(self, name: Name, request: str) -> tuple[Verdict, str, bytes | None]:
        """Decide by the ledger: of an earlier keeper's claims, and of those that are no longer kept here."""
        since_t = time.time_ns() - self._ttl_ns
        found = self._office.books.claims(*name, since_t)
        if any(not each.is_answered for each in found):
            # It is open as far as it is folded; its end may be journalled already.
            with suppress(LedgerBusy):
                self._office.fold_all()
            found = self._office.books.claims(*name, since_t)
        for each in found:
            if each.request != request:
                return "reused", each.x, None
            return ("unavailable" if each.is_answered else "in_use"), each.x, None
        return "run", "", None

    def answered(self, asked: Message) -> None:
        """Keep an answer, if its exchange still has the key."""
        name = (asked["customer"], asked["key"])
        running = self._running.get(name)
        if running is None or running.x != asked["x"]:
            return
        del self._running[name]
        content = None if asked["content"] is None else orjson.dumps(asked["content"])
        kept = _Answered(running.x, running.request, time.time_ns(), content)
        self._answered[name] = kept
        self.bytes += kept.size
        bounds = self._office.settings.idempotency
        while len(self._answered) > bounds.answers_max or self.bytes > bounds.bytes_max:
            if not self._forget_oldest():
                break

    def released(self, asked: Message) -> None:
        """Free a key, if the exchange still has it."""
        name = (asked["customer"], asked["key"])
        running = self._running.get(name)
        if running is not None and running.x == asked["x"]:
            del self._running[name]

    def bury(self, worker: str) -> None:
        """Let go of what a dead worker ran. The ledger knows by now how each ended."""
        for name in [name for name, running in self._running.items() if running.worker == worker]:
            del self._running[name]

    @property
    def _ttl_ns(self) -> int:
        return int(self._office.settings.idempotency.ttl_s * NS)

    def _forget_old(self) -> None:
        before_t = time.time_ns() - self._ttl_ns
        while self._answered and next(iter(self._answered.values())).t < before_t:
            if not self._forget_oldest():
                break

    def _forget_oldest(self) -> bool:
        """Drop the oldest answer; False while its claim cannot be folded, so that nobody else would know of it."""
        name, kept = next(iter(self._answered.items()))
        if not self._office.books.has_claim(kept.x):
            # From then on only the ledger knows that this key was used.
            try:
                self._office.fold_all()
            except LedgerBusy:
                return False
        del self._answered[name]
        self.bytes -= kept.size
        return True
