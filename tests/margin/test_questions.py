"""What people ask the ledger: right answers, from one snapshot, out of the table that is meant for them."""

import re

import pytest

from margin import records
from margin.ledger import questions
from margin.ledger.rollups import COST, REVENUE
from margin.ledger.store import connect
from margin.ledger.terms import day
from tests.margin.bookkeeping import (
    CREDIT,
    DAY,
    T0,
    USD,
    Worker,
    at,
    customer,
    grant,
    held,
    line,
    open_books,
    sellbook,
    settled,
    void,
)

EXCHANGES = [
    held("x1", 2000, plan="prepaid"), settled("x1", 2000, line(700), baseline=5000),
    held("x2", 1000, plan="prepaid"), void("x2", line(40, kind="failed")),
    held("x3", 1000, of=2), settled("x3", 1000, line(9000, kind="estimated"), baseline=8000, t=T0 + DAY),
    held("x4", 1000, of=2), settled("x4", 1000, line(None), baseline=8000, t=T0 + DAY),
    held("x5", 3000, plan="prepaid"),
]  # fmt: skip


@pytest.fixture
def opened(tmp_path):
    """Books of two customers: one pays for its credits, the other is served for nothing."""
    found = open_books(tmp_path)
    opening = [sellbook(), customer(1, "prepaid"), customer(2), grant("g1", 100 * CREDIT, paid=10 * USD)]
    for record in opening:
        found.record(record)
    worker = Worker(tmp_path).write(*EXCHANGES)
    found.fold_worker(worker.path)
    found.commit()
    yield found
    found.close()
    worker.close()


@pytest.fixture
def db(opened):
    """The ledger's file."""
    return opened.store.db


def test_margin_by_customer_adds_up(db):
    """The biggest loss comes first; a void is no request, its cost counts; unknown costs are counted, not guessed."""
    loss, gain = questions.margin_by_customer(db)

    assert (loss.customer, loss.requests, loss.cost_nusd, loss.revenue_nusd) == (2, 2, 9000, 0)
    assert (loss.savings_nusd, loss.unpriced, loss.margin_nusd) == (8000 - 9000, 1, -9000)
    assert (gain.customer, gain.requests, gain.cost_nusd, gain.revenue_nusd) == (1, 1, 700 + 40, 10 * USD * 2 // 100)
    assert (gain.savings_nusd, gain.unpriced) == (5000 - 700, 0)


SINCE = ["", "2026-10-15", "2026-11-01", "2026-11-20", "2026-11-21", "2026-11-22", "2026-12-01", "2026-12-31"]


@pytest.mark.parametrize("since", SINCE)
def test_months_and_days_give_what_the_finest_rows_do(opened, db, since):
    """Wherever a question begins, whole months and the first month's days add up to the rollup from that day on."""
    later = at("2027-01-02")
    opened.record(grant("g2", 5000, paid=USD, expires=later, t=later - DAY))
    opened.record(records.tick(t=later))
    opened.commit()

    found = questions.margin_by_customer(db, since_day=since)

    query = f"SELECT customer, SUM(requests), SUM({COST}), SUM({REVENUE}) FROM rollup WHERE day >= ? GROUP BY customer"
    expected = sorted(db.execute(query, (since,)).fetchall())
    assert sorted((row.customer, row.requests, row.cost_nusd, row.revenue_nusd) for row in found) == expected
    assert len(found) >= 1


def test_every_day_begins_somewhere_in_a_week(opened, db):
    """Since any day of a leap year's February and of the months beside it: one exchange a day from there on."""
    first = at("2028-01-30")
    days = [first + number * DAY for number in range(35)]  # to March 4
    worker = Worker(opened.folder.parent, "worker-2").write(
        *(each for t in days for each in (held(f"y{t}", 1000, of=2, t=t), settled(f"y{t}", 1000, line(100), t=t)))
    )
    opened.fold_worker(worker.path)
    opened.commit()

    for number, t in enumerate(days):
        (row,) = [each for each in questions.margin_by_customer(db, since_day=day(t)) if each.customer == 2]
        assert (row.requests, row.cost_nusd) == (35 - number, (35 - number) * 100), day(t)
    worker.close()


def test_the_total_is_the_sum_of_the_customers(db):
    """Line by line, nothing lost between."""
    rows = questions.margin_by_customer(db)

    found = questions.total(rows)

    assert found.customer is None
    for name in ("requests", "cost_nusd", "revenue_nusd", "savings_nusd", "unpriced", "margin_nusd"):
        assert getattr(found, name) == sum(getattr(row, name) for row in rows)
    assert questions.total([]).requests == 0


def test_margin_since_a_day_counts_that_day(db):
    """The day itself is inside."""
    assert [row.customer for row in questions.margin_by_customer(db, since_day="2026-11-21")] == [2]
    assert questions.margin_by_customer(db, since_day="2026-11-22") == []


def asked(db, ask):
    """Return the statements that a question runs."""
    seen = []
    db.set_trace_callback(seen.append)
    try:
        ask(db)
    finally:
        db.set_trace_callback(None)
    return seen


@pytest.mark.parametrize(
    "ask",
    [
        questions.margin_by_customer,
        lambda db: questions.margin_by_customer(db, since_day="2026-11-01"),
        lambda db: questions.margin_by_customer(db, since_day="2026-11-20"),
        lambda db: questions.totals(db, ("plan", "charge_tier"), ("requests", "cost_model_nusd")),
        questions.credit_totals,
    ],
    ids=["margin", "margin since a month", "margin since a day", "exporter", "credits"],
)
def test_a_question_about_everybody_reads_sums_only(db, ask):
    """However many requests there were, its plan touches no table that grows with them."""
    statements = asked(db, ask)

    assert statements
    for statement in statements:
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}"))
        read = {
            each for each in re.findall(r"(?:SCAN|SEARCH) (\w+)", plan) if not each.isdigit()
        }  # those are subqueries
        assert read
        assert read <= {"margin_months", "margin_weeks", "margin_days", "rollup_totals", "balances"}


def test_one_charge_is_found_without_a_scan(db):
    """Explaining an invoice line searches by key in both tables."""
    for statement in asked(db, lambda db: questions.charge(db, "x1")):
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert "SCAN" not in plan


def test_a_balance_is_the_four_accounts(db):
    """A customer that is not there has nothing."""
    assert questions.credit_balance(db, 1) == {
        "available": (100 - 2 - 3) * CREDIT, "held": 3 * CREDIT, "spent": 2 * CREDIT, "expired": 0,
    }  # fmt: skip
    assert questions.credit_balance(db, 99) == {"available": 0, "held": 0, "spent": 0, "expired": 0}


def test_credit_totals_count_what_was_given(db):
    """Over all customers; overdrafts are not gifts."""
    assert questions.credit_totals(db) == {"granted": 100 * CREDIT, "expired": 0}


def test_totals_group_the_whole_rollup(db):
    """The exporter's counters: by plan here."""
    found = questions.totals(db, ("plan",), ("requests", "cost_failed_nusd"))

    assert found == [("open", 2, 0), ("prepaid", 1, 40)]


def test_a_charge_comes_with_its_cost_lines(db):
    """With every column by name; an unknown one is None."""
    found = questions.charge(db, "x1")

    assert (found["credits_milli"], found["cost_nusd"], found["saving_nusd"]) == (2000, 700, 4300)
    assert [each["cost_nusd"] for each in found["cost_lines"]] == [700]
    assert questions.charge(db, "x2") is None


def test_cost_lines_come_with_what_reconciling_needs(db):
    """Voided attempts included: they may be billed."""
    found = sorted(questions.cost_lines(db), key=lambda each: str(each.cost_nusd))

    assert [(each.kind, each.cost_nusd) for each in found] == [
        ("failed", 40), ("model", 700), ("estimated", 9000), ("model", None),
    ]  # fmt: skip


def test_refused_records_are_counted(opened, db):
    """They should be none; the figure says so."""
    assert questions.refused_records(db) == 0

    opened.record(grant("g1", 5))
    opened.commit()

    assert questions.refused_records(db) == 1


def test_a_snapshot_does_not_move(opened):
    """What is committed meanwhile is seen by the next one."""
    reader = connect(opened.ledger_path, read_only=True)
    with questions.snapshot(reader) as view:
        before = questions.credit_balance(view, 1)
        opened.record(grant("g2", 7000))
        opened.commit()

        assert questions.credit_balance(view, 1) == before

    assert questions.credit_balance(reader, 1)["available"] == before["available"] + 7000
    reader.close()
