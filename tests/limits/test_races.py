"""Four workers race for the same limits through the real counter: never above any, and no money overshot."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.limits.shares import Amounts, Name
from tests.limits.simulated import NS, Clock, House, simulate

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
        assert all(57 * NS < each.retry_ns <= 61 * NS for each in house.refused)
        return questions

    assert simulate(story) < 100


def test_a_dead_workers_share_comes_back_when_its_window_has_run_out():
    """Ten let through by a worker that dies count for 61 seconds more; its open requests do not."""

    async def story(clock: Clock) -> None:
        house = House(clock, workers=2)
        for _ in range(10):
            assert await house.ask({RPM: 10, OPEN: 10}, worker=0)
        await house.kill(0)
        assert await house.ask({OPEN: 10}, worker=1)
        assert await house.ask({RPM: 10}, worker=1) is None
        await asyncio.sleep(60)
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
    assert 86_460 <= through[3_600] <= 86_461


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
