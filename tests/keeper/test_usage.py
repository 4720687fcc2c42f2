"""What the keeper says of a customer's use: sums by day and model, credits, and no more work than that."""

import time

import pytest

from margin.ledger import questions
from proxy.keeper.commands import perform
from proxy.keeper.usage import usage_of
from tests.keeper.offices import Worker, office
from tests.margin.bookkeeping import CREDIT, called, held, line, settled

NOW = 1_764_000_000 * 10**9
"""2025-11-24T16:00:00Z."""
DAY = 86_400 * 10**9


@pytest.fixture
def found(tmp_path, monkeypatch):
    """An office whose clock stands still."""
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    opened = office(tmp_path / "data")
    yield opened
    opened.close()


def use(found, *exchanges):
    """Journal settled exchanges: (name, customer, moment, credits, model)."""
    worker = Worker(found, "worker-1")
    for x, who, t, milli, model in exchanges:
        worker.paper.write(
            held(x, milli, of=who, t=t), called(x), settled(x, milli, line(700) | {"m": model}, t=t)
        )  # fmt: skip
    found.fold_all()
    worker.die()


def test_requests_by_day_and_model(found, monkeypatch):
    """The last days only, and of this customer alone; the newest day first."""
    today = time.strftime("%Y-%m-%d", time.gmtime(NOW // 10**9))
    for who in ("acme", "globex"):
        found.grant(who, 100 * CREDIT, paid_nusd=0, expires_t=None)
    use(
        found, ("x1", 1, NOW, 3 * CREDIT, "m1"), ("x2", 1, NOW, CREDIT, "m1"), ("x3", 1, NOW, CREDIT, "m2"),
        ("x4", 1, NOW - DAY, CREDIT, "m1"), ("x5", 1, NOW - 2 * DAY, CREDIT, "m1"), ("x6", 2, NOW, CREDIT, "m1"),
    )  # fmt: skip
    monkeypatch.setattr("proxy.keeper.usage._days", lambda count: [today, "2025-11-23"][:count])

    answer = usage_of(found, 1, 2)

    assert [(day, model, requests, milli) for day, _, model, requests, _, _, milli in answer["rows"]] == [
        (today, "m1", 2, 4 * CREDIT), (today, "m2", 1, CREDIT), ("2025-11-23", "m1", 1, CREDIT),
    ]  # fmt: skip
    assert answer["credits"] == {"available": 93, "held": 0, "spent": 7, "expired": 0, "overdraft": 0}
    assert [row[3] for row in usage_of(found, 1, 1)["rows"]] == [2, 1]


def test_it_costs_the_keeper_no_work(found):
    """Nothing is journalled or folded for it, and the sums are found by their key, not searched."""
    found.open_customer("acme")
    before = found.books.journal.offset
    plan = found.books.store.db.execute(
        "EXPLAIN QUERY PLAN SELECT day, SUM(requests) FROM rollup WHERE day IN ('a', 'b') AND customer = 1"
        " GROUP BY day, provider, model"
    ).fetchall()

    assert usage_of(found, 1, 92)["rows"] == []
    assert found.books.journal.offset == before
    assert any("PRIMARY KEY (day=? AND customer=?)" in row[-1] for row in plan), plan


def test_what_ended_is_not_available(found, monkeypatch):
    """Also before a tick has booked it."""
    found.grant("acme", 5 * CREDIT, paid_nusd=0, expires_t=NOW + 10)
    monkeypatch.setattr(time, "time_ns", lambda: NOW + 20)

    assert usage_of(found, 1, 1)["credits"] == {"available": 0, "held": 0, "spent": 0, "expired": 5, "overdraft": 0}


def test_a_reversal_is_taken_off(found):
    """On the day it is made: the day may be below zero, the sum is right."""
    found.grant("acme", 10 * CREDIT, paid_nusd=0, expires_t=None)
    use(found, ("x1", 1, NOW, 4 * CREDIT, "m1"))

    assert "result" in perform(found, "ledger.reverse", {"id": "x1", "why": "a mistake"}, by="uid 1")

    rows = questions.usage_by_day(found.books.store.db, 1, [time.strftime("%Y-%m-%d", time.gmtime(NOW // 10**9))])
    assert sum(row[-1] for row in rows) == 0
