"""A charge that is taken back leaves nothing behind but its cost and the record that it happened."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin import records
from margin.ledger import verify
from tests.margin.bookkeeping import (
    DAY,
    NS,
    T0,
    USD,
    Ledger,
    Worker,
    customer,
    grant,
    held,
    ledger,
    line,
    open_books,
    sellbook,
    settled,
    sound,
)

ROW = ["prepaid", "medium", "simple", "acme-ai", "m1", "ok"]
WHY = "the answer was wrong"


def burnt(books, x="x1"):
    """Return what a charge took of which grants, as it was booked."""
    return next(orjson.loads(row[-1]) for row in books.effects.charges if row[0] == x)


def taken_back(books, milli, *, x="x1", t=T0 + NS):
    """Return the record that reverses a charge."""
    return records.reversed_charge(x=x, t=t, customer=1, credits_milli=milli, burnt=burnt(books, x), row=ROW, why=WHY)


def charged(milli, *grants, plan="prepaid"):
    """Return a ledger in which one exchange was charged."""
    return ledger(plan, *grants, held("x1", milli, plan=plan), settled("x1", milli, line(700)))


def test_a_charge_knows_what_it_burnt_of_which_grant():
    """In burn order, each part with its cash; last what no grant covered, at its price."""
    books = charged(7000, grant("paid", 4000, paid=2 * USD), grant("gift", 2000), plan="overage")

    assert burnt(books) == [["gift", 2000, 0], ["paid", 4000, 2 * USD], [None, 1000, 400_000_000, 400_000_000]]


def test_a_reversal_gives_the_same_grants_their_credits_and_cash_back():
    """Also to a grant that was used up, whose order and cash come back with it; the cost stays."""
    books = charged(5000, grant("g1", 4000, paid=USD + 1, priority=10), grant("g2", 4000, paid=3 * USD))
    assert books.left("g1") == (0, 0, 0)

    books.apply(taken_back(books, 5000))

    assert books.left("g1") == (4000, 0, USD + 1)
    assert books.left("g2") == (4000, 0, 3 * USD)
    assert books.credits() == {"available": 8000, "held": 0, "spent": 0, "expired": 0, "overdraft": 0}
    assert books.balance("rev.credits") == 0
    assert books.balance("cogs.model") == 700


def test_a_reversal_counts_on_the_day_it_was_made_in_columns_of_its_own():
    """What was reported of the day of the charge stays as it was."""
    books = charged(5000, grant("g1", 4000, paid=USD), plan="overage")
    before = {row: dict(sums) for row, sums in books.effects.rollup.items()}

    books.apply(taken_back(books, 5000, t=T0 + 3 * DAY))

    added = {row: sums for row, sums in books.effects.rollup.items() if row not in before}
    assert {row.day for row in added} == {"2026-11-23"}
    assert list(added.values()) == [
        {"credits_reversed_milli": 5000, "revenue_credits_reversed_nusd": USD,
         "revenue_usage_reversed_nusd": 400_000_000}
    ]  # fmt: skip
    assert {row: books.effects.rollup[row] for row in before} == before


def test_credits_of_an_ended_grant_come_back_expired():
    """They are seen and cannot be spent; their cash is breakage, as if they had never been burnt."""
    books = charged(3000, grant("g1", 4000, paid=4 * USD, expires=T0 + DAY))

    books.apply(taken_back(books, 3000, t=T0 + 2 * DAY))

    assert books.credits() == {"available": 0, "held": 0, "spent": 0, "expired": 4000, "overdraft": 0}
    assert (books.balance("rev.credits"), books.balance("rev.breakage")) == (0, -4 * USD)
    assert books.state.available_milli(1, T0 + 2 * DAY) == 0
    ended = {txn.key: txn.t for txn in books.effects.txns if txn.kind == "expire"}
    assert ended == {"expire:g1": T0 + DAY, "expire:g1:reverse:x1": T0 + 2 * DAY}


def test_a_second_reversal_and_one_of_nothing_have_no_effect():
    """Each is listed as refused, and moves nothing."""
    books = charged(3000, grant("g1", 4000, paid=USD))
    record = taken_back(books, 3000)
    books.apply(record)
    before = books.credits()

    books.apply(record, record | {"x": "nobody"})

    assert books.refused == ["reversed twice", "reversed, and was never charged"]
    assert books.credits() == before


parcels = st.lists(
    st.tuples(st.integers(1, 5000), st.sampled_from([0, 1, USD, 7 * USD + 3]), st.none() | st.integers(1, 3)),
    max_size=4,
)


@given(parcels, st.lists(st.integers(1, 4000), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_a_charge_and_its_reversal_are_nothing(wallet, charges, random):
    """Whatever was charged and in whatever order it is taken back: every account but the cost is as it was.

    The grants have all their credits and all their cash again, whoever ended meanwhile as expired.
    """
    end = T0 + 2 * DAY
    given_ = [grant(f"g{n}", milli, paid=paid, expires=None if lasts is None else T0 + lasts * DAY)
              for n, (milli, paid, lasts) in enumerate(wallet)]  # fmt: skip
    books, untouched = ledger("overage", *given_), ledger("overage", *given_, records.tick(t=end))
    for n, milli in enumerate(charges):
        books.apply(held(f"x{n}", milli, plan="overage"), settled(f"x{n}", milli, line(700)))

    order = list(enumerate(charges))
    random.shuffle(order)
    for n, milli in order:
        books.apply(taken_back(books, milli, x=f"x{n}", t=end))
    books.apply(records.tick(t=end))

    assert books.refused == []
    assert books.credits() == untouched.credits()
    for account in ("rev.credits", "rev.usage", "rev.breakage", "deferred.credits", "receivable", "cash"):
        assert books.balance(account) == untouched.balance(account), account
    assert {name: books.left(name) for name in books.state.grants} == {
        name: untouched.left(name) for name in untouched.state.grants
    }


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.booleans())
def test_stored_books_stay_sound_and_rebuild(tmp_path_factory, steps, commits):
    """Through the file, batch by batch: used-up grants are found again, and the journals make the same books."""
    folder = tmp_path_factory.mktemp("books")
    books = open_books(folder)
    worker = Worker(folder)
    for record in (sellbook(), customer(plan="overage"), grant("g1", 2500, paid=USD), grant("g2", 2500, paid=7)):
        books.record(record)
    twin = Ledger(sellbook(), customer(plan="overage"), grant("g1", 2500, paid=USD), grant("g2", 2500, paid=7))

    done = []
    for n, step in enumerate(steps):
        if step and done:
            record = taken_back(twin, 1000, x=done.pop(), t=T0 + n)
            books.record(record)
            twin.apply(record)
        else:
            entries = [held(f"x{n}", 1000, plan="overage"), settled(f"x{n}", 1000, line(700))]
            worker.write(*entries)
            books.fold_worker(worker.path)
            twin.apply(*entries)
            done.append(f"x{n}")
        if commits:
            books.commit()
    books.commit()

    assert verify.violations(books.store.db, books.state) == []
    assert sound(books) == []
    worker.close()
    books.close()


@pytest.mark.parametrize("sql", [
    "UPDATE reversals SET credits_milli = credits_milli - 1",
    "UPDATE reversals SET revenue_nusd = revenue_nusd - 1",
    "UPDATE reversals SET x = 'x9'",
    "DELETE FROM reversals",
    "UPDATE rollup SET revenue_credits_reversed_nusd = 0",
    "UPDATE rollup SET credits_reversed_milli = 0",
])  # fmt: skip
def test_a_changed_reversal_is_found(tmp_path, sql):
    """The books contradict themselves when a reversal or its sums change."""
    books, twin = open_books(tmp_path), charged(3000, grant("g1", 4000, paid=USD))
    worker = Worker(tmp_path).write(held("x1", 3000, plan="prepaid"), settled("x1", 3000, line(700)))
    for record in (sellbook(), customer(plan="prepaid"), grant("g1", 4000, paid=USD)):
        books.record(record)
    books.fold_worker(worker.path)
    books.record(taken_back(twin, 3000))
    books.commit()
    assert verify.violations(books.store.db, books.state) == []

    assert books.store.db.execute(sql).rowcount > 0

    assert verify.violations(books.store.db, books.state) != []
    worker.close()
    books.close()
