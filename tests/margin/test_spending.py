"""What budgets go by: sums by key, customer, feature and model, and by the hour of admission."""

from margin import records
from margin.ledger import spending
from margin.ledger.spending import HOUR_NS, Sums
from tests.margin.bookkeeping import (
    CREDIT,
    T0,
    Ledger,
    begun,
    customer,
    grant,
    held,
    line,
    open_books,
    sellbook,
    settled,
    void,
)

HOUR = T0 // HOUR_NS
OPENING = [sellbook(), customer(plan="prepaid"), grant("g1", 1000 * CREDIT, paid=10**9)]


def folded(*records) -> dict:
    """Return the sums of all subjects after some records."""
    return spending.by_subject(Ledger(*OPENING, *records).effects.spent)


def test_a_charge_counts_for_everybody_it_concerns():
    """Two credits at five cents: ten cents of charge, 700 nano-dollars of cost, 120 tokens, one request."""
    hold = begun("x1", 3000, plan="prepaid") | {"f": "search", "mb": "abc"}

    found = folded(hold, settled("x1", 2000, line(700)))

    sums = Sums(1, 120, 700, 100_000_000)
    assert found == {
        ("key", "k1", HOUR): sums, ("customer", "1", HOUR): sums, ("model", "d1", HOUR): sums, ("all", "", HOUR): sums,
        ("feature", "search", HOUR): sums, ("plan", "prepaid", HOUR): sums, ("member", "1:abc", HOUR): sums,
    }  # fmt: skip


def test_attempts_are_calls_of_a_model_and_one_request():
    """Two failed calls and a third: three calls, one request, all their cost."""
    lines = [line(10, n=1, kind="failed"), line(20, n=2, kind="failed"), line(700, n=3)]

    found = folded(begun("x1", 3000), settled("x1", 0, *lines))

    assert found["model", "d1", HOUR] == Sums(3, 360, 730, 0)
    assert found["key", "k1", HOUR] == Sums(1, 360, 730, 0)


def test_what_nobody_saw_the_answer_of_may_have_cost_its_ceiling():
    """Budgets count the 5,000 that were held for the lost call; its cost line stays at 10."""
    found = folded(begun("x1", 3000), settled("x1", 0, line(10, n=1, kind="failed") | {"max": 5_000}, line(700, n=2)))

    assert found["key", "k1", HOUR].cost_nusd == 710
    assert found["key", "k1", HOUR].most_nusd == found["model", "d1", HOUR].most_nusd == 5_700


def test_an_unknown_cost_counts_its_ceiling():
    """Unknown is not nothing."""
    found = folded(begun("x1", 3000), settled("x1", 0, line(None) | {"max": 5_000}))

    assert (found["all", "", HOUR].cost_nusd, found["all", "", HOUR].most_nusd) == (0, 5_000)


def test_it_belongs_to_the_hour_in_which_it_was_admitted():
    """An exchange that runs over midnight is spent where it was taken from."""
    found = folded(begun("x1", 0, t=T0 - 1), settled("x1", 0, line(700), t=T0 + 60 * 10**9))

    assert {hour for _, _, hour in found} == {HOUR - 1}


def test_what_was_voided_costs_what_its_calls_did_and_is_no_charge():
    """An unknown cost counts nothing, as nothing is booked of it."""
    found = folded(begun("x1", 3000), void("x1", line(40), line(None, n=2)))

    assert found["customer", "1", HOUR] == Sums(1, 240, 40, 0)


def test_stored_and_waiting_sums_are_one(opened):
    """The question adds what is stored and what a deferred commit still holds."""
    for record in (begun("x1", 0), settled("x1", 0, line(700))):
        opened.record(record)
    opened.commit()
    for record in (held("x2", 0), settled("x2", 0, line(300))):
        opened.record(record)

    found = spending.since(opened.store.db, opened.effects.spent, "key", "k1", HOUR)
    later = spending.since(opened.store.db, opened.effects.spent, "key", "k1", HOUR + 1)

    assert found == {HOUR: Sums(2, 240, 1_000, 0)}
    assert later == {}
    assert spending.subjects(opened.store.db, "key", HOUR) == {"k1": Sums(1, 120, 700, 0)}


def test_a_tick_forgets_what_no_budget_reaches(opened):
    """Hours of more than 62 days ago go; the last of those that stay is the first after them."""
    days = 62 * 24 * HOUR_NS
    for x, t in (("x1", T0), ("x2", T0 + HOUR_NS)):
        opened.record(begun(x, 0, t=t))
        opened.record(settled(x, 0, line(700), t=t))
    opened.record(records.tick(t=T0 + HOUR_NS + days))
    opened.commit()

    assert set(spending.since(opened.store.db, {}, "key", "k1", 0)) == {HOUR + 1}


def test_what_comes_late_stays_however_records_fall_into_batches(folder):
    """A hold of long ago that ends after the tick is kept: in one batch, and with one for each record."""
    old = begun("x2", 0, t=T0)
    entries = [
        *OPENING, begun("x1", 0), settled("x1", 0, line(700)), old, records.tick(t=T0 + 63 * 24 * HOUR_NS),
        settled("x2", 0, line(300), t=T0 + 63 * 24 * HOUR_NS),
    ]  # fmt: skip
    found = []
    for each in (True, False):
        books = open_books(folder / str(each))
        for entry in entries:
            books.record(entry)
            if each:
                books.commit()
        books.commit()
        found.append(spending.since(books.store.db, {}, "key", "k1", 0))
        books.close()

    assert found == [{HOUR: Sums(1, 120, 300, 0)}] * 2
