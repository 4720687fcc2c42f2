"""Four workers race for the same limits through the real counter: never above any, and no money overshot."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.limits.guard import Away, Reached
from proxy.limits.shares import Amounts, Name
from tests.limits.simulated import NS, Clock, Got, House, simulate

RPM = Name("key", "k", "requests", "minute")
TPM = Name("customer", "1", "tokens", "minute")
OPEN = Name("key", "k", "open")
RPD = Name("plan", "1", "requests", "day")
MONEY = Name("key", "k", "cost", "day cost hard")
EVERY = {RPM: 40, TPM: 900, OPEN: 6, RPD: 300, MONEY: 20_000}

asks = st.lists(
    st.tuples(
        st.floats(0, 8),
        st.integers(1, 60),
        st.integers(0, 900),
        st.floats(0, 1),
        st.sampled_from(["kill"] + ["go"] * 20),
    ),
    min_size=1,
    max_size=60,
)


async def one(house: House, ask: tuple, open_now: list[int]) -> None:
    """Ask, hold for a while, spend a part of the ceiling."""
    lasts_s, tokens, ceiling, part, what = ask
    if what == "kill":
        await house.kill(house.random.randrange(len(house.workers)))
        return
    got = await house.ask(EVERY, Amounts(tokens=tokens, cost_nusd=ceiling))
    if got is None:
        return
    open_now[0] += 1
    # Beyond it nobody may ever be, at any moment.
    held = house.books.spent_nusd(MONEY) + sum(each[1] for each in held_of(house))
    assert held <= EVERY[MONEY]
    await asyncio.sleep(lasts_s)
    open_now[0] -= 1
    house.end(got, Amounts(tokens=int(tokens * part), cost_nusd=int(ceiling * part)), (MONEY,))


def any_died(wanted: list[tuple]) -> bool:
    """Tell whether a worker is killed: what it had open is no longer open, and still counted by the story."""
    return any(each[4] == "kill" for each in wanted)


def held_of(house: House) -> list[tuple[str, int]]:
    """Return what living workers hold of the budget."""
    return [(w.journal, share.held) for w in house.workers if (share := w.guard._shares.get(MONEY)) is not None]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), asks, st.integers(1, 4))
def test_no_limit_is_ever_exceeded(seed, wanted, workers):
    """Any mix of requests, endings and deaths: each window, the open requests, and the budget stay within."""

    async def story(clock: Clock) -> House:
        house = House(clock, workers=workers, seed=seed)
        open_now = [0]
        running = []
        for ask in wanted * 4:
            running.append(asyncio.ensure_future(one(house, ask, open_now)))
            await asyncio.sleep(house.random.choice([0, 0, 0, 0.01, 1, 7]))
            assert open_now[0] <= EVERY[OPEN] or any_died(wanted)
        await asyncio.gather(*running)
        return house

    house = simulate(story)

    assert house.most_within(RPM, 60 * NS) <= EVERY[RPM]
    assert house.most_within(RPD, 86_400 * NS) <= EVERY[RPD]
    assert house.books.spent_nusd(MONEY) <= EVERY[MONEY]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_sixty_of_a_hundred_at_once(workers):
    """`rpm: 60`, a hundred requests at once over all workers: exactly sixty go through, whichever worker they meet."""

    async def story(clock: Clock) -> list:
        house = House(clock, workers=workers, seed=7)
        got = await asyncio.gather(*(house.ask({RPM: 60}) for _ in range(100)))
        return [each for each in got if each is not None], house

    through, house = simulate(story)

    assert len(through) == 60
    assert house.away == 0
    assert len(house.refused) == 40


def test_all_of_a_budget_can_be_spent_wherever_it_lies():
    """Four workers, ceilings of 900 that come to 10 each: nobody is refused for what is only held elsewhere unused."""

    async def story(clock: Clock) -> House:
        house = House(clock, workers=4, seed=3)
        for _ in range(1_900):
            got = await house.ask({MONEY: 20_000}, Amounts(cost_nusd=900))
            assert got is not None
            house.end(got, Amounts(cost_nusd=10), (MONEY,))
        got = await house.ask({MONEY: 20_000}, Amounts(cost_nusd=1_001))
        assert got is None
        return house

    house = simulate(story)

    assert house.books.spent_nusd(MONEY) == 19_000
    assert house.refused[-1].no.is_final
    assert house.refused[-1].no.available == 1_000


def test_what_is_only_held_is_no_final_word():
    """A budget that requests under way hold says when to come back; one that is spent says that nothing helps."""

    async def story(clock: Clock) -> House:
        house = House(clock, workers=2)
        held = await house.ask({MONEY: 1_000}, Amounts(cost_nusd=900), worker=0)
        assert await house.ask({MONEY: 1_000}, Amounts(cost_nusd=200), worker=1) is None
        assert not house.refused[-1].no.is_final
        house.end(held, Amounts(cost_nusd=100), (MONEY,))
        await asyncio.sleep(0.06)
        assert await house.ask({MONEY: 1_000}, Amounts(cost_nusd=200), worker=1) is not None
        return house

    simulate(story)


def test_a_stampede_costs_the_keeper_nothing():
    """Ten thousand requests over a limit within a second: a handful of questions, each refusal says when to come."""

    async def story(clock: Clock) -> int:
        house = House(clock, workers=4, seed=1)
        questions = 0
        lend = house.counter.lend

        async def counted(*words):
            nonlocal questions
            questions += 1
            return await lend(*words)

        house.counter.lend = counted
        for _ in range(100):
            await asyncio.gather(*(house.ask({RPM: 60}) for _ in range(100)))
            await asyncio.sleep(0.01)
        assert sum(1 for each in house.refused if each.retry_ns is not None) == len(house.refused)
        assert all(57 * NS < each.retry_ns <= 60 * NS for each in house.refused)
        return questions

    assert simulate(story) < 100


def test_a_dead_workers_share_comes_back_when_its_window_has_run_out():
    """Ten let through by a worker that dies count for a minute more; its open requests do not."""

    async def story(clock: Clock) -> None:
        house = House(clock, workers=2)
        for _ in range(10):
            assert await house.ask({RPM: 10, OPEN: 10}, worker=0)
        await house.kill(0)
        assert await house.ask({OPEN: 10}, worker=1)
        assert await house.ask({RPM: 10}, worker=1) is None
        await asyncio.sleep(58.9)
        assert await house.ask({RPM: 10}, worker=1) is None
        await asyncio.sleep(1.1)
        assert await house.ask({RPM: 10}, worker=1) is not None

    simulate(story)


def test_a_lone_worker_that_dies_takes_no_more_with_it_than_it_used():
    """It was lent all 300 of a day and used three, twice over: 294 are left to the third, and not one more."""

    async def story(clock: Clock) -> None:
        house = House(clock, workers=1)
        for _ in range(2):
            for _ in range(3):
                assert await house.ask({RPD: 300, RPM: 40}) is not None
            await house.kill(0)
        assert await house.ask({RPD: 300, RPM: 40}) is not None
        got = [await house.ask({RPD: 300}) for _ in range(294)]
        assert [each is not None for each in got] == [True] * 293 + [False]

    simulate(story)


def test_a_day_with_its_limits_and_resets_to_the_second():
    """24 hours, a request each second, 3,600 a day: the first hour's go through, then none until the day is over."""

    async def story(clock: Clock) -> list[int]:
        house = House(clock, workers=1)
        through = []
        began = clock.ns()
        while (second := (clock.ns() - began) // NS) < 86_400 + 3_600:
            if await house.ask({RPD: 3_600}) is not None:
                through.append(second)
                await asyncio.sleep(1 - (clock.time() % 1))
            else:
                wait_ns = house.refused[-1].retry_ns
                assert wait_ns is not None
                await asyncio.sleep(wait_ns / 1e9)
        return through

    through = simulate(story)

    assert through[:3_600] == list(range(3_600))
    assert through[3_600:] == list(range(86_400, 86_400 + 3_600))


def test_who_needs_more_is_told_a_longer_wait():
    """A large request right after a small one was refused: its wait is its own, and not the small one's."""

    async def story(clock: Clock) -> list[int | None]:
        house = House(clock, workers=1)
        for _ in range(20):  # a hundred tokens every two seconds, until none is left
            house.end(await house.ask({TPM: 2_000}, Amounts(tokens=100)))
            await asyncio.sleep(2)
        for tokens in (100, 1_500):
            assert await house.ask({TPM: 2_000}, Amounts(tokens=tokens)) is None
        return [each.retry_ns for each in house.refused]

    small, large = simulate(story)

    assert round((small or 0) / NS) == 60 - 40  # the first hundred came forty seconds ago
    assert round((large or 0) / NS) == 60 - 40 + 14 * 2  # and the fifteenth 28 s later


@pytest.mark.parametrize("first", [RPM, OPEN])
@pytest.mark.parametrize("workers", [1, 4])
def test_of_several_limits_the_one_that_lasts_is_told(first, workers):
    """A minute's limit, or one of open requests, and a day's are reached: to come back in a minute is no use."""

    async def story(clock: Clock) -> list[Reached]:
        house = House(clock, workers=workers, seed=5)
        limits = {first: 5, RPD: 5, MONEY: 20_000}
        for _ in range(5):
            assert await house.ask(limits, Amounts(cost_nusd=1)) is not None
        assert await house.ask(limits, Amounts(cost_nusd=20_001)) is None
        assert await house.ask(limits, Amounts(cost_nusd=1)) is None
        return house.refused

    alone, lasting = simulate(story)

    assert alone.share.name == MONEY  # it needs more than all of it: no wait helps
    assert lasting.share.name == RPD
    assert 86_000 * NS < (lasting.retry_ns or 0) <= 86_400 * NS


def test_a_restart_forgets_no_day():
    """What the books have of the last day counts before anything is lent."""

    async def story(clock: Clock) -> None:
        house = House(clock, workers=2)
        house.books.before = [(250, 3_600 * NS), (40, 7_200 * NS)]
        got = [await house.ask({RPD: 300}) for _ in range(11)]
        assert [each is not None for each in got] == [True] * 10 + [False]
        await asyncio.sleep(3_601)
        assert await house.ask({RPD: 300}) is not None

    simulate(story)


def test_a_limit_that_is_lowered_binds_at_once():
    """What lies in the window stays; nothing more goes through until it is below the new limit."""

    async def story(clock: Clock) -> None:
        house = House(clock, workers=1)
        for _ in range(10):
            assert await house.ask({RPM: 100}) is not None
        assert await house.ask({RPM: 10}) is None
        assert await house.ask({RPM: 11}) is not None
        assert await house.ask({RPM: 11}) is None
        await asyncio.sleep(62)
        assert await house.ask({RPM: 10}) is not None

    simulate(story)


# ---- any set of limits -----------------------------------------------------------------------------------------------

SUBJECTS = [("key", "k"), ("customer", "1"), ("member", "1:m"), ("plan", "pro"), ("feature", "f"), ("model", "m"),
            ("all", "")]  # fmt: skip
COUNTED = [("requests", "minute"), ("requests", "day"), ("tokens", "minute"), ("tokens", "day"), ("open", "")]
SPENT = [(of, f"{per} {of} {action}") for of in ("cost", "charge") for per in ("hour", "day", "week", "month", "36h")
         for action in ("hard", "downgrade")]  # fmt: skip
LARGEST = {"requests": 60, "tokens": 2_000, "open": 8, "cost": 30_000, "charge": 30_000}

limits = st.dictionaries(
    st.builds(lambda whose, what: Name(*whose, *what), st.sampled_from(SUBJECTS), st.sampled_from(COUNTED + SPENT)),
    st.floats(0.05, 1), min_size=1, max_size=12,
)  # fmt: skip
steps = st.lists(
    st.tuples(
        st.sampled_from(["ask"] * 16 + ["more"] * 3 + ["kill", "lower"]),
        st.floats(0, 90), st.integers(1, 300), st.integers(0, 4_000), st.floats(0, 1),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


class Race:
    """Requests under a drawn set of limits; after each step, no budget may be above its amount, held and spent."""

    def __init__(self, clock: Clock, seed: int, wanted: dict[Name, float], workers: int) -> None:
        self.house = House(clock, workers=workers, seed=seed)
        self.limits = {name: max(1, int(share * LARGEST[name.measure])) for name, share in wanted.items()}
        self.most = dict(self.limits)
        self.open: dict[int, tuple[Got, int]] = {}
        """Exchanges under way, each with the most it may cost."""
        self.tokens: list[tuple[int, int]] = []
        """When each exchange was let through, and how many tokens it came to."""

    @property
    def money(self) -> tuple[Name, ...]:
        """Its budgets."""
        return tuple(name for name in self.limits if name.measure in {"cost", "charge"})

    def check(self) -> None:
        """Zero overshoot for money, whatever was lowered since: what is held was within when it was taken."""
        for name in self.money:
            held = sum(share.held for each in self.house.workers
                       if (share := each.guard._shares.get(name)) is not None)  # fmt: skip
            assert self.house.books.spent_nusd(name) + held <= self.most[name], name
        tightest = min((limit for name, limit in self.most.items() if name.measure == "open"), default=None)
        assert tightest is None or len(self.open) <= tightest

    async def ask(self, kind: str, lasts_s: float, tokens: int, ceiling: int, part: float) -> None:
        """Let one request ask, perhaps hold more for a dearer model, last, and cost a part of its ceiling."""
        got = await self.house.ask(self.limits, Amounts(1, tokens, ceiling, ceiling // 2))
        if got is None:
            return
        at, most = self.house.clock.ns(), ceiling
        self.open[id(got)] = (got, most)
        if kind == "more":
            most += await self._more(got, ceiling)
        self.check()
        await asyncio.sleep(lasts_s)
        if self.open.pop(id(got), None) is None:  # its worker died, and the keeper has closed it
            return
        actual = Amounts(1, int(tokens * part), int(most * part), int(ceiling // 2 * part))
        self.tokens.append((at, int(tokens * part)))
        self.house.end(got, actual, self.money)
        self.check()

    async def kill(self) -> None:
        """End a worker; the keeper closes what it had open, at the most it may cost, before it lends that again."""
        number = self.house.random.randrange(len(self.house.workers))
        for got, most in [each for each in self.open.values() if each[0].worker is self.house.workers[number]]:
            del self.open[id(got)]
            got.worker.is_dead = True
            self.house.end(got, got.amounts._replace(cost_nusd=most), self.money)
        await self.house.kill(number)

    async def _more(self, got: Got, ceiling: int) -> int:
        """Hold as much again of every budget of cost, all or nothing; return what is held beyond the ceiling."""
        guard = got.worker.guard
        shares = [guard.share(name, self.limits[name]) for name in self.money if name.measure == "cost"]
        if not shares or got.worker.is_dead:
            return 0
        try:
            await guard.more(got.passage, shares, ceiling)
        except (Reached, Away):
            return 0
        if got.worker.is_dead:
            return 0
        self.open[id(got)] = (got, 2 * ceiling)
        return ceiling

    async def step(self, kind: str, lasts_s: float, tokens: int, ceiling: int, part: float) -> None:
        """Take one step of the story."""
        if kind == "kill":
            await self.kill()
        elif kind == "lower":
            name = self.house.random.choice(sorted(self.limits, key=lambda each: each.text))
            self.limits[name] = max(1, int(self.limits[name] * part))
        else:
            await self.ask(kind, lasts_s, tokens, ceiling, part)


def race(seed: int, wanted: dict[Name, float], told: list[tuple], workers: int) -> Race:
    """Run a story over some minutes of simulated time."""

    async def story(clock: Clock) -> Race:
        found, running = Race(clock, seed, wanted, workers), []
        for each in told * 3:
            running.append(asyncio.ensure_future(found.step(*each)))
            await asyncio.sleep(found.house.random.choice([0, 0, 0, 0.01, 1, 9]))
        await asyncio.gather(*running)
        return found

    return simulate(story)


def check_race(seed: int, wanted: dict[Name, float], told: list[tuple], workers: int) -> None:
    """Assert that no window and no budget was ever above what it was at its highest."""
    found = race(seed, wanted, told, workers)

    for name, most in found.most.items():
        span_ns = {"minute": 60 * NS, "day": 86_400 * NS}.get(name.per)
        if span_ns is not None and name.measure == "requests":
            assert found.house.most_within(name, span_ns) <= most, name
        elif span_ns is not None:
            within = [sum(count for t, count in found.tokens if 0 <= t - at < span_ns) for at, _ in found.tokens]
            assert max(within, default=0) <= most, name
        elif name.measure in {"cost", "charge"}:
            assert found.house.books.spent_nusd(name) <= most, name


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), limits, steps, st.integers(1, 4))
def test_no_set_of_limits_is_ever_exceeded(seed, wanted, told, workers):
    """Every subject, rate and budget in any mix; workers die, limits are lowered, calls go on to dearer models."""
    check_race(seed, wanted, told, workers)


@pytest.mark.full
@pytest.mark.timeout(900)  # forty seconds of CPU, on a machine that may run several suites
@settings(max_examples=3_000, deadline=None)
@given(st.integers(0, 10**6), limits, steps, st.just(4))
def test_no_set_of_limits_is_ever_exceeded_by_four_workers(seed, wanted, told, workers):
    """The same at the size of a release."""
    check_race(seed, wanted, told, workers)
