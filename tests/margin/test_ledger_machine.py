"""The books under everything that can happen to them, in any order: what must always hold, holds.

A machine plays customers, plans, grants, exchanges on two workers, time, nonsense and replays, folds the journals in
batches of any size, and kills the keeper at any moment. After every step the books are checked against themselves and
against a simple account of what was given and charged; at the end a rebuild must equal them row for row.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from margin import records
from margin.ledger import journals, questions, refold, verify
from tests.margin.bookkeeping import (
    CREDIT,
    DAY,
    NS,
    PLANS,
    USD,
    Worker,
    at,
    called,
    customer,
    grant,
    held,
    killed,
    line,
    mark,
    open_books,
    sellbook,
    settled,
    tables,
    void,
)

credits_milli = st.integers(0, 20 * CREDIT)
costs = st.none() | st.integers(0, 10**7)
kinds = st.sampled_from(records.COST_KINDS)


class BooksMachine(RuleBasedStateMachine):
    """One data folder, two workers."""

    customers = Bundle("customers")
    exchanges = Bundle("exchanges")
    closed = Bundle("closed")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.generations = itertools.count()
        self.data = self.folder / "0"
        self.data.mkdir()
        self.books = open_books(self.data)
        self.t = at("2026-11-25")
        self.names = itertools.count(1)
        self.workers = [Worker(self.data, f"worker-{number}") for number in (1, 2)]
        self.plan_of = {}
        # what a person would expect, from what was journalled
        self.eager = False
        self.nonsense = 0
        self.charges = {}
        self.metered = set()
        self.given = {}

    @initialize(eager=st.booleans())
    def begin(self, eager):
        """Adopt a sell book. An eager machine stores and checks after every step, others let batches grow."""
        self.eager = eager
        self.keep(sellbook(t=self.t))

    def keep(self, record):
        """Journal and apply one of the keeper's records."""
        self.books.record(record)

    def later(self, ns=1):
        """Let the clock go on, and return it."""
        self.t += ns
        return self.t

    # ---- the keeper --------------------------------------------------------------------------------------------------

    @rule(target=customers, plan=st.sampled_from(sorted(PLANS)))
    def open_customer(self, plan):
        """A customer begins."""
        number = len(self.plan_of) + 1
        self.plan_of[number] = plan
        self.given[number] = 0
        self.keep(customer(number, plan, t=self.later()))
        return number

    @rule(who=customers, plan=st.sampled_from(sorted(PLANS)))
    def move(self, who, plan):
        """A customer changes plans."""
        self.plan_of[who] = plan
        self.keep(records.moved(t=self.later(), customer=who, plan=plan))

    @rule(who=customers, milli=st.integers(1, 50 * CREDIT), paid=st.sampled_from([0, 1, 7 * USD]),
          lasts=st.none() | st.integers(1, 5 * DAY), priority=st.sampled_from([10, 50]))  # fmt: skip
    def give(self, who, milli, paid, lasts, priority):
        """A customer is granted credits."""
        t = self.later()
        expires = None if lasts is None else t + lasts
        id_ = f"g{next(self.names)}"
        self.given[who] += milli
        self.keep(grant(id_, milli, to=who, paid=paid, expires=expires, priority=priority, t=t))

    @rule(version=st.integers(1, 3), fee=st.sampled_from([0, 99 * USD]))
    def reprice(self, version, fee):
        """The sell book changes."""
        plans = PLANS | {"starter": PLANS["starter"] | {"fee": fee}}
        self.keep(sellbook(plans, t=self.later(), version=f"s{version}"))

    @rule(ns=st.sampled_from([1, NS, DAY, 9 * DAY]))
    def tick(self, ns):
        """Time passes."""
        self.keep(records.tick(t=self.later(ns)))

    # ---- the workers -------------------------------------------------------------------------------------------------

    @rule(target=exchanges, who=customers, milli=credits_milli, worker=st.integers(0, 1), deep=st.integers(0, 2),
          metered=st.booleans())  # fmt: skip
    def hold(self, who, milli, worker, deep, metered):
        """An exchange begins, and gets as far as it gets; of a metered one the charge is not known yet."""
        x, t, plan = f"x{next(self.names)}", self.later(), self.plan_of[who]
        steps = [held(x, milli, of=who, plan=plan, t=t), called(x, t=t), mark(x, t=t)]
        if metered:
            self.metered.add(x)
            steps[0]["met"] = 1
        self.workers[worker].write(*steps[: deep + 1])
        return x, who, milli, worker

    @rule(target=closed, exchange=consumes(exchanges), share=st.integers(0, 8), cost=costs, kind=kinds,
          baseline=st.none() | st.integers(0, 10**7))  # fmt: skip
    def settle(self, exchange, share, cost, kind, baseline):
        """An exchange is charged, all of its hold or less; a metered one up to twice as much."""
        x, who, milli, worker = exchange
        charge = milli * (share if x in self.metered else min(share, 4)) // 4
        self.charges[x] = (who, charge, cost)
        record = settled(x, charge, line(cost, kind=kind), baseline=baseline, t=self.later())
        self.workers[worker].write(record)
        return x, milli, worker, record

    @rule(target=closed, exchange=consumes(exchanges), cost=costs)
    def void(self, exchange, cost):
        """An exchange is charged nothing."""
        x, _, milli, worker = exchange
        record = void(x, line(cost, kind="failed"), t=self.later())
        self.workers[worker].write(record)
        return x, milli, worker, record

    @rule(done=closed)
    def reverse(self, done):
        """A charge that was booked is taken back, once."""
        self.books.commit()
        found = questions.charge(self.books.store.db, done[0])
        if found is None or found["credits_milli"] == 0 or found["reversal"] is not None:
            return
        row = [found[name] for name in ("plan", "charge_tier", "served_tier", "provider", "model", "outcome")]
        self.keep(
            records.reversed_charge(x=done[0], t=self.later(), customer=found["customer"], why="test", row=row,
                                    credits_milli=found["credits_milli"], burnt=found["burnt"])
        )  # fmt: skip

    # ---- nonsense ----------------------------------------------------------------------------------------------------

    @rule(done=closed, what=st.integers(0, 4))
    def replay(self, done, what):
        """A record comes twice, or after its exchange was closed."""
        x, milli, worker, record = done
        again = [record, settled(x, 0, line(1)), void(x), called(x), held(x, milli, of=1)][what]
        self.workers[worker].write(again)
        self.nonsense += 1

    @rule(worker=st.integers(0, 1), what=st.integers(0, 3))
    def invent(self, worker, what):
        """A record comes that belongs to nothing here."""
        stranger = [settled("none", 5), void("none"), mark("none"), held("none", 5, of=99)][what]
        self.workers[worker].write(stranger)
        self.nonsense += 1

    @rule(exchange=exchanges)
    def overcharge(self, exchange):
        """A settlement beyond its hold comes: the exchange stays open."""
        x, _, milli, worker = exchange
        if x in self.metered:
            return
        self.workers[worker].write(settled(x, milli + 1, line(1)))
        self.nonsense += 1

    # ---- folding and dying -------------------------------------------------------------------------------------------

    @rule(worker=st.integers(0, 1), size=st.integers(1, 7))
    def fold(self, worker, size):
        """Some of a worker's journal enters the ledger."""
        self.books.fold_worker(self.workers[worker].path, records_max=size)

    @rule()
    def fold_all(self):
        """All of it does."""
        for worker in self.workers:
            while self.books.fold_worker(worker.path):
                pass

    @rule()
    def commit(self):
        """What was applied is stored, and looked at."""
        self._look()

    @rule()
    def crash(self):
        """The keeper is killed, whatever it had not stored; workers go on."""
        for worker in self.workers:
            worker.close()
        survived = killed(self.data, self.folder / str(next(self.generations) + 1))
        self.books.store.close()
        self.books.journal.close()
        shutil.rmtree(self.data)
        self.data = survived
        self.books = open_books(survived)
        # Workers are other processes: these begin new journals, their exchanges are closed from there.
        names = (f"worker-{number}-{next(self.names)}" for number in (1, 2))
        for worker in self.workers:
            worker.path = survived / "journal" / worker.path.name
            while self.books.fold_worker(worker.path):
                pass
        self.workers = [Worker(survived, name) for name in names]

    # ---- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def the_books_are_sound(self):
        """They contradict neither themselves nor what is open."""
        if self.eager:
            self._look()

    def _look(self):
        self.books.commit()
        db = self.books.store.db
        found = verify.violations(db, self.books.state)
        assert [each for each in found if "no effect" not in each] == []
        assert verify.imbalance_nusd(db) == 0
        assert questions.refused_records(db) <= self.nonsense
        assert db.execute("SELECT COUNT(*) FROM charges").fetchone()[0] <= len(self.charges)

        self._every_credit_is_somewhere()

    def _every_credit_is_somewhere(self):
        # Issued = available + held + spent + expired, less what no grant stood behind; available is never negative.
        db = self.books.store.db
        for who in self.plan_of:
            rows = db.execute("SELECT name, balance FROM accounts WHERE customer = ? AND commodity = 'CREDIT'", (who,))
            found = dict(rows.fetchall())
            overdrawn = questions.overdraft_milli(db, who)
            told = questions.credit_balance(db, who)
            assert sum(told.values()) - overdrawn == -found.get("credits.issued", 0)
            assert -found.get("credits.issued", 0) == self.given[who] + self._included_milli(who)
            assert min(*told.values(), overdrawn) >= 0
            assert told["held"] == sum(
                each.held_milli for each in self.books.state.holds.values() if each.customer == who
            )

    def _included_milli(self, who):
        return self.books.store.db.execute(
            "SELECT COALESCE(-SUM(amount), 0) FROM entries JOIN txns ON txns.id = txn JOIN accounts ON"
            " accounts.id = account WHERE name = 'credits.issued' AND customer = ? AND key LIKE 'grant:incl%'",
            (who,),
        ).fetchone()[0]

    def teardown(self):
        """Everything folded, the books hold exactly what was journalled, and a rebuild is their twin."""
        try:
            self.fold_all()
            self._look()
            self._holds_what_was_journalled()
            self._rebuilds()
        finally:
            self.books.close()
            for worker in self.workers:
                worker.close()
            shutil.rmtree(self.folder)

    def _holds_what_was_journalled(self):
        db = self.books.store.db
        booked = db.execute("SELECT x, customer, credits_milli, cost_nusd FROM charges").fetchall()
        assert {x: (who, charge, cost) for x, who, charge, cost in booked} == self.charges
        assert questions.refused_records(db) == self.nonsense
        assert self._journals() == []

    def _journals(self):
        return list(journals.verify_journals(self.data, self.books.state.journals))

    def _rebuilds(self):
        twin = refold.rebuild(self.data, self.folder / "twin.sqlite")
        rebuilt = tables(twin.db)
        twin.close()
        live = tables(self.books.store.db)
        for name, rows in live.items():
            assert rebuilt[name] == rows, name


QUICK = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)  # fmt: skip
LONG = settings(QUICK, max_examples=1500, stateful_step_count=80)


class TestBooks(BooksMachine.TestCase):
    settings = QUICK


@pytest.mark.full
@pytest.mark.timeout(1800)
class TestBooksAtLength(BooksMachine.TestCase):
    settings = LONG
