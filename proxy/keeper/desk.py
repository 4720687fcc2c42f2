"""Lends customers' credits to the workers, and calls them in again.

Only a definite *no* ends a request with 402: it is said when the ledger, with everything journalled folded in, has less
than is needed. As long as it has enough and other workers hold it, they are asked for it, up to a deadline; then the
answer is that nobody knows. One asker of a customer is served at a time, so that askers do not steal from each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any

from margin.ledger.store import LedgerBusy
from proxy.keeper.frames import Message
from proxy.keeper.office import Office
from proxy.keeper.workers import Worker

LEND_DEADLINE_S = 1.0
"""For calling leases in. The asker waits a little longer than this."""
SETTLE_S = 0.01
"""A lease just given is left alone this long: its worker's waiting requests are about to spend it."""
UNKNOWN = "unknown"


class Desk:
    """Answers the workers' questions for credit."""

    def __init__(self, office: Office, workers: Collection[Worker]) -> None:
        self._office, self._workers = office, workers
        self._lines: dict[int, asyncio.Lock] = {}
        self._lent_s: dict[int, float] = {}

    async def lend(self, worker: Worker, asked: Message) -> Any:
        """Return a lease, what the customer has when that is less than needed, or `UNKNOWN` when time ran out."""
        customer = asked["customer"]
        self.give_back(worker, customer, asked["returned"])
        line = self._lines.setdefault(customer, asyncio.Lock())
        try:
            async with asyncio.timeout(LEND_DEADLINE_S), line:
                return await self._lend(worker, customer, asked["need"], asked["wish"])
        except (TimeoutError, LedgerBusy):
            return UNKNOWN
        finally:
            if not line.locked():
                self._lines.pop(customer, None)

    def give_back(self, worker: Worker, customer: int, milli: int) -> None:
        """Take a lease, or what is left of one, back."""
        if worker.journal is not None and milli:
            self._office.lending.give_back(worker.journal, customer, milli)

    async def _lend(self, worker: Worker, customer: int, need_milli: int, wish_milli: int) -> Message | str:
        while True:
            is_current = self._is_current()
            now = time.time_ns()
            free = self._office.lending.free_milli(self._office.books.state, customer, now)
            if free >= need_milli:
                return self._lease(worker, customer, self._share(free, need_milli, wish_milli))
            if not is_current:
                # Holds that lie unfolded are covered by leases, which count: enough is enough. But what was given back
                # since is not known here, so too little may not be so.
                return UNKNOWN
            if self._office.books.state.available_milli(customer, now) < need_milli:
                if not self._office.is_grant_due(customer):
                    return {"short": self._office.books.state.available_milli(customer, now)}
                # A new month: its included credits come with the tick, and are looked at in the next round.
                self._office.tick()
                if self._office.is_grant_due(customer):
                    return UNKNOWN
                continue
            await self._call_in(worker, customer)

    def _is_current(self) -> bool:
        try:
            self._office.fold_all()
        except LedgerBusy:
            return False
        return True

    def _share(self, free_milli: int, need_milli: int, wish_milli: int) -> int:
        """Return how much of what is free one worker gets: all if it is alone, else what its requests want."""
        if len(self._workers) == 1:
            return free_milli
        return max(need_milli, min(free_milli, wish_milli), free_milli // (2 * len(self._workers)))

    def _lease(self, worker: Worker, customer: int, milli: int) -> Message:
        assert worker.journal is not None
        self._office.lending.lend(worker.journal, customer, milli)
        self._lent_s[customer] = time.monotonic()
        expires = self._office.books.state.earliest_expiry_t(customer, time.time_ns())
        return {"customer": customer, "milli": milli, "expires": expires}

    async def _call_in(self, asker: Worker, customer: int) -> None:
        assert asker.journal is not None
        since_s = time.monotonic() - self._lent_s.get(customer, 0)
        await asyncio.sleep(max(SETTLE_S - since_s, 0))
        holders = self._office.lending.holders(customer, besides=asker.journal)
        await asyncio.gather(*(each.recall(customer) for each in self._workers if each.journal in holders))
