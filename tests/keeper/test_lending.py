"""Leases: whatever the workers do and however the folding lags, no credit is lent twice and none is lost."""

from __future__ import annotations

import copy
import functools
import itertools
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from margin import journal
from margin.ledger import fold, questions, verify
from margin.ledger.postings import Effects
from margin.ledger.state import NoHistory
from proxy.keeper.lending import Lending
from tests.keeper import offices
from tests.keeper.offices import Worker, office
from tests.margin.bookkeeping import CREDIT, DAY, T0, Ledger, customer, grant, held, mark, sellbook, settled, void

CUSTOMERS = {"acme": 1, "globex": 2}
who = st.sampled_from(sorted(CUSTOMERS))
which = st.integers(0, 2)
amounts = st.integers(1, 10 * CREDIT)


class LendingMachine(RuleBasedStateMachine):
    """An office and three workers. Customers move between a plan that enforces and one that only counts."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.office = office(self.folder / "data")
        self.names = itertools.count(1)
        self.workers = [Worker(self.office, f"worker-{next(self.names)}") for _ in range(3)]
        self.plan = dict.fromkeys(CUSTOMERS, "hard")

    @initialize()
    def begin(self):
        """Open both customers."""
        for name, number in CUSTOMERS.items():
            assert self.office.open_customer(name, "hard") == number

    @rule(name=who, milli=st.integers(1, 40 * CREDIT))
    def give(self, name, milli):
        """A grant comes, and workers hand their leases in to hear of it."""
        self.office.grant(name, milli, paid_nusd=0, expires_t=None)
        self._announce(name)

    @rule(name=who, plan=st.sampled_from(["hard", "open", "prepaid"]))
    def move(self, name, plan):
        """A customer moves."""
        self.office.move_customer(name, plan)
        self.plan[name] = plan
        self._announce(name)

    def _announce(self, name):
        for worker in self.workers:
            worker.surrender(CUSTOMERS[name])

    @rule(worker=which, name=who, milli=amounts, deep=st.integers(0, 2))
    def hold(self, worker, name, milli, deep):
        """An exchange is admitted, from the wallet, or after a lease, or after the others were asked."""
        one, number = self.workers[worker], CUSTOMERS[name]
        x = f"x{next(self.names)}"
        if one.hold(x, number, milli, self.plan[name], deep):
            return
        one.surrender(number)
        if not one.lease(number, milli):
            for other in self.workers:
                other.surrender(number)
            if not one.lease(number, milli):
                # Nobody has a lease now, so what is refused is not there.
                assert self._truly_available(number) < milli, "refused, and there was credit"
                return
        assert one.hold(x, number, milli, self.plan[name], deep)

    @rule(worker=which, share=st.none() | st.integers(0, 4), last=st.booleans())
    def end(self, worker, share, last):
        """An exchange is settled or voided, the first or the last that was begun."""
        one = self.workers[worker]
        if one.open:
            x = list(one.open)[-1 if last else 0]
            one.end(x, None if share is None else one.open[x][1] * share // 4)

    @rule(worker=which, name=who)
    def recall(self, worker, name):
        """A lease goes back."""
        self.workers[worker].surrender(CUSTOMERS[name])

    @rule(worker=which, size=st.integers(1, 4))
    def fold(self, worker, size):
        """A little of a worker's journal is folded."""
        path = self.workers[worker].paper.path
        whole = self.office.books.fold_worker
        self.office.books.fold_worker = functools.partial(whole, records_max=size)
        self.office._fold_batch(path)
        self.office.books.fold_worker = whole

    @rule(worker=which)
    def die(self, worker):
        """A worker dies; what it left open is recovered, its leases are free, another takes its place."""
        self.workers[worker].die()
        self.office.recover({self.workers[worker].name})
        self.workers[worker] = Worker(self.office, f"worker-{next(self.names)}")

    def _truly_available(self, number):
        self.office.fold_all()
        return self.office.books.state.available_milli(number, T0)

    @invariant()
    def nothing_is_lent_twice(self):
        """With every journal read to its end, what is free is what is available less what lies in wallets, exactly."""
        state, lending = self._with_what_waits()
        for name, number in CUSTOMERS.items():
            wallets = sum(worker.left(number) for worker in self.workers)
            available = state.available_milli(number, T0)
            assert lending.free_milli(state, number, T0) == available - wallets
            # On a plan that only counts, what is left in a wallet is handed in before it can be spent.
            assert wallets <= available or self.plan[name] == "open"

    def _with_what_waits(self):
        """Return the ledger's memory and the leases as they will be when the journals are folded, folding nothing."""
        work = copy.copy(self.office.books.state.work)
        work.db = None
        state = copy.deepcopy(replace(self.office.books.state, history=NoHistory(), work=work))
        lending = copy.deepcopy(self.office.lending)
        for worker in self.workers:
            for line in journal.read(worker.paper.path, state.journals.get(worker.name, journal.Position())):
                fold.apply(state, line.record, Effects(), journal=worker.name)
                lending.observe(worker.name, line.record, enforced=line.record.get("pv") in self.office._enforcing)
        return state, lending

    def teardown(self):
        """When all have handed in and ended, all that was not charged is there to be lent."""
        try:
            for worker in self.workers:
                for x in list(worker.open):
                    worker.end(x, None)
                for number in CUSTOMERS.values():
                    worker.surrender(number)
            self.office.fold_all()
            state, db = self.office.books.state, self.office.books.store.db
            assert verify.violations(db, state) == []
            for number in CUSTOMERS.values():
                balance = questions.credit_balance(db, number)
                assert balance["held"] == 0
                assert self.office.lending.free_milli(state, number, T0) == balance["available"]
        finally:
            self.office.close()
            for worker in self.workers:
                worker.die()
            shutil.rmtree(self.folder)


QUICK = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(QUICK, max_examples=1500, stateful_step_count=60)


class TestLending(LendingMachine.TestCase):
    settings = QUICK


@pytest.mark.full
@pytest.mark.timeout(1800)
class TestLendingAtLength(LendingMachine.TestCase):
    settings = LONG


def books(*more):
    """Return a ledger with a customer that has 100 credits."""
    return Ledger(sellbook(), customer(plan="hard"), grant("g1", 100 * CREDIT), *more).state


def test_a_lease_lowers_what_is_free():
    """What one worker holds, no other gets; who may be asked for it is known."""
    lending = Lending()

    lending.lend("w1", 1, 60 * CREDIT)

    assert lending.free_milli(books(), 1, T0) == 40 * CREDIT
    assert lending.holders(1, besides="w2") == ["w1"]
    assert lending.holders(1, besides="w1") == []
    lending.give_back("w1", 1, 60 * CREDIT)
    assert lending.free_milli(books(), 1, T0) == 100 * CREDIT
    assert lending.holders(1, besides="w2") == []


def test_a_hold_is_counted_once_whether_folded_or_not():
    """Folded, it lowers the ledger and the lease by the same."""
    lending, record = Lending(), held("x1", 10 * CREDIT, plan="hard")
    lending.lend("w1", 1, 60 * CREDIT)

    lending.observe("w1", record, enforced=True)

    assert lending.free_milli(books(record), 1, T0) == 40 * CREDIT


@pytest.mark.parametrize(("end", "back"), [(settled("x1", 4 * CREDIT), 6), (void("x1"), 10)], ids=["settled", "void"])
def test_what_a_hold_gives_back_is_the_workers(end, back):
    """It went back to the wallet, and so to the lease; the ledger's available rises by the same."""
    lending, record = Lending(), held("x1", 10 * CREDIT, plan="hard")
    lending.lend("w1", 1, 60 * CREDIT)

    for each in (record, mark("x1"), end):
        lending.observe("w1", each, enforced=each["k"] == "held")

    assert lending.free_milli(books(record, end), 1, T0) == 40 * CREDIT
    lending.give_back("w1", 1, (50 + back) * CREDIT)
    assert lending.free_milli(books(record, end), 1, T0) == (90 + back) * CREDIT


def test_a_hold_that_only_counts_uses_no_lease_up():
    """A customer that was moved to such a plan holds without a lease: its old lease's account must not go below."""
    lending, record = Lending(), held("x1", 10 * CREDIT)
    lending.lend("w1", 1, 60 * CREDIT)
    lending.give_back("w1", 1, 60 * CREDIT)

    lending.observe("w1", record, enforced=False)
    lending.observe("w1", settled("x1", 10 * CREDIT), enforced=False)

    assert lending.free_milli(books(record, settled("x1", 10 * CREDIT)), 1, T0) == 90 * CREDIT


def test_the_dead_have_no_leases():
    """What was on its way to or from a worker that died changes nothing any more."""
    lending = Lending()
    lending.lend("w1", 1, 60 * CREDIT)

    lending.forget("w1")
    lending.lend("w1", 1, 20 * CREDIT)
    lending.give_back("w1", 1, 60 * CREDIT)

    assert lending.free_milli(books(), 1, T0) == 100 * CREDIT
    assert lending.holders(1, besides="w2") == []


def test_credits_that_ended_are_not_lent():
    """A lease that outlives its grant leaves less than nothing, until it comes back."""
    lending = Lending()
    state = Ledger(sellbook(), customer(plan="hard"), grant("g1", 100, expires=T0 + DAY)).state
    lending.lend("w1", 1, 60)

    assert lending.free_milli(state, 1, T0 + DAY) == -60
    lending.give_back("w1", 1, 60)
    assert lending.free_milli(state, 1, T0 + DAY) == 0


@pytest.fixture
def moved(tmp_path):
    """An office whose customer had a lease on an enforcing plan, handed it in, and moved to one that only counts."""
    found = office(tmp_path / "data")
    found.open_customer("acme", "hard")
    found.grant("acme", 100 * CREDIT, paid_nusd=0, expires_t=None)
    worker = Worker(found, "worker-1")
    assert worker.lease(1, 10 * CREDIT)
    worker.surrender(1)
    found.move_customer("acme", "open")
    yield found, worker
    worker.die()
    found.close()


def test_what_is_spent_without_a_lease_is_not_lent_again(moved):
    """Back on the enforcing plan, only what is left is free."""
    found, worker = moved
    assert worker.hold("x1", 1, 30 * CREDIT, "open", deep=0)
    worker.end("x1", 30 * CREDIT)
    found.fold_all()

    found.move_customer("acme", "hard")

    assert found.lending.free_milli(found.books.state, 1, T0) == 70 * CREDIT


def test_a_hold_counts_as_its_worker_took_it_around_a_reload(moved, tmp_path):
    """The plan stops counting and enforces: what a worker held before it heard of that used no lease up."""
    found, worker = moved
    strict = offices.PLANS.replace("open: {credits: {enforce: none}}", "open: {credits: {enforce: hard}}")
    found.adopt(offices.settings(tmp_path / "data", plans=strict), [])
    assert worker.lease(1, 10 * CREDIT)

    assert worker.hold("x1", 1, 30 * CREDIT, "open", deep=0)
    found.fold_all()

    state = found.books.state
    assert found.lending.free_milli(state, 1, T0) == state.available_milli(1, T0) - worker.left(1)
    worker.end("x1", 30 * CREDIT)
    found.fold_all()
    assert found.lending.free_milli(state, 1, T0) == state.available_milli(1, T0) - worker.left(1)
