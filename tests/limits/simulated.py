"""Workers and a keeper in one process, on a clock that only moves when everybody waits."""

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxy.keeper.counter import Counter
from proxy.keeper.loans import Loans
from proxy.limits import periods
from proxy.limits.guard import Away, Guard, No, Question, Reached
from proxy.limits.passage import Passage
from proxy.limits.shares import Amounts, Name, Share
from proxy.limits.windows import SPANS_NS

NS = 1_000_000_000


class _Selector(selectors.SelectSelector):
    """Does not wait: the time that would have passed passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; with nothing ready, let the time pass."""
        ready = super().select(0)
        assert ready or timeout is not None, "everybody waits for nothing"
        if not ready and timeout is not None:
            self.waited_s += max(timeout, 0)
        return ready


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time is simulated."""

    def __init__(self) -> None:
        self._simulated = _Selector()
        super().__init__(self._simulated)

    def time(self) -> float:
        """Return seconds since the loop began, and a day more: nobody's clock starts at zero."""
        return 86_400 + self._simulated.waited_s

    def ns(self) -> int:
        """Return the same in nanoseconds."""
        return round(self.time() * 1e9)


def simulate(story: Callable[[Clock], Coroutine[Any, Any, Any]]) -> Any:
    """Run a story to its end on a simulated clock."""
    loop = Clock()
    try:
        return loop.run_until_complete(asyncio.wait_for(story(loop), 40 * 86_400))
    finally:
        loop.close()


class Books:
    """What is spent of each budget."""

    def __init__(self) -> None:
        self.spent: dict[Name, int] = {}
        self.before: list[tuple[int, int]] = []
        self.house: House | None = None

    def spend(self, name: Name, nusd: int) -> None:
        """Note what was journalled."""
        self.spent[name] = self.spent.get(name, 0) + nusd

    def spent_nusd(self, name: Name) -> int:
        """Return what was journalled so far."""
        return self.spent.get(name, 0)

    def used(self, name: Name) -> list[tuple[int, int]]:
        """Return what was used before this keeper began, and since."""
        assert self.house is not None
        t, lasts_ns = self.house.clock.ns(), SPANS_NS[name.per]
        since = [(count, at + lasts_ns - t) for at, count in self.house.admitted.get(name, [])]
        return self.before + [each for each in since if each[1] > 0]

    def resets_ns(self, name: Name, short: int = 1) -> int | None:
        """Return how long a period lasts yet."""
        return 3600 * NS


class Calendar(Books):
    """What is spent of each budget by the hour, of periods in UTC. `start`: when the loop's first second was."""

    def __init__(self, start: datetime) -> None:
        super().__init__()
        self.by_hour: dict[Name, dict[int, int]] = {}
        self._start_ns = int(start.timestamp()) * NS - 86_400 * NS  # the clock begins a day late

    def now(self) -> int:
        """Return the wall clock's time."""
        assert self.house is not None
        return self._start_ns + self.house.clock.ns()

    def spend(self, name: Name, nusd: int) -> None:
        """Note what was journalled, in its hour."""
        hours = self.by_hour.setdefault(name, {})
        hour = self.now() // periods.HOUR_NS
        hours[hour] = hours.get(hour, 0) + nusd

    def spent_nusd(self, name: Name) -> int:
        """Return what counts of it now."""
        return sum(self._counted(name).values())

    def resets_ns(self, name: Name, short: int = 1) -> int | None:
        """Return in how long so much no longer counts."""
        frees_t = periods.frees_t(name.per.split(" ")[0], self.now(), self._counted(name), short)
        return None if frees_t is None else frees_t - self.now()

    def _counted(self, name: Name) -> dict[int, int]:
        first = periods.first_hour(name.per.split(" ")[0], self.now())
        return {hour: nusd for hour, nusd in self.by_hour.get(name, {}).items() if hour >= first}


class Worker:
    """A guard, its line to the keeper with some delay, and what it let through."""

    def __init__(self, house: "House", number: int) -> None:
        self.journal: str | None = f"worker-{number}"
        self._house = house
        self.guard = Guard(self, house.clock.ns)
        self.is_dead = False
        self._inbox: deque[Callable[[], None]] = deque()

    async def _pass(self) -> None:
        await asyncio.sleep(self._house.random.uniform(0, 0.002))

    async def _deliver(self, act: Callable[[], Any]) -> Any:
        """Do something after a delay, but nothing before what was sent earlier: a socket keeps its order."""
        done = asyncio.get_running_loop().create_future()
        self._inbox.append(lambda: done.set_result(act()))
        await self._pass()
        while not done.done() and self._inbox:
            self._inbox.popleft()()
        return await done

    async def lend_share(self, question: Question) -> No | None:
        """Ask the keeper."""
        asked = {"name": question.name.text, "limit": question.limit, "need": question.need, "wish": question.wish,
                 "back": question.back, "frees": question.frees_ns}  # fmt: skip
        await self._pass()
        answer = await self._house.counter.lend(self, asked)
        if answer == "unknown":
            raise Away
        await self._deliver(lambda: None if self.is_dead else self._take(question.name, answer))
        return No(answer["available"], answer["final"], answer["frees"]) if "no" in answer else None

    def _take(self, name: Name, answer: dict[str, Any]) -> None:
        if "share" in answer:
            self.guard.add(name, answer["count"])
        if "spent" in answer:
            self.guard.tell(name, answer["spent"], answer["resets"])

    def ask_spent(self, names: list[Name]) -> None:
        """Ask the keeper, without waiting."""
        self._house.asked_spent += 1
        self._asking = asyncio.ensure_future(self._hear_spent(names))

    async def _hear_spent(self, names: list[Name]) -> None:
        await self._pass()
        said = self._house.counter.spent([each.text for each in names])["spent_of"]
        await self._pass()
        for text, each in said.items():
            self.guard.tell(Name.read(text), each["spent"], each["resets"])

    async def recall_share(self, name: Name, need: int) -> int | None:
        """Be asked by the keeper."""
        if self.is_dead:
            return None
        back, frees = await self._deliver(lambda: self.guard.surrender(name, need))
        await self._pass()
        if self.is_dead:
            return None
        self._house.counter.give_back(self, name, back)
        return frees


@dataclass
class Got:
    """A passage, its worker, and what was taken."""

    worker: Worker
    passage: Passage
    amounts: Amounts


class House:
    """A keeper and its workers."""

    def __init__(self, clock: Clock, *, workers: int, seed: int = 0, books: Books | None = None) -> None:
        self.clock, self.random = clock, random.Random(seed)
        self.loans, self.books = Loans(), Books() if books is None else books
        self.workers = [Worker(self, number) for number in range(workers)]
        self.counter = Counter(self.loans, self.workers, self.books, clock.ns)
        self.admitted: dict[Name, list[tuple[int, int]]] = {}
        self.books.house = self
        self.refused: list[Reached] = []
        self.away = 0
        self.asked_spent = 0

    async def ask(
        self, limits: dict[Name, int], amounts: Amounts | None = None, worker: int | None = None
    ) -> Got | None:
        """Let one request ask a worker, any unless stated; return what it got, if it was let through."""
        which = self.random.choice(self.workers) if worker is None else self.workers[worker]
        wanted = Amounts() if amounts is None else amounts
        shares: list[Share] = [which.guard.share(name, limit) for name, limit in limits.items()]
        try:
            passage = await which.guard.admit(shares, wanted)
        except Reached as reached:
            self.refused.append(reached)
            return None
        except Away:
            self.away += 1
            return None
        if which.is_dead:  # it died while it waited
            return None
        for each in shares:
            self.admitted.setdefault(each.name, []).append((self.clock.ns(), wanted[each.place]))
        return Got(which, passage, wanted)

    def end(self, got: Got, actual: Amounts | None = None, names: tuple[Name, ...] = ()) -> None:
        """End what was let through: journalled, then given back. What a dead worker had is journalled all the same."""
        came_to = got.amounts if actual is None else actual
        for name in names:
            if name.measure in {"cost", "charge"}:
                nusd = came_to.cost_nusd if name.measure == "cost" else came_to.charge_nusd
                self.books.spend(name, nusd)
        if not got.worker.is_dead:
            got.passage.end(came_to)

    async def kill(self, number: int) -> None:
        """End a worker without a word, and start another."""
        dead = self.workers[number]
        dead.is_dead = True
        assert dead.journal is not None
        # Replaced in place: the counter counts it until then.
        self.workers[number] = Worker(self, 100 + self.random.randrange(10**6))
        await self.counter.bury(dead.journal)

    def most_within(self, name: Name, span_ns: int) -> int:
        """Return the most that was let through within any time of that length."""
        times = self.admitted.get(name, [])
        most = total = start = 0
        for t, count in times:
            total += count
            while times[start][0] <= t - span_ns:
                total -= times[start][1]
                start += 1
            most = max(most, total)
        return most
