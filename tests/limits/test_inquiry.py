"""What is left of budgets, with several workers: as of a moment ago, and asked for seldom."""

import asyncio

from proxy.limits.inquiry import NAMES_MAX
from proxy.limits.shares import Amounts, Name, Purse
from tests.limits.simulated import NS, Clock, House, Worker, simulate

MONEY = Name("key", "k", "cost", "day cost hard")
LIMIT = 10_000


def purse_of(worker: Worker, name: Name = MONEY) -> Purse:
    """Return a worker's share of a budget."""
    found = worker.guard.share(name, LIMIT)
    assert isinstance(found, Purse)
    return found


async def spend(house: House, worker: int, nusd: int) -> None:
    """Let a request be served that costs so much."""
    got = await house.ask({MONEY: LIMIT}, Amounts(cost_nusd=nusd), worker=worker)
    assert got is not None
    house.end(got, Amounts(cost_nusd=nusd), (MONEY,))


def test_a_worker_learns_what_others_spent():
    """Each spends in turn; whoever is asked a second after its last word knows what both have spent."""

    async def story(clock: Clock) -> None:
        house = House(clock, workers=2)
        spent = 0
        for turn in range(20):
            worker = turn % 2
            await asyncio.sleep(1)
            await spend(house, worker, 100 + turn)
            spent += 100 + turn
            mine = purse_of(house.workers[worker])
            mine_too = purse_of(house.workers[1 - worker])
            for each, purse in ((worker, mine), (1 - worker, mine_too)):
                house.workers[each].guard.inquiry.want([purse])
            await asyncio.sleep(0.01)
            assert mine.left(clock.ns()) == LIMIT - spent

    simulate(story)


def test_what_is_spent_here_counts_at_once():
    """Within the second nobody is asked, and a worker's own costs are off what it says."""

    async def story(clock: Clock) -> None:
        house = House(clock, workers=4)
        await spend(house, 0, 100)
        mine = purse_of(house.workers[0])
        for turn in range(1, 6):
            house.workers[0].guard.inquiry.want([mine])
            await spend(house, 0, 100)
            assert mine.left(clock.ns()) == LIMIT - 100 - 100 * turn
        assert house.asked_spent == 0  # what was lent came with a word

    simulate(story)


def test_what_is_spent_while_the_answer_is_on_its_way_is_never_missing():
    """It may be among what the keeper counted: then it counts twice for a second, and too little is left."""

    async def story(clock: Clock) -> None:
        house = House(clock, workers=2)
        await spend(house, 0, 100)
        mine = purse_of(house.workers[0])
        await asyncio.sleep(1)
        house.workers[0].guard.inquiry.want([mine])
        await spend(house, 0, 50)
        await asyncio.sleep(0.01)
        left = mine.left(clock.ns())
        assert left in (LIMIT - 150, LIMIT - 200)
        await asyncio.sleep(1)
        house.workers[0].guard.inquiry.want([mine])
        await asyncio.sleep(0.01)
        assert mine.left(clock.ns()) == LIMIT - 150

    simulate(story)


def test_a_no_says_what_is_spent():
    """A worker with an old word is refused: it knows what others spent since, as what is refused may be served cheaper.

    Nobody asks again within the second, as the no was an answer to a question.
    """

    async def story(clock: Clock) -> None:
        house = House(clock, workers=2)
        await spend(house, 0, 1_000)
        await asyncio.sleep(8)
        await spend(house, 1, 8_500)
        assert await house.ask({MONEY: LIMIT}, Amounts(cost_nusd=900), worker=0) is None
        mine = purse_of(house.workers[0])
        house.workers[0].guard.inquiry.want([mine])
        assert mine.left(clock.ns()) == LIMIT - 9_500
        assert house.asked_spent == 0

    simulate(story)


def test_a_thousand_budgets_are_asked_for_in_few_questions():
    """One at once, the others 64 at a time, a fiftieth of a second apart; each of them once a second."""

    async def story(clock: Clock) -> None:
        house = House(clock, workers=1)
        worker = house.workers[0]
        purses = [purse_of(worker, Name("key", str(n), "cost", "day cost hard")) for n in range(1_000)]
        for _ in range(3):
            for purse in purses:
                worker.guard.inquiry.want([purse])
        await asyncio.sleep(0.5)
        assert house.asked_spent == 1 + -(-999 // NAMES_MAX)
        assert all(each.left(clock.ns()) == LIMIT for each in purses)

    simulate(story)


def test_a_word_of_another_period_or_a_minute_ago_is_no_word():
    """The keeper does not answer: after a minute nothing is said, nor after the period it spoke of."""
    purse = Purse(MONEY, LIMIT)
    purse.asked(0)
    purse.told(4_000, 90 * NS)

    assert purse.left(60 * NS) == 6_000
    purse.asked(60 * NS)  # in vain
    assert purse.left(60 * NS + 1) is None
    purse.told(4_000, 90 * NS)
    assert purse.left(90 * NS - 1) == 6_000
    assert purse.left(90 * NS) is None
