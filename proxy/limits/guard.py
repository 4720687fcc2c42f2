"""All limits of one worker, and the one check that admits.

`Guard.admit` looks at every limit before it takes from any, with no await between the look and the take. A share that
is used up is filled by asking the keeper; simultaneous askers share one question; a *no* is remembered for a moment, so
that whoever comes meanwhile is refused here and now.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from proxy.limits.inquiry import Inquiry
from proxy.limits.passage import Passage
from proxy.limits.shares import FOREVER_NS, Amounts, Name, Purse, Share, share
from proxy.limits.windows import Room

ROUNDS_MAX = 16
"""A fill brings what all who wait at its start need, if there is that much; more rounds than a few mean a stampede."""
NO_NS_MAX = 1_000_000_000
"""How long a *no* is believed at most, even if nothing leaves a window sooner: a limit may be raised, a call voided."""
NO_NS_OPEN = 50_000_000
"""The same where whatever is under way may end at any moment: open requests, and held budgets."""
SHARES_MAX = 65_536
"""Shares a worker keeps: some 30 MB. Beyond it those that nothing uses are given up."""


class Away(Exception):
    """The keeper did not answer in time: nobody knows whether the limit has room."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a worker asks the keeper of one limit.

    Args:
        name: Which limit.
        limit: How high it is.
        need: What one request needs at least.
        wish: What all requests that wait need.
        back: By how much the account of this worker falls first.
        frees_ns: In how long what is needed leaves this worker's own window; None when nobody can say.
    """

    name: Name
    limit: int
    need: int
    wish: int
    back: int
    frees_ns: int | None


@dataclass(frozen=True, slots=True)
class No:
    """The keeper's no.

    Args:
        available: What of the limit is free, or will be when what is held comes back unused.
        is_final: Whether nothing that is under way could change it: a budget that is spent.
        frees_ns: In how long there may be enough; None when nobody can say.
    """

    available: int
    is_final: bool
    frees_ns: int | None


class Lender(Protocol):
    """The keeper, as limits see it."""

    async def lend_share(self, question: Question) -> No | None:
        """Have at least `need` added to the share (`Guard.add`), better `wish`; or say no.

        Raises:
            Away: no word in time.
        """
        ...

    def ask_spent(self, names: list[Name]) -> None:
        """Have told what is spent of some budgets (`Guard.tell`), some time or never."""
        ...


class Reached(Exception):
    """A limit has no room. `retry_ns`: in how long it may have; None when nobody can say."""

    def __init__(self, share: Share, need: int, no: No, retry_ns: int | None) -> None:
        super().__init__(share.name, need)
        self.share, self.need, self.no, self.retry_ns = share, need, no, retry_ns

    @property
    def lasts_ns(self) -> int:
        """How long it lasts, to compare by: 0 where requests under way may end it at any moment."""
        if self.need > self.share.limit or (self.no.is_final and self.retry_ns is None):
            return FOREVER_NS
        return self.retry_ns or 0


@dataclass(frozen=True, slots=True)
class _Noted:
    """A no, for how much it was said, and how long it is believed."""

    no: No
    need: int
    said_ns: int
    until_ns: int


class Alone:
    """A lender to a worker that has no keeper: each limit is its own. There are no books to count a budget by."""

    def __init__(self) -> None:
        self.guard: Guard | None = None
        self._lent: dict[Name, int] = {}

    async def lend_share(self, question: Question) -> No | None:
        """Lend all there is."""
        assert self.guard is not None, "`Guard.alone` makes it"
        name, limit = question.name, question.limit
        lent = self._lent.get(name, 0) - question.back
        self._lent[name] = limit
        self.guard.add(name, limit - lent)
        if limit - lent >= question.need:
            return None
        return No(limit - lent, is_final=False, frees_ns=question.frees_ns)

    def ask_spent(self, names: list[Name]) -> None:
        """Nobody knows."""


class Guard:
    """The shares of one worker."""

    def __init__(self, lender: Lender, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._lender, self.clock = lender, clock
        self._shares: dict[Name, Share] = {}
        self._room = Room()
        self.inquiry = Inquiry(lender.ask_spent, clock)
        self._noted: dict[Name, _Noted] = {}
        self._fills: dict[Name, asyncio.Future[No | None]] = {}
        self._waiting: dict[Name, int] = {}

    @classmethod
    def alone(cls) -> Guard:
        """Return a guard without a keeper."""
        lender = Alone()
        lender.guard = found = cls(lender)
        return found

    def share(self, name: Name, limit: int) -> Share:
        """Return the share of a limit, an empty one at first use. A limit that changed is as high as said here."""
        found = self._shares.get(name)
        if found is None:
            found = self._shares[name] = share(name, limit, self._room)
        if found.limit != limit:
            found.limit = limit
            self._noted.pop(name, None)
        return found

    # ---- admitting --------------------------------------------------------------------------------------------------

    async def admit(self, shares: Sequence[Share], amounts: Amounts) -> Passage:
        """Take from all shares, or from none.

        Raises:
            Reached: the keeper says that a limit has no room.
            Away: it did not answer in time.
        """
        passage = self.take(shares, amounts)
        if passage is not None:
            return passage
        for _ in range(ROUNDS_MAX):
            await self._fill_short(shares, amounts)
            passage = self.take(shares, amounts)
            if passage is not None:
                return passage
        raise Away

    def take(self, shares: Sequence[Share], amounts: Amounts) -> Passage | None:
        """Take from all shares what they hold at this moment; None, and nothing taken, when one holds too little."""
        t = self.clock()
        wanted: list[tuple[Share, int]] = [(each, amounts[each.place]) for each in shares]  # type: ignore[misc]
        for each, count in wanted:
            if each.free(t) < count:
                return None
        return Passage([(each, count, each.take(count, t)) for each, count in wanted], self.clock)

    async def more(self, passage: Passage, shares: Sequence[Share], count: int) -> None:
        """Take more of shares that an exchange has taken from: of all, or of none.

        Raises:
            Reached, Away: as `admit`.
        """
        for _ in range(ROUNDS_MAX):
            t = self.clock()
            short = next((each for each in shares if each.free(t) < count), None)
            if short is None:
                for each in shares:
                    passage.add(each, count, t)
                return
            await self._fill(short, count)
        raise Away

    def more_of_what_is_left(self, passage: Passage, shares: Sequence[Share], count: int) -> None:
        """Take so much more of shares that an exchange has taken from, or what each holds if that is less."""
        t = self.clock()
        for each in shares:
            passage.add(each, min(max(each.free(t), 0), count), t)

    async def _fill_short(self, shares: Sequence[Share], amounts: Amounts) -> None:
        t = self.clock()
        short = [(each, count) for each in shares if each.free(t) < (count := amounts[each.place])]  # type: ignore[operator]
        if len(short) == 1:
            await self._fill(*short[0])  # type: ignore[arg-type]
            return
        said = await asyncio.gather(*(self._fill(each, count) for each, count in short), return_exceptions=True)  # type: ignore[arg-type]
        reached = [error for error in said if isinstance(error, Reached)]
        if reached:  # of several the one that has no room for longest: who comes back sooner meets it then
            raise max(reached, key=lambda each: each.lasts_ns)
        for error in said:
            if error is not None:
                raise error

    # ---- asking -----------------------------------------------------------------------------------------------------

    async def _fill(self, each: Share, need: int) -> None:
        name = each.name
        self._refuse_if_noted(each, need)
        self._waiting[name] = self._waiting.get(name, 0) + need
        try:
            fill = self._fills.get(name)
            if fill is None or fill.done():  # done, and its callback has not run: its answer is an old one
                fill = self._fills[name] = asyncio.ensure_future(self._ask(each, need))
                fill.add_done_callback(partial(self._filled, name))
            await asyncio.shield(fill)
        finally:
            self._waiting[name] -= need
            if not self._waiting[name]:
                del self._waiting[name]
        # A larger need's no is not ours: we ask for ourselves in the next round.
        if each.free(self.clock()) < need:
            self._refuse_if_noted(each, need)

    async def _ask(self, each: Share, need: int) -> No | None:
        t, name = self.clock(), each.name
        frees, back = each.frees_ns(need, t), each.surrender(t)
        if isinstance(each, Purse):
            each.asked(t)  # with what is lent, the keeper says what is spent
        # What is in use beyond the share, after answers longer than estimated, must be lent too.
        owed = -each.free(t)
        # All who wait are asked for, so that one fill serves them and not one of them.
        wish = max(need, self._waiting[name])
        # More than all there is cannot be lent, and need not be written down: what was asked for may be any number.
        need_most, wish = min(need, each.limit + 1), min(wish, each.limit + 1)
        no = await self._lender.lend_share(Question(name, each.limit, need_most + owed, wish + owed, back, frees))
        if no is None:
            self._noted.pop(name, None)
        else:
            self._note(name, need, no)
        return no

    def _note(self, name: Name, need: int, no: No) -> None:
        most = NO_NS_MAX if name.measure == "requests" or no.is_final else NO_NS_OPEN
        t = self.clock()
        self._noted[name] = _Noted(no, need, t, t + (most if no.frees_ns is None else min(no.frees_ns, most)))

    def _refuse_if_noted(self, each: Share, need: int) -> None:
        noted = self._noted.get(each.name)
        if noted is None or need < noted.need:
            return
        t = self.clock()
        if t >= noted.until_ns:
            return
        frees = noted.no.frees_ns
        retry_ns = None if frees is None else max(frees - (t - noted.said_ns), 0)
        if need > noted.need and retry_ns is not None:  # that was said to a smaller one: more takes longer
            retry_ns = max(retry_ns, each.frees_ns(need, t) or 0)
        raise Reached(each, need, noted.no, retry_ns)

    def _filled(self, name: Name, done: asyncio.Future[No | None]) -> None:
        if self._fills.get(name) is done:
            del self._fills[name]
        if not done.cancelled():
            done.exception()  # seen here too, so that a fill all askers left does not warn

    # ---- what the keeper does ---------------------------------------------------------------------------------------

    def add(self, name: Name, count: int) -> int:
        """Add to a share what the keeper lent, at once, also when the asker has given up.

        Returns what goes back at once: all of it, when the share was dropped meanwhile.
        """
        found = self._shares.get(name)
        if found is None:
            return count
        found.size += count
        return 0

    def tell(self, name: Name, spent: int, resets_ns: int) -> None:
        """Note what the keeper says of a budget: what is spent of it, and in how long it begins anew."""
        found = self._shares.get(name)
        if isinstance(found, Purse):
            found.told(spent, self.clock() + resets_ns)

    def surrender(self, name: Name, need: int) -> tuple[int, int | None]:
        """Give up what a share does not use; return it, and in how long `need` may leave the window."""
        found = self._shares.get(name)
        if found is None:
            return 0, None
        t = self.clock()
        back = found.surrender(t)
        return back, found.frees_ns(need, t)

    def surrender_all(self) -> list[tuple[Name, int]]:
        """Give up what no share uses, as limits may have changed, and forget every *no*; return what each falls by."""
        self._noted.clear()
        t = self.clock()
        return [(name, back) for name, each in self._shares.items() if (back := each.surrender(t))]

    def surrender_of(self, subjects: Collection[tuple[str, str]]) -> list[tuple[Name, int]]:
        """Do the same with the shares of some keys and customers only, by kind and id."""
        if not subjects:
            return []
        t, found = self.clock(), []
        for name, each in self._shares.items():
            if (name.kind, name.id) in subjects:
                self._noted.pop(name, None)
                found.append((name, each.surrender(t)))
        return found

    @property
    def is_crowded(self) -> bool:
        """Whether there are more shares than are kept."""
        return len(self._shares) > SHARES_MAX

    def names(self, kind: str) -> list[Name]:
        """Return the limits of a kind of subject that there are shares of."""
        return [name for name in self._shares if name.kind == kind]

    def give_up_idle(self) -> list[tuple[Name, int]]:
        """Drop the shares that nothing uses; return what falls by how much."""
        t, found = self.clock(), []
        for name, each in list(self._shares.items()):
            back = each.surrender(t)
            if each.is_idle and name not in self._fills:
                del self._shares[name]
                self._noted.pop(name, None)
            if back:
                found.append((name, back))
        return found
