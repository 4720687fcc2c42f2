"""Credits are put aside before anything is sent, and every ticket comes back exactly once."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from margin import journal, records
from margin.journal import Journal, Position
from proxy.admission import FILL_ROUNDS_MAX, KeeperAway, Lease, Ticket, Wallets, put_aside
from proxy.life import ForbiddenMove, Stage
from proxy.quote import Quote
from proxy.wire.errors import OutOfCredit, Unavailable

ACME, GLOBEX = 1, 2
NEED = 1_000
SOON_T = 1_000_000


class FakeKeeper:
    """Lends what there is, at most `chunk_milli` at a time, after as many turns of the loop as told."""

    def __init__(self, credits_milli: int, *, chunk_milli: int | None = None, turns: int = 1) -> None:
        self.free_milli, self._chunk_milli, self._turns = credits_milli, chunk_milli, turns
        self.wallets = Wallets(self)
        self.asked: list[tuple[int, int]] = []
        self.lent_milli = self.returned_milli = 0
        self.is_away = False
        self.expires_t: int | None = None

    async def lease(self, customer: int, need_milli: int, wish_milli: int, returned_milli: int) -> bool:
        """Answer like the keeper: whole or not at all."""
        assert wish_milli >= need_milli
        self.asked.append((customer, need_milli))
        self.returned_milli += returned_milli
        self.free_milli += returned_milli
        for _ in range(self._turns):
            await asyncio.sleep(0)
        if self.is_away:
            raise KeeperAway
        if self.free_milli < need_milli:
            self.wallets.short_milli[customer] = self.free_milli
            return False
        given = self.free_milli if self._chunk_milli is None else min(self.free_milli, self._chunk_milli)
        given = max(given, need_milli)
        self.free_milli -= given
        self.lent_milli += given
        self.wallets.add(customer, Lease(given, self.expires_t))
        return True


async def aside(keeper: FakeKeeper, milli: int = NEED, customer: int = ACME, t: int = 0) -> str:
    """Put credits aside; say how it went."""
    try:
        await put_aside(keeper.wallets, customer, Quote(milli), lambda: t)
    except OutOfCredit:
        return "402"
    except Unavailable:
        return "503"
    return "taken"


def all_at_once(keeper: FakeKeeper, needs: list[int]) -> list[str]:
    """Ask for several amounts at the same time."""

    async def main() -> list[str]:
        return await asyncio.gather(*(aside(keeper, milli) for milli in needs))

    return asyncio.run(main())


# ---- leases --------------------------------------------------------------------------------------------------------


def test_a_lease_is_spent_without_asking_again() -> None:
    """One question for the first request; the others are a subtraction."""
    keeper = FakeKeeper(10 * NEED)

    async def main() -> list[str]:
        return [await aside(keeper) for _ in range(11)]

    assert asyncio.run(main()) == ["taken"] * 10 + ["402"]
    assert keeper.asked == [(ACME, NEED), (ACME, NEED)]


def test_simultaneous_askers_share_one_fill() -> None:
    """A hundred requests of a customer seen first: one question."""
    keeper = FakeKeeper(100 * NEED, turns=3)

    assert all_at_once(keeper, [NEED] * 100) == ["taken"] * 100
    assert len(keeper.asked) == 1


def test_two_customers_share_nothing() -> None:
    """Neither fills nor credits."""
    keeper = FakeKeeper(2 * NEED, chunk_milli=NEED)

    async def main() -> list[str]:
        return await asyncio.gather(aside(keeper), aside(keeper, customer=GLOBEX))

    assert asyncio.run(main()) == ["taken", "taken"]
    assert sorted(keeper.asked) == [(ACME, NEED), (GLOBEX, NEED)]
    assert keeper.wallets.left_milli(ACME) == keeper.wallets.left_milli(GLOBEX) == 0


def test_no_more_is_spent_than_there_is() -> None:
    """Of twenty simultaneous requests exactly the seven that the credits cover are admitted."""
    keeper = FakeKeeper(7 * NEED)

    outcomes = all_at_once(keeper, [NEED] * 20)

    assert outcomes.count("taken") == 7
    assert outcomes.count("402") == 20 - 7


def test_the_keeper_s_no_is_402() -> None:
    """And the customer learns what the request would have needed, and what there is."""
    keeper = FakeKeeper(1_250)

    with pytest.raises(OutOfCredit, match=r"needs 2\.5\. Available: 1\.25\."):
        asyncio.run(put_aside(keeper.wallets, ACME, Quote(2_500), lambda: 0))


def test_no_word_from_the_keeper_is_503_for_everybody_who_waits() -> None:
    """Nobody is served for free, nobody is told that credits are gone; afterwards all is well."""
    keeper = FakeKeeper(100 * NEED)
    keeper.is_away = True
    assert all_at_once(keeper, [NEED] * 5) == ["503"] * 5

    keeper.is_away = False

    assert all_at_once(keeper, [NEED] * 5) == ["taken"] * 5


def test_a_request_that_costs_nothing_needs_no_lease() -> None:
    """Zero is covered by nothing."""
    keeper = FakeKeeper(0)

    assert all_at_once(keeper, [0, 0]) == ["taken", "taken"]
    assert keeper.asked == []


def test_only_the_keeper_says_402() -> None:
    """A keeper that lends one request's need at a time has said yes to everybody; waiting too long is our fault."""
    many = 3 * FILL_ROUNDS_MAX
    keeper = FakeKeeper(many * NEED, chunk_milli=NEED)

    outcomes = all_at_once(keeper, [NEED] * many)

    assert "402" not in outcomes


def test_a_no_to_a_dear_request_is_none_to_a_cheap_one() -> None:
    """Five credits: a request that needs ten is refused, the one beside it that needs one is served."""
    keeper = FakeKeeper(5 * NEED)

    assert all_at_once(keeper, [10 * NEED, NEED]) == ["402", "taken"]


def test_a_fill_is_not_lost_when_its_asker_leaves() -> None:
    """The first asker is cancelled; those who shared its fill, and the lease, are not."""
    keeper = FakeKeeper(3 * NEED, turns=5)

    async def main() -> list[str]:
        first = asyncio.ensure_future(aside(keeper))
        others = [asyncio.ensure_future(aside(keeper)) for _ in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.gather(*others)

    assert asyncio.run(main()) == ["taken"] * 3
    assert len(keeper.asked) == 1
    assert keeper.wallets.left_milli(ACME) == 0


def test_a_lease_whose_grant_ended_is_not_spent() -> None:
    """At its end, not after it; what is left goes back with the question for a new one."""
    keeper = FakeKeeper(5 * NEED)
    keeper.expires_t = SOON_T

    async def main() -> tuple[str, str]:
        before = await aside(keeper, t=SOON_T - 1)
        keeper.expires_t = None
        return before, await aside(keeper, t=SOON_T)

    assert asyncio.run(main()) == ("taken", "taken")
    assert len(keeper.asked) == 2
    assert keeper.returned_milli == 4 * NEED


def test_the_earlier_end_counts_for_the_whole_lease() -> None:
    """Two grants in one lease: what ends first ends it; surrendered, all of it is forgotten."""
    wallets = FakeKeeper(0).wallets
    wallets.add(ACME, Lease(5, 200))
    wallets.add(ACME, Lease(5, 100))
    wallets.add(ACME, Lease(5, None))

    assert not wallets.take(ACME, 1, 100)
    assert wallets.take(ACME, 1, 99)
    assert wallets.surrender(ACME) == 3 * 5 - 1
    assert wallets.left_milli(ACME) is None
    wallets.add(ACME, Lease(5, None))
    assert wallets.take(ACME, 5, 10**30)


def test_what_comes_back_late_is_not_spent_from_a_later_lease() -> None:
    """Credits of a lease that ended go to the keeper: in the next lease they would outlive their grant."""
    wallets = FakeKeeper(0).wallets
    wallets.add(ACME, Lease(100, 6))
    assert wallets.take(ACME, 80, 5)
    ended = wallets.lease(ACME)
    assert wallets.surrender(ACME) == 100 - 80
    wallets.add(ACME, Lease(30, None))

    wallets.put_back(ACME, 70, lease=ended)

    assert wallets.left_milli(ACME) == 30
    assert not wallets.take(ACME, 31, 7)
    assert wallets.surrender(ACME) == 30 + 70


def test_what_was_taken_too_little_comes_out_of_any_lease() -> None:
    """A metered charge above its hold is missing now, whichever lease is there."""
    wallets = FakeKeeper(0).wallets
    wallets.add(ACME, Lease(10, None))
    ended = wallets.lease(ACME)
    wallets.surrender(ACME)
    wallets.add(ACME, Lease(30, None))

    wallets.put_back(ACME, -5, lease=ended)

    assert wallets.left_milli(ACME) == 30 - 5


class WalletMachine(RuleBasedStateMachine):
    """Any order of what can happen to a wallet; the books of this machine are the three sums it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.keeper = FakeKeeper(50, chunk_milli=20)
        self.loop = asyncio.new_event_loop()
        self.taken = self.put_back_milli = self.surrendered = 0
        self.out: list[tuple[int, int | None]] = []

    @rule(milli=st.integers(0, 30))
    def take(self, milli: int) -> None:
        """Spend what is there and not a bit more."""
        before = self.keeper.wallets.left_milli(ACME)
        took = self.keeper.wallets.take(ACME, milli, 0)
        assert took == ((0 if before is None else before) >= milli)
        if took:
            self.taken += milli
            self.out.append((milli, self.keeper.wallets.lease(ACME)))

    @rule()
    def put_back(self) -> None:
        """A ticket comes back."""
        if self.out:
            milli, lease = self.out.pop()
            self.put_back_milli += milli
            self.keeper.wallets.put_back(ACME, milli, lease=lease)

    @rule(milli=st.integers(1, 30))
    def fill(self, milli: int) -> None:
        """Ask the keeper; what the wallet has counts, for it goes back first."""
        left = self.keeper.wallets.left_milli(ACME)
        loose = self.keeper.wallets._loose_milli.get(ACME, 0)
        could = self.keeper.free_milli + loose + (0 if left is None else left) >= milli
        refused = self.loop.run_until_complete(self.keeper.wallets.fill(ACME, milli))
        assert refused == (None if could else milli)

    @rule(needs=st.lists(st.integers(1, 20), max_size=6), leaving=st.sets(st.integers(0, 5)), turns=st.integers(0, 4))
    def stampede(self, needs: list[int], leaving: set[int], turns: int) -> None:
        """Several at once, some of whom leave after a few turns of the loop."""
        self.loop.run_until_complete(self._stampede(needs, leaving, turns))

    async def _stampede(self, needs: list[int], leaving: set[int], turns: int) -> None:
        tasks = [asyncio.ensure_future(aside(self.keeper, need)) for need in needs]
        for _ in range(turns):
            await asyncio.sleep(0)
        for place in leaving & set(range(len(tasks))):
            tasks[place].cancel()
        for need, outcome in zip(needs, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
            if outcome == "taken":
                self.taken += need
                self.out.append((need, self.keeper.wallets.lease(ACME)))
            else:
                assert outcome == "402" or isinstance(outcome, asyncio.CancelledError)
        # A fill that all its askers left still arrives.
        for _ in range(5):
            await asyncio.sleep(0)

    @rule()
    def recall(self) -> None:
        """The keeper wants it back."""
        milli = self.keeper.wallets.surrender(ACME)
        self.surrendered += milli
        self.keeper.free_milli += milli

    @rule()
    def grant(self) -> None:
        """The customer buys more."""
        self.keeper.free_milli += 10

    @invariant()
    def every_credit_is_somewhere(self) -> None:
        """Lent = left + spent + given back; nothing is negative."""
        left = self.keeper.wallets.left_milli(ACME)
        held = (0 if left is None else left) + self.keeper.wallets._loose_milli.get(ACME, 0)
        spent = self.taken - self.put_back_milli
        assert held >= 0
        assert self.keeper.lent_milli - self.keeper.returned_milli == held + spent + self.surrendered
        assert self.keeper.free_milli >= 0

    def teardown(self) -> None:
        """Close the loop."""
        self.loop.close()


TestWallets = WalletMachine.TestCase
TestWallets.settings = settings(max_examples=60, stateful_step_count=25, deadline=None, derandomize=True)


# ---- tickets -------------------------------------------------------------------------------------------------------


class Brittle(Journal):
    """A journal whose disk fails when told."""

    is_failing = False

    def append(self, record: dict[str, Any]) -> None:
        """Write, or break as a full disk does."""
        if self.is_failing:
            self.is_broken = True
        super().append(record)


class Desk:
    """A journal, a wallet with ten requests' credits, and tickets drawn on both."""

    def __init__(self, folder: Path) -> None:
        self.journal = Brittle(folder / "worker.journal")
        self.wallets = FakeKeeper(0).wallets
        self.wallets.add(ACME, Lease(10 * NEED, None))

    def ticket(self, *, enforced: bool = True, x: str = "ex_1") -> Ticket:
        """A ticket whose credits were taken."""
        if enforced:
            assert self.wallets.take(ACME, NEED, 0)
        return Ticket(self.journal, self.wallets, x, ACME, enforced=enforced)

    def called(self, *, enforced: bool = True) -> Ticket:
        """A ticket that was held and called."""
        found = self.ticket(enforced=enforced)
        found.hold(held(found.x))
        found.call(called(found.x))
        return found

    @property
    def left(self) -> int | None:
        """Credits in the wallet."""
        return self.wallets.left_milli(ACME)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the records, in order."""
        return [line.record["k"] for line in journal.read(self.journal.path, Position())]


@contextmanager
def desk_in(folder: Path) -> Iterator[Desk]:
    """A desk, closed at the end."""
    found = Desk(folder)
    yield found
    found.journal.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk of its own for each test."""
    with desk_in(tmp_path) as found:
        yield found


def held(x: str) -> dict[str, Any]:
    """The hold of one request's credits."""
    return records.held(
        x=x, t=5, customer=ACME, key="k", plan="sandbox", plan_version="v", charge_tier="simple", served_tier="simple",
        credits_milli=NEED, deadline_t=9,
    )  # fmt: skip


def called(x: str) -> dict[str, Any]:
    """The intent to call."""
    return records.called(
        x=x, t=6, attempt=1, provider="p", deployment="d", model="m", card=None, input_estimate=1, input_cost_nusd=None
    )


def settle(ticket: Ticket, milli: int = NEED) -> None:
    """Settle for some credits."""
    ticket.settle(7, "ok", milli, None, {"why": "test"})


def test_a_settled_ticket_keeps_its_charge(desk: Desk) -> None:
    """Held with its first call, settled: two records, and the credits are gone."""
    ticket = desk.called()
    assert ticket.is_open

    settle(ticket)

    assert not ticket.is_open
    assert desk.left == 10 * NEED - NEED
    assert desk.kinds == ["held", "settled"]


def test_what_was_held_too_much_goes_back(desk: Desk) -> None:
    """Settled for less, or for nothing."""
    settle(desk.called(), milli=NEED // 4)
    assert desk.left == 10 * NEED - NEED // 4

    settle(desk.called(), milli=0)
    assert desk.left == 10 * NEED - NEED // 4


@pytest.mark.parametrize("is_called", [True, False])
def test_a_voided_ticket_gives_everything_back(desk: Desk, is_called: bool) -> None:
    """After a call with the cost lines it has; before one the books never heard of it."""
    ticket = desk.called() if is_called else desk.ticket()
    if not is_called:
        ticket.hold(held(ticket.x))

    ticket.void(7, "refused")

    assert not ticket.is_open
    assert desk.left == 10 * NEED
    assert desk.kinds == (["held", "void"] if is_called else [])


CLOSINGS: list[Callable[[Ticket], None]] = [settle, lambda ticket: ticket.void(8, "again")]


@pytest.mark.parametrize("first", CLOSINGS, ids=["settle", "void"])
@pytest.mark.parametrize("second", CLOSINGS, ids=["settle", "void"])
def test_a_ticket_is_closed_once(desk: Desk, first: Callable[[Ticket], None], second: Callable[[Ticket], None]) -> None:
    """A second closing is a bug: it is refused before anything is written or given back."""
    ticket = desk.called()
    first(ticket)
    left, kinds = desk.left, desk.kinds

    with pytest.raises(ForbiddenMove):
        second(ticket)

    assert (desk.left, desk.kinds) == (left, kinds)


def test_a_ticket_is_not_settled_before_it_was_called(desk: Desk) -> None:
    """Nothing was sent, so nothing can be charged; and nothing is written."""
    ticket = desk.ticket()
    ticket.hold(held(ticket.x))

    with pytest.raises(ForbiddenMove):
        settle(ticket)

    assert desk.kinds == []
    assert ticket.is_open


def test_a_stream_cannot_be_voided(desk: Desk) -> None:
    """The caller has seen a part: it is settled, if only for nothing. It may drain first."""
    ticket = desk.called()
    ticket.streaming()
    with pytest.raises(ForbiddenMove):
        ticket.void(7, "no")

    ticket.mark(7, 10, 100, None, None)
    ticket.draining()
    settle(ticket)

    assert desk.kinds == ["held", "mark", "settled"]


def test_a_broken_journal_gives_the_credits_back(desk: Desk) -> None:
    """Nothing may be spent that is not written down: 503, and the wallet is as before."""
    ticket = desk.ticket()
    ticket.hold(held(ticket.x))
    desk.journal.is_failing = True

    with pytest.raises(Unavailable) as raised:
        ticket.call(called(ticket.x))

    assert raised.value.retry_after_s == 5
    assert desk.left == 10 * NEED
    assert not ticket.is_open
    assert ticket.stage is Stage.VOID


@pytest.mark.parametrize("close", CLOSINGS, ids=["settle", "void"])
def test_a_closing_that_could_not_be_written_is_none(desk: Desk, close: Callable[[Ticket], None]) -> None:
    """The ticket stays open and the credits away: the keeper will find the hold and close it."""
    ticket = desk.called()
    desk.journal.is_failing = True

    with pytest.raises(journal.JournalBroken):
        close(ticket)

    assert ticket.is_open
    assert desk.left == 10 * NEED - NEED
    assert desk.kinds == ["held"]


def test_a_plan_that_does_not_enforce_touches_no_wallet(desk: Desk) -> None:
    """Credits are counted in the records and nowhere taken or given."""
    settle(desk.called(enforced=False), milli=0)
    other = desk.called(enforced=False)
    other.void(9, "no")

    assert desk.left == 10 * NEED
    assert desk.kinds == ["held", "settled", "held", "void"]


def test_a_broken_journal_gives_nothing_back_that_was_not_taken(tmp_path: Path) -> None:
    """Without enforcement a refused hold is only refused."""
    with desk_in(tmp_path) as desk:
        ticket = desk.ticket(enforced=False)
        ticket.hold(held(ticket.x))
        desk.journal.is_failing = True

        with pytest.raises(Unavailable):
            ticket.call(called(ticket.x))

        assert desk.left == 10 * NEED


def test_credits_of_an_ended_grant_do_not_come_back_without_their_end(desk: Desk) -> None:
    """A hold from a lease that ends soon, given back after the lease was recalled, still ends then."""
    desk.wallets.surrender(ACME)
    desk.wallets.add(ACME, Lease(NEED, SOON_T))
    ticket = desk.called()
    desk.wallets.surrender(ACME)

    ticket.void(7, "refused")

    assert not desk.wallets.take(ACME, NEED, SOON_T)
