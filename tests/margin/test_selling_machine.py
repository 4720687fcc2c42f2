"""The books' machine with what is sold beside credits: tasks, outcomes, their costs, items, seats, promises.

What the machine of the books checks after every step holds here too, with I10 (revenue is what was billed, less what is
still owed to customers), I11 (each month comes to the price of what stands) and I17 (one more never costs less).
"""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, rule

from margin import records
from margin.components import Commit, Metered
from margin.ledger import questions
from margin.ledger.tasks import RANKS
from margin.tiering import Band, Tiers
from tests.margin.bookkeeping import CREDIT, DAY, FREE, PLANS, USD, called, customer, held, line, sellbook, settled
from tests.margin.test_ledger_machine import LONG, QUICK, BooksMachine

CENT = USD // 100
BANDS = Tiers((Band(3, Decimal("0.99")), Band(7, Decimal("0.79")), Band(None, Decimal("0.59"))), included=2)
COUNTED = FREE | {
    "usage": {"calls": Metered(BANDS, 5).terms()}, "items": {"report": Metered(BANDS, 4).terms()},
    "seats": {"price": 30 * USD, "included": 2 * CREDIT}, "fee": 99 * USD,
}  # fmt: skip
PROMISED = FREE | {
    "usage": {"calls": Metered(BANDS).terms()}, "items": {"report": Metered(BANDS).terms()},
    "commit": Commit(9 * USD, 1, Decimal("1.25")).terms(),
}  # fmt: skip
SOLD = {"counted": COUNTED, "promised": PROMISED}


class SellingMachine(BooksMachine):
    """The same folder and workers, and customers that buy more than credits."""

    work = Bundle("work")

    @initialize(eager=st.booleans())
    def begin(self, eager):
        """Adopt a sell book with all of it."""
        self.eager = eager
        self.keep(sellbook(PLANS | SOLD, t=self.t))

    @rule(version=st.integers(1, 3), fee=st.sampled_from([0, 99 * USD]))
    def reprice(self, version, fee):
        """The sell book changes: also what is promised and counted."""
        plans = PLANS | SOLD | {"counted": COUNTED | {"fee": fee}}
        if version == 3:
            plans["promised"] = {name: terms for name, terms in PROMISED.items() if name != "commit"}
        self.keep(sellbook(plans, t=self.later(), version=f"s{version}"))

    @rule(target=BooksMachine.customers, plan=st.sampled_from(sorted(SOLD)))
    def open_buyer(self, plan):
        """A customer begins."""
        number = len(self.plan_of) + 1
        self.plan_of[number], self.given[number] = plan, 0
        self.keep(customer(number, plan, t=self.later()))
        return number

    @rule(who=BooksMachine.customers, plan=st.sampled_from(sorted(SOLD)))
    def buy(self, who, plan):
        """A customer moves to a plan that sells more."""
        self.plan_of[who] = plan
        self.keep(records.moved(t=self.later(), customer=who, plan=plan))

    @rule(who=BooksMachine.customers, count=st.integers(0, 5))
    def seat(self, who, count):
        """A customer has so many seats."""
        self.keep(records.seats(t=self.later(), customer=who, count=count))

    @rule(who=BooksMachine.customers, count=st.integers(1, 9))
    def deliver(self, who, count):
        """An item is delivered; where none is sold it makes no sense. One more never costs less (I17)."""
        before = self._earned() if self.eager else 0
        self.nonsense += self.plan_of[who] not in SOLD
        id_ = f"d{next(self.names)}"
        self.keep(records.delivered(t=self.later(), id=id_, customer=who, item="report", count=count))
        assert not self.eager or self._earned() >= before

    def _earned(self):
        self.books.commit()
        query = "SELECT COALESCE(-SUM(balance), 0) FROM accounts WHERE name = 'rev.metered'"
        return self.books.store.db.execute(query).fetchone()[0]

    @rule(done=BooksMachine.closed)
    def reverse(self, done):
        """A charge is taken back, with what it was counted as."""
        self.books.commit()
        found = questions.charge(self.books.store.db, done[0])
        is_nothing = found is None or (found["credits_milli"] == 0 and not found["rated"])
        if is_nothing or found["reversal"] is not None:
            return
        row = [found[name] for name in ("plan", "charge_tier", "served_tier", "provider", "model", "outcome")]
        rated = [[each[name] for name in ("meter", "plan", "period", "quantity", "nusd")] for each in found["rated"]]
        self.keep(
            records.reversed_charge(x=done[0], t=self.later(), customer=found["customer"], why="test", row=row,
                                    credits_milli=found["credits_milli"], burnt=found["burnt"], rated=rated)
        )  # fmt: skip

    # ---- tasks -------------------------------------------------------------------------------------------------------

    @rule(target=work, who=BooksMachine.customers, metric=st.sampled_from(["", "workflow", "outcome"]),
          window=st.sampled_from([None, DAY]))  # fmt: skip
    def open_task(self, who, metric, window):
        """A task begins, under terms of its own."""
        id_ = f"t{next(self.names)}"
        terms = {"metric": metric, "name": "ticket", "price": BANDS.terms(), "idle": None, "window": window}
        self.keep(records.task_opened(t=self.later(), id=id_, customer=who, plan=self.plan_of[who], type="ticket",
                                      terms=orjson.dumps(terms).decode()))  # fmt: skip
        return id_, who, metric

    @rule(task=work, cost=st.none() | st.integers(0, 10**7), worker=st.integers(0, 1))
    def call(self, task, cost, worker):
        """A request of a task is served, whatever became of the task."""
        id_, who, _ = task
        x, plan = f"x{next(self.names)}", self.plan_of[who]
        self.charges[x] = (who, 0, cost)
        record = held(x, 0, of=who, plan=plan, t=self.later()) | {"tk": id_}
        self.workers[worker].write(record, called(x, t=self.t), settled(x, 0, line(cost), t=self.later()))

    @rule(task=work, why=st.sampled_from(["done", "idle", "abandoned"]))
    def close(self, task, why):
        """A task ends; again makes no sense."""
        self.nonsense += self.books.state.work.find(task[0]).closed_t is not None
        self.keep(records.task_closed(t=self.later(), id=task[0], why=why))

    @rule(task=work, outcome=st.sampled_from([*RANKS][1:]), days=st.sampled_from([0, 40]))
    def tell(self, task, outcome, days):
        """Something is told of what came of it, also months later and in any order."""
        self.nonsense += task[2] != "outcome"
        t = self.later(1 + days * DAY)
        self.keep(records.outcome(t=t, id=task[0], outcome=outcome, at=t))

    @rule(task=work, kind=st.sampled_from(records.OTHER_COSTS), nusd=st.integers(1, 5 * USD), wrong=st.booleans())
    def cost(self, task, kind, nusd, wrong):
        """Something that it cost beside its calls is told; perhaps a half of it was wrong."""
        for part in (nusd, -nusd // 2)[: 1 + wrong]:
            t = self.later()
            self.keep(records.task_cost(t=t, id=f"c{next(self.names)}", task=task[0], kind=kind, nusd=part, at=t))

    # ---- what always holds -------------------------------------------------------------------------------------------

    def _look(self):
        super()._look()
        query = """SELECT customer, COALESCE(SUM(balance), 0) FROM accounts WHERE commodity = 'USD' AND customer > 0
            AND name NOT LIKE 'cogs.%' GROUP BY customer HAVING SUM(balance) <> 0"""
        assert self.books.store.db.execute(query).fetchall() == []  # I10: earned = billed − deferred, by customer

    def _included_milli(self, who):
        seats = self.books.store.db.execute(
            "SELECT COALESCE(-SUM(amount), 0) FROM entries JOIN txns ON txns.id = txn JOIN accounts ON"
            " accounts.id = account WHERE name = 'credits.issued' AND customer = ? AND key LIKE 'grant:seats%'",
            (who,),
        ).fetchone()[0]
        return super()._included_milli(who) + seats


class TestSelling(SellingMachine.TestCase):
    settings = settings(QUICK, max_examples=40)


@pytest.mark.full
@pytest.mark.timeout(1800)
class TestSellingAtLength(SellingMachine.TestCase):
    settings = LONG
