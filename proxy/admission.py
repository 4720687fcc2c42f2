"""Admission: credits are put aside before anything is sent, and every ticket is returned exactly once.

A worker spends from leases it holds in memory: `Wallets.take` is a check and a decrement with no await between them, so
no interleaving can overspend. Filling a dry lease asks the keeper, which alone may say that the credits are gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from margin import records
from margin.journal import Journal, JournalBroken
from margin.ledger.exchanges import UNANSWERED
from margin.records import Outcome, Record
from proxy.life import Stage, move
from proxy.wire.errors import OutOfCredit, Unavailable

FILL_DEADLINE_S = 5.0
"""The keeper has a second of its own for calling leases in; the rest is for a loop that a stampede keeps busy."""
FILL_ROUNDS_MAX = 16
"""A fill brings what all who wait at its start need, if there is that much; more rounds than a few mean a stampede."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Credits the keeper lends to this worker. `expires_t`: when the earliest grant behind it ends."""

    credits_milli: int
    expires_t: int | None


class KeeperAway(Exception):
    """The keeper did not answer in time: nobody knows whether there is credit."""


class Lender(Protocol):
    """The keeper, as admission sees it."""

    async def lease(self, customer: int, need_milli: int, wish_milli: int, returned_milli: int) -> bool:
        """Add a lease of at least `need_milli`, better `wish_milli`, to the wallet; False when the customer has less.

        Raises:
            KeeperAway: no word in time: nobody knows.
        """
        ...


class Wallets:
    """The leases of one worker."""

    def __init__(self, lender: Lender) -> None:
        self._lender = lender
        self._balance_milli: dict[int, int] = {}
        self._loose_milli: dict[int, int] = {}
        """Put back after the lease was given up; goes to the keeper with the next word."""
        self._expires_t: dict[int, int | None] = {}
        self._number: dict[int, int] = {}
        self._leases = 0
        """How many began here: the number of the last."""
        self._fills: dict[int, asyncio.Future[int | None]] = {}
        self._waiting_milli: dict[int, int] = {}
        self.short_milli: dict[int, int] = {}
        """What the keeper said a customer has, when it last had too little."""

    def take(self, customer: int, milli: int, t: int) -> bool:
        """Spend from the lease; False when it is dry or ended."""
        balance = self._balance_milli.get(customer, 0)
        expires = self._expires_t.get(customer)
        if balance < milli or (expires is not None and expires <= t):
            return False
        self._balance_milli[customer] = balance - milli
        return True

    def lease(self, customer: int) -> int | None:
        """Return the number of the customer's lease; None when there is none."""
        return self._number.get(customer)

    def put_back(self, customer: int, milli: int, *, lease: int | None) -> None:
        """Return what was taken too much of a lease; negative, take what was taken too little.

        Credits go back to the lease they are of and to no later one: the grants behind them may have ended, and then
        nobody may spend them. Without that lease they wait for the keeper. What is missing is taken of any.
        """
        current = self._number.get(customer)
        is_kept = current is not None and (current == lease or milli < 0)
        kept = self._balance_milli if is_kept else self._loose_milli
        kept[customer] = kept.get(customer, 0) + milli

    def add(self, customer: int, lease: Lease) -> None:
        """Add a lease to what is there; the earlier expiry counts for all of it."""
        self.short_milli.pop(customer, None)
        if customer not in self._number:
            self._leases += 1
            self._number[customer] = self._leases
        self._balance_milli[customer] = self._balance_milli.get(customer, 0) + lease.credits_milli
        ends = [each for each in (self._expires_t.get(customer), lease.expires_t) if each is not None]
        self._expires_t[customer] = min(ends, default=None)

    def surrender(self, customer: int) -> int:
        """Give the whole lease up; return what was left of it."""
        self._expires_t.pop(customer, None)
        self._number.pop(customer, None)
        return self._balance_milli.pop(customer, 0) + self._loose_milli.pop(customer, 0)

    def surrender_all(self) -> list[tuple[int, int]]:
        """Give all leases up; return (customer, what was left)."""
        return [(customer, self.surrender(customer)) for customer in {*self._balance_milli, *self._loose_milli}]

    def left_milli(self, customer: int) -> int | None:
        """Return what the lease still holds; None when there is no lease."""
        return self._balance_milli.get(customer)

    async def fill(self, customer: int, need_milli: int) -> int | None:
        """Ask the keeper for credits; simultaneous askers share one fill.

        Returns None when a lease came, else the need that the keeper refused: it may be another asker's, and larger.

        Raises:
            KeeperAway: no word from the keeper in time.
        """
        self._waiting_milli[customer] = self._waiting_milli.get(customer, 0) + need_milli
        try:
            fill = self._fills.get(customer)
            if fill is None or fill.done():  # done, and its callback has not run: its answer is an old one
                fill = self._fills[customer] = asyncio.ensure_future(self._ask(customer, need_milli))
                fill.add_done_callback(partial(self._filled, customer))
            return await asyncio.shield(fill)
        finally:
            self._waiting_milli[customer] -= need_milli

    async def _ask(self, customer: int, need_milli: int) -> int | None:
        # What is left here counts too: it goes back first, so that the keeper sees all of it.
        returned = self.surrender(customer)
        # All who wait are asked for, so that one fill serves them and not one of them.
        wish_milli = max(need_milli, self._waiting_milli[customer])
        is_lent = await self._lender.lease(customer, need_milli, wish_milli, returned)
        return None if is_lent else need_milli

    def _filled(self, customer: int, done: asyncio.Future[int | None]) -> None:
        if self._fills.get(customer) is done:
            del self._fills[customer]
        if not done.cancelled():
            done.exception()  # seen here too, so that a fill all askers left does not warn


class Price(Protocol):
    """What a request is to be charged."""

    @property
    def hold_milli(self) -> int:
        """What is put aside for it."""
        ...

    @property
    def refusal(self) -> str:
        """The sentence for a customer whose credits do not cover it."""
        ...


async def put_aside(wallets: Wallets, customer: int, price: Price, now: Callable[[], int]) -> None:
    """Take credits from the customer's lease, filling it when it is dry.

    Raises:
        OutOfCredit: the keeper says the customer has less.
        Unavailable: the keeper did not answer in time. Never served for free.
    """
    milli = price.hold_milli
    for _ in range(FILL_ROUNDS_MAX):
        if wallets.take(customer, milli, now()):
            return
        try:
            refused_milli = await wallets.fill(customer, milli)
        except KeeperAway:
            raise Unavailable("The credit balance cannot be checked right now.") from None
        # A larger request's no is not ours: we ask for ourselves in the next round.
        if refused_milli is not None and refused_milli <= milli:
            short_milli = wallets.short_milli.get(customer)
            left = "" if short_milli is None else f" Available: {max(short_milli, 0) / 1000:,.10g}."
            raise OutOfCredit(price.refusal + left)
    raise Unavailable("Too many requests want this customer's credits at once.")


_OPEN = frozenset({Stage.HELD, Stage.CALLED, Stage.STREAMING, Stage.DRAINING, Stage.SETTLING})


class Right(Protocol):
    """What an exchange took of its limits: closed once, with the ticket."""

    def end(self, attempts: list[Record], credits_milli: int) -> None:
        """The exchange is closed and journalled: it came to this."""
        ...

    def repeat(self, credits_milli: int) -> None:
        """The exchange was answered from memory, and charged this."""
        ...


class Ticket:
    """One admitted exchange. Every move is journalled before it takes effect; `settle` or `void` closes it, once.

    The hold and the first call are one record, written before a byte goes upstream: until then nothing happened that
    the books would have to know.
    """

    __slots__ = (
        "_enforced",
        "_hold",
        "_journal",
        "_lease",
        "_wallets",
        "attempts",
        "charged_milli",
        "claim",
        "customer",
        "held_milli",
        "is_answered",
        "last_call",
        "on_closed",
        "right",
        "stage",
        "x",
    )

    def __init__(self, journal: Journal, wallets: Wallets, x: str, customer: int, *, enforced: bool) -> None:
        self._journal, self._wallets, self._enforced = journal, wallets, enforced
        self.x, self.customer = x, customer
        self.stage = Stage.KNOWN
        self.held_milli = 0
        self._hold: Record | None = None
        """The hold, while it is not written."""
        self._lease: int | None = None
        """Which lease it was taken of."""
        self.charged_milli: int | None = None
        """Known once it is settled."""
        self.last_call: Record | None = None
        self.attempts: list[Record] = []
        self.claim: tuple[str, str] | None = None
        """Digests of the idempotency key and of its request, if the caller sent one."""
        self.right: Right | None = None
        """Set with the hold."""
        self.on_closed: Callable[[], None] | None = None
        """Told once, when it is settled or void."""
        self.is_answered = False
        """Whether it is settled, and not because a provider failed."""

    def hold(self, record: Record) -> None:
        """Note the hold; the credits have been taken. It is written down with the first call."""
        self._hold, self.held_milli, self._lease = record, record["cr"], self._wallets.lease(self.customer)
        self.stage = move(self.stage, Stage.HELD)

    def call(self, record: Record) -> None:
        """Journal the intent to call, before a byte goes upstream; the first one together with the hold.

        Raises:
            Unavailable: the journal refused the hold: the ticket is void, as nothing may be spent without it.
            JournalBroken: it refused a later call.
        """
        if self._hold is None:
            self._journal.append(record)
        else:
            self._begin(self._hold, record)
        self.last_call = record
        self.stage = move(self.stage, Stage.CALLED)

    def _begin(self, hold: Record, call: Record) -> None:
        self._write_first(records.begun(hold, call))
        self._hold = None

    def _write_first(self, record: Record) -> None:
        try:
            self._journal.append(record)
        except JournalBroken:
            self.void(record["t"], "unwritten")
            raise Unavailable("The books cannot be written right now.", retry_after_s=5) from None

    def streaming(self) -> None:
        """The caller is about to get a first byte: no attempt may follow."""
        self.stage = move(self.stage, Stage.STREAMING)

    def draining(self) -> None:
        """The caller left; we read on."""
        self.stage = move(self.stage, Stage.DRAINING)

    def mark(
        self, t: int, output_estimate: int, cost_nusd: int | None, call_id: str | None, so_far_milli: int | None
    ) -> None:
        """Journal a checkpoint of a running stream."""
        self._journal.append(
            records.mark(x=self.x, t=t, output_estimate=output_estimate, cost_nusd=cost_nusd, call_id=call_id,
                         credits_milli=so_far_milli)
        )  # fmt: skip

    def settle(
        self, t: int, outcome: Outcome, credits_milli: int, baseline_nusd: int | None, decision: dict[str, Any],
        marks_nusd: int | None = 0, trims_nusd: int = 0,
    ) -> None:  # fmt: skip
        """Journal the charge; what was held too much goes back to the lease, what was held too little comes out of it.

        A lease may end below zero: nothing can be taken from it until the keeper was asked.
        """
        closed = move(move(self.stage, Stage.SETTLING), Stage.CLOSED)
        self._journal.append(
            records.settled(x=self.x, t=t, outcome=outcome, credits_milli=credits_milli, attempts=self.attempts,
                            baseline_nusd=baseline_nusd, decision=decision, marks_nusd=marks_nusd,
                            trims_nusd=trims_nusd)
        )  # fmt: skip
        # Only a written record closes the ticket: if the write failed it is still open, and the keeper will find it.
        self.stage, self.charged_milli = closed, credits_milli
        self.is_answered = outcome not in UNANSWERED
        self._release(self.held_milli - credits_milli, credits_milli)

    def repeat(self, record: Record) -> None:
        """Journal an answer from memory and its charge, which is no more than what is held; the rest goes back.

        Raises:
            Unavailable: the journal refused it: the ticket is void, and nothing is charged.
        """
        closed = move(self.stage, Stage.CLOSED)
        self._write_first(record)
        charged = record["cr"]
        self.stage, self.charged_milli, self.is_answered = closed, charged, True
        self._give_back(self.held_milli - charged)
        if self.right is not None:
            self.right.repeat(charged)
        if self.on_closed is not None:  # others may wait for it, where it looked further than they did
            self.on_closed()

    @property
    def unwritten(self) -> Record:
        """The hold, which is not on file yet."""
        assert self._hold is not None, "an answer from memory comes before the first call"
        return self._hold

    def void(self, t: int, why: str) -> None:
        """Journal that nothing is charged; the whole hold goes back. Attempts keep their cost lines.

        A hold that was never written needs no word of its end.
        """
        voided = move(self.stage, Stage.VOID)
        if self._hold is None:
            self._journal.append(records.void(x=self.x, t=t, why=why, attempts=self.attempts))
        self.stage = voided
        self._release(self.held_milli, 0)

    def _release(self, milli: int, charged_milli: int) -> None:
        self._give_back(milli)
        if self.right is not None:
            self.right.end(self.attempts, charged_milli)
        if self.on_closed is not None:
            self.on_closed()

    def _give_back(self, milli: int) -> None:
        if self._enforced and milli:
            self._wallets.put_back(self.customer, milli, lease=self._lease)

    @property
    def is_open(self) -> bool:
        """Whether it still must be settled or voided."""
        return self.stage in _OPEN
