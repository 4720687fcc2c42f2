"""Lends shares of limits to the workers, and calls in what they do not use.

As at the desk for credits, one asker of a limit is served at a time, so that askers do not steal from each other. Only
when nothing is free and nobody has anything unused the answer is no; when time runs out before that is known, nobody
knows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from margin.ledger.store import LedgerBusy
from proxy.keeper.frames import Message
from proxy.keeper.loans import Loans
from proxy.limits.shares import Name

COUNTER_DEADLINE_S = 1.0
"""For calling shares in. The asker waits a little longer than this."""
SETTLE_NS = 10_000_000
"""A share just lent is left alone this long: its worker's waiting requests are about to use it."""
BURY_TRIES, BURY_RETRY_S = 10, 0.5
"""How often, and after what wait, the books are asked again what a dead worker used while they cannot answer."""
BURY_ROW = 64
"""Limits of a dead worker that are looked up in a row: some 5 ms."""
UNKNOWN = "unknown"


class Holder(Protocol):
    """A worker, as this counter sees it."""

    journal: str | None

    async def recall_share(self, name: Name, need: int) -> int | None:
        """Have what is unused of a share given back; noted when this returns.

        Returns in how long `need` may leave its window; None when it cannot say, or did not answer in time.
        """
        ...


class Spending(Protocol):
    """The books, as budgets see them."""

    def spent_nusd(self, name: Name) -> int:
        """Return what is spent of a budget, with everything folded that was journalled until now; 0 of other limits.

        Raises:
            LedgerBusy: the ledger cannot be written now.
        """
        ...

    def used(self, name: Name) -> list[tuple[int, int]]:
        """Return what was used of a rate that still counts as (count, in how long it is forgotten).

        Raises:
            LedgerBusy: the ledger cannot be written now.
        """
        ...

    def resets_ns(self, name: Name, short: int = 1) -> int | None:
        """Return in how long a budget's period ends, or `short` of what it counts is forgotten; None: never."""
        ...


@dataclass(slots=True)
class _Line:
    """Who waits for shares of one limit."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0
    lent_ns: int | None = None
    """When the last of them was lent one."""


class Counter:
    """Answers the workers' questions for shares."""

    def __init__(
        self, loans: Loans, workers: Collection[Holder], spending: Spending,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:  # fmt: skip
        self._loans, self._workers, self._spending, self._clock = loans, workers, spending, clock
        self._lines: dict[Name, _Line] = {}

    def give_back(self, worker: Holder, name: Name, count: int) -> None:
        """Take back what a worker no longer holds of a limit."""
        if worker.journal is not None:
            self._loans.give_back(worker.journal, name, count)

    async def bury(self, journal: str) -> None:
        """Take a dead worker's shares back. Its journal must have been folded to the end.

        Of a rate it keeps what it may have used by the books, or all it was lent where they cannot be asked for long.
        """
        self._loans.declare_dead(journal)
        tries = BURY_TRIES
        for index, name in enumerate(self._loans.rates_of(journal)):
            if index % BURY_ROW == BURY_ROW - 1:
                await asyncio.sleep(0)  # others are answered meanwhile
            while tries:
                try:
                    t = self._clock()
                    used = [(count, t + lasts_ns) for count, lasts_ns in self._spending.used(name)]
                except LedgerBusy:
                    tries -= 1
                    await asyncio.sleep(BURY_RETRY_S)
                else:
                    self._loans.bury_rate(journal, name, used)
                    break
        self._loans.bury(journal, self._clock())

    async def lend(self, worker: Holder, asked: Message) -> Any:
        """Return a share, a no, or `UNKNOWN` when time ran out."""
        name = Name.read(asked["name"])
        self.give_back(worker, name, asked["back"])
        line = self._lines.setdefault(name, _Line())
        line.length += 1
        try:
            async with asyncio.timeout(COUNTER_DEADLINE_S), line.lock:
                return await self._lend(worker, name, asked, line)
        except (TimeoutError, LedgerBusy):
            return UNKNOWN
        finally:
            line.length -= 1
            if not line.length:
                del self._lines[name]

    async def _lend(self, worker: Holder, name: Name, asked: Message, line: _Line) -> Message:
        need, frees = asked["need"], asked["frees"]
        if self._loans.set(name, asked["limit"]):
            self._remember(name)
        free, spent = self._free(name)
        if free < need:
            found = await self._call_in(worker, name, need, line)
            frees = min((each for each in (frees, *found) if each is not None), default=None)
            free, spent = self._free(name)
        if free < need:
            return self._no(name, asked, free, spent, frees)
        count = self._share(free, need, asked["wish"])
        assert worker.journal is not None
        self._loans.lend(worker.journal, name, count)
        line.lent_ns = self._clock()
        return {"share": asked["name"], "count": count, **self._told(name, spent)}

    def _told(self, name: Name, spent: int) -> Message:
        """Say of a budget what is spent, and in how long it begins anew."""
        resets = self._spending.resets_ns(name) if name.measure in {"cost", "charge"} else None
        return {} if resets is None else {"spent": spent, "resets": resets}

    def spent(self, texts: Collection[str]) -> Message:
        """Say so of some budgets.

        Raises:
            LedgerBusy: the ledger cannot be written now.
        """
        names = map(Name.read, texts)
        told = {name.text: self._told(name, self._spending.spent_nusd(name)) for name in names}
        return {"spent_of": {text: each for text, each in told.items() if each}}

    def _free(self, name: Name) -> tuple[int, int]:
        """Return what can be lent of a limit, and what is spent of it."""
        # Folded first, counted after: what a worker spent it had journalled before it said so.
        spent = self._spending.spent_nusd(name)
        return self._loans.free(name, self._clock(), spent), spent

    def _share(self, free: int, need: int, wish: int) -> int:
        """Return how much of what is free one worker gets: all if it is alone, else what its requests want."""
        if len(self._workers) == 1:
            return free
        return max(need, min(free, wish), free // (2 * len(self._workers)))

    def _remember(self, name: Name) -> None:
        """Count what was used of a day's limit before anybody here held a part of it: a restart forgets no day."""
        if name.per == "day":
            t = self._clock()
            for count, lasts_ns in self._spending.used(name):
                self._loans.keep_back(name, count, t + lasts_ns)

    async def _call_in(self, asker: Holder, name: Name, need: int, line: _Line) -> list[int | None]:
        assert asker.journal is not None
        holders = self._loans.holders(name, besides=asker.journal)
        if not holders:
            return []
        if line.lent_ns is not None and (rest_ns := line.lent_ns + SETTLE_NS - self._clock()) > 0:
            await asyncio.sleep(rest_ns / 1e9)
        return await asyncio.gather(
            *(each.recall_share(name, need) for each in self._workers if each.journal in holders)
        )

    def _no(self, name: Name, asked: Message, free: int, spent: int, frees: int | None) -> Message:
        """Say no: how much there is, whether that is for good, and when there may be more."""
        need, limit = asked["need"], asked["limit"]
        if name.measure in {"cost", "charge"}:
            unspent = limit - spent
            is_final = unspent < need
            frees = self._spending.resets_ns(name, need - unspent) if is_final else None
            told = self._told(name, spent)  # the asker's answers tell of it, too: it may be served otherwise
            return {"no": asked["name"], "available": unspent, "final": is_final, "frees": frees, **told}
        freed = self._loans.next_freed_ns(name, need, self._clock())
        found = [each for each in (frees, freed) if each is not None]
        return {"no": asked["name"], "available": free, "final": False, "frees": min(found, default=None)}
