"""Commitments in the books: drawn before anything is owed, by amounts that add up in whatever order they come."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin import records
from margin.components import Commit, Metered
from margin.ledger.terms import after_months
from margin.tiering import flat
from tests.margin.bookkeeping import DAY, FREE, USD, Ledger, at, customer, open_books, sellbook, sound

BEGIN = at("2026-11-01")
CENT = 10**7
SOLD = FREE | {
    "items": {"hour": Metered(flat(Decimal("0.01"))).terms()}, "commit": Commit(10 * USD, 1, Decimal("1.5")).terms(),
}  # fmt: skip
PLANS = {"open": FREE, "sold": SOLD}


def delivered(id_, count, t=BEGIN):
    """Deliver so many cents."""
    return records.delivered(t=t, id=id_, customer=1, item="hour", count=count)


@given(st.lists(st.integers(1, 600), min_size=1, max_size=12), st.randoms())
@settings(deadline=None, max_examples=50)
def test_any_order_owes_the_same(parts, random):
    """What is drawn and what is beyond follow from the sum: I10 within a term, and I11."""
    random.shuffle(parts)
    books = Ledger(sellbook(PLANS, t=BEGIN), customer(plan="sold", t=BEGIN))

    books.apply(*[delivered(f"d{number}", count) for number, count in enumerate(parts)])

    used = sum(parts) * CENT
    beyond = max(used - 10 * USD, 0) * 3 // 2
    assert books.balance("deferred.commit") == -max(10 * USD - used, 0)
    assert books.balance("receivable") == 10 * USD + beyond
    assert -books.balance("rev.metered") == min(used, 10 * USD) + beyond


@given(st.lists(st.integers(1, 900), max_size=8), st.integers(0, 70))
@settings(deadline=None, max_examples=50)
def test_over_closed_terms_revenue_is_what_was_billed(parts, days):
    """I10: term by term, what is recognised is what was owed, once the term has ended."""
    books = Ledger(sellbook(PLANS, t=BEGIN), customer(plan="sold", t=BEGIN))
    for number, count in enumerate(parts):
        t = BEGIN + number * days * DAY
        books.apply(records.tick(t=t), delivered(f"d{number}", count, t))
    books.apply(records.tick(t=at("2028-12-01") - 1))

    revenue = -books.balance("rev.metered") - books.balance("rev.shortfall")
    assert revenue == books.balance("receivable") + books.balance("deferred.commit")
    assert books.balance("deferred.commit") == -10 * USD  # of the term that runs
    assert books.refused == []


@pytest.mark.parametrize(
    ("begin", "months", "end"),
    [
        ("2026-11-15", 12, "2027-11-15"),
        ("2027-01-31", 1, "2027-02-28"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-12-31T23:59", 1, "2027-01-31T23:59"),
    ],
)
def test_a_term_ends_on_its_day(begin, months, end):
    """Or on the month's last, where it has no such day."""
    assert after_months(at(begin), months) == at(end)


def test_the_books_are_sound_and_rebuilt_the_same(tmp_path):
    """Over a restart, the end of a term, a move and a sell book without the commitment; nothing is owed twice."""
    books = open_books(tmp_path)
    for record in (sellbook(PLANS, t=BEGIN), customer(plan="sold", t=BEGIN), delivered("a", 900)):
        books.record(record)
    books.commit()
    books.close()
    books = open_books(tmp_path)
    later = at("2026-12-02")
    for record in (
        delivered("b", 300, BEGIN + DAY), records.tick(t=later), delivered("c", 100, later),
        records.moved(t=later, customer=1, plan="open"), records.moved(t=later + 1, customer=1, plan="sold"),
        sellbook({"open": FREE, "sold": FREE | {"items": SOLD["items"]}}, t=later + 2, version="s2"),
        delivered("d", 50, later + 3), records.tick(t=at("2027-01-03")),
    ):  # fmt: skip
        books.record(record)
    books.commit()

    assert sound(books) == []
    assert books.state.customers[1].commit_end_t == 0
    owed = books.store.db.execute("SELECT balance FROM balances WHERE account = 'receivable'").fetchone()[0]
    assert owed == (10 + 3 + 10) * USD  # two terms, and 2 dollars beyond the first at half as much again
    books.close()
