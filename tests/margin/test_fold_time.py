"""What time alone does to the books: fees, included credits, expiry, and what a period earns."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin import records
from margin.ledger import fold
from margin.ledger.terms import Period
from tests.margin.bookkeeping import (
    CREDIT,
    DAY,
    NS,
    PLANS,
    T0,
    USD,
    Ledger,
    at,
    customer,
    grant,
    held,
    ledger,
    line,
    sellbook,
    settled,
    void,
)

# ---- fees ------------------------------------------------------------------------------------------------------------

NOVEMBER = Period.of(at("2026-11-01"))
moments = st.integers(NOVEMBER.start_t, NOVEMBER.end_t)


@given(st.lists(moments, max_size=30).map(sorted), st.integers(0, 10**13))
@settings(deadline=None)
def test_a_month_accrues_the_exact_fee_whatever_the_ticks(ticks, fee):
    """However often and whenever time is looked at, the month adds up to the fee, to the nano."""
    plans = PLANS | {"starter": PLANS["starter"] | {"fee": fee, "included": 0}}
    books = Ledger(sellbook(plans, t=NOVEMBER.start_t), customer(plan="starter", t=NOVEMBER.start_t))

    for t in ticks:
        books.apply(records.tick(t=t))
        share = fee * (t - NOVEMBER.start_t)
        assert abs(-books.balance("rev.subscription") * (NOVEMBER.end_t - NOVEMBER.start_t) - share) <= (
            NOVEMBER.end_t - NOVEMBER.start_t
        )
    books.apply(records.tick(t=NOVEMBER.end_t))

    assert books.balance("rev.subscription") == -fee
    assert books.balance("receivable") == fee
    assert books.rollup("revenue_fee_nusd") == fee


@given(st.lists(st.integers(at("2026-12-10"), at("2027-03-10")), max_size=20).map(sorted))
@settings(deadline=None)
def test_fees_go_over_month_ends(ticks):
    """A first part month, two whole ones, a last part: each has its own length, and the sum is theirs."""
    start, end = at("2026-12-10"), at("2027-03-10")
    books = Ledger(sellbook(t=start), customer(plan="starter", t=start))

    books.apply(*[records.tick(t=t) for t in ticks], records.tick(t=end))

    fee = 199 * USD
    december, march = round(fee * 22 / 31), round(fee * 9 / 31)
    assert abs(-books.balance("rev.subscription") - (december + 2 * fee + march)) <= 2


def test_a_month_passes_without_any_tick():
    """A keeper that slept for months books them all when it wakes, each month's included credits with them."""
    books = Ledger(sellbook(t=at("2026-11-01")), customer(plan="starter", t=at("2026-11-01")))

    books.apply(records.tick(t=at("2027-02-01")))

    assert books.balance("rev.subscription") == -3 * 199 * USD
    assert books.credits()["expired"] == 3 * 500 * CREDIT
    assert books.credits()["available"] == 500 * CREDIT


@given(moments, st.lists(moments, max_size=10))
@settings(deadline=None)
def test_a_plan_move_mid_period_accrues_both_fees_by_time(moved_t, ticks):
    """Up to the move the old fee, from it the new one; each part is rounded once."""
    start, end = NOVEMBER.start_t, NOVEMBER.end_t
    move = records.moved(t=moved_t, customer=1, plan="pro")
    books = Ledger(sellbook(t=start), customer(plan="starter", t=start))

    for entry in sorted([move, *(records.tick(t=t) for t in ticks), records.tick(t=end)], key=lambda each: each["t"]):
        books.apply(entry)

    exact = (199 * USD * (moved_t - start) + 599 * USD * (end - moved_t)) / (end - start)
    assert abs(-books.balance("rev.subscription") - exact) <= 2


@given(moments, st.lists(moments, max_size=10))
@settings(deadline=None)
def test_a_sell_book_change_mid_period_accrues_both_fees_by_time(changed_t, ticks):
    """The old terms hold up to the moment of the change, the new ones from it."""
    start, end = NOVEMBER.start_t, NOVEMBER.end_t
    dearer = sellbook(PLANS | {"starter": PLANS["starter"] | {"fee": 299 * USD}}, t=changed_t, version="s2")
    books = Ledger(sellbook(t=start), customer(plan="starter", t=start))

    for entry in sorted([dearer, *(records.tick(t=t) for t in ticks), records.tick(t=end)], key=lambda each: each["t"]):
        books.apply(entry)

    exact = (199 * USD * (changed_t - start) + 299 * USD * (end - changed_t)) / (end - start)
    assert abs(-books.balance("rev.subscription") - exact) <= 2


def test_a_clock_that_is_set_back_charges_no_time_twice():
    """A move dated before what has accrued begins where the accrual ended."""
    start, end = NOVEMBER.start_t, NOVEMBER.end_t
    books = Ledger(sellbook(t=start), customer(plan="starter", t=start), records.tick(t=start + 20 * DAY))

    books.apply(records.moved(t=start + 10 * DAY, customer=1, plan="starter"), records.tick(t=end))

    assert abs(-books.balance("rev.subscription") - 199 * USD) <= 1


def test_a_removed_plan_falls_back_to_the_default():
    """A customer whose plan is gone pays what the default plan asks: here nothing."""
    start = NOVEMBER.start_t
    books = Ledger(sellbook(t=start), customer(plan="starter", t=start))

    books.apply(sellbook({"open": PLANS["open"]}, t=start + 15 * DAY, version="s2"), records.tick(t=NOVEMBER.end_t))

    assert books.balance("rev.subscription") == -199 * USD // 2


# ---- included credits ------------------------------------------------------------------------------------------------


def test_included_credits_come_once_per_period_and_end_with_it():
    """The month's credits are there at its start; what is left at its end expires, and the next month's come."""
    books = Ledger(sellbook(t=at("2026-11-10")), customer(plan="starter", t=at("2026-11-10")))
    assert books.credits()["available"] == 500 * CREDIT

    books.apply(*[records.tick(t=at("2026-11-10") + hour * 3600 * NS) for hour in range(20)])
    assert books.credits()["available"] == 500 * CREDIT

    books.apply(records.tick(t=at("2026-12-01")))
    assert books.credits() == {
        "available": 500 * CREDIT, "held": 0, "spent": 0, "expired": 500 * CREDIT, "overdraft": 0,
    }  # fmt: skip
    assert books.balance("rev.breakage") == 0


def test_each_plan_includes_its_credits_once_per_period():
    """Moving away and back, and back again, grants nothing a second time."""
    books = Ledger(sellbook(), customer(plan="starter"))

    for number, plan in enumerate(["pro", "starter", "pro", "open", "starter"], start=1):
        books.apply(records.moved(t=T0 + number * NS, customer=1, plan=plan))

    assert books.credits()["available"] == (500 + 2000) * CREDIT
    books.apply(records.tick(t=at("2026-12-01")))
    assert books.credits()["available"] == 500 * CREDIT


def test_a_new_sell_book_does_not_include_credits_twice():
    """A restart with changed prices is no new period."""
    books = Ledger(sellbook(), customer(plan="starter"))

    books.apply(sellbook(version="s2", t=T0 + NS))

    assert books.credits()["available"] == 500 * CREDIT


def test_included_credits_burn_before_bought_ones():
    """They end first, so they go first."""
    books = Ledger(sellbook(), customer(plan="starter"), grant("bought", 10_000, paid=USD))

    books.apply(held("x1", 501 * CREDIT, plan="starter"))

    assert [milli for _, milli in books.state.holds["x1"].parts] == [500 * CREDIT, CREDIT]
    assert books.state.holds["x1"].parts[1][0] == "bought"


# ---- expiry ----------------------------------------------------------------------------------------------------------


def test_a_grant_that_ends_drops_what_is_left_and_earns_its_cash():
    """Paid credits that nobody used become breakage revenue, on the customer's row of that day."""
    books = ledger("prepaid", grant("g1", 10_000, paid=10 * USD, expires=T0 + DAY))

    books.apply(records.tick(t=T0 + DAY - 1))
    assert books.credits()["available"] == 10_000
    books.apply(records.tick(t=T0 + DAY))

    assert books.credits() == {"available": 0, "held": 0, "spent": 0, "expired": 10_000, "overdraft": 0}
    assert books.balance("rev.breakage") == -10 * USD
    assert books.balance("deferred.credits") == 0
    assert books.rollup("revenue_breakage_nusd") == 10 * USD


def test_what_is_held_outlives_the_grants_end_and_can_be_charged():
    """An exchange that began in time is paid with what it held."""
    books = ledger("prepaid", grant("g1", 10_000, paid=10 * USD, expires=T0 + DAY), held("x1", 4000, plan="prepaid"))

    books.apply(records.tick(t=T0 + DAY), settled("x1", 4000, t=T0 + DAY + NS))

    assert books.credits() == {"available": 0, "held": 0, "spent": 4000, "expired": 6000, "overdraft": 0}
    assert (books.balance("rev.breakage"), books.balance("rev.credits")) == (-6 * USD, -4 * USD)


@pytest.mark.parametrize("settled_t", [T0 + DAY + NS, T0 + DAY - NS], ids=["after", "journalled before, folded after"])
def test_what_returns_to_an_ended_grant_expires_at_once(settled_t):
    """Also when the record was written before the end and folded after the tick that ended the grant."""
    books = ledger("prepaid", grant("g1", 10_000, paid=10 * USD, expires=T0 + DAY), held("x1", 4000, plan="prepaid"))

    books.apply(records.tick(t=T0 + DAY), void("x1", t=settled_t))

    assert books.credits() == {"available": 0, "held": 0, "spent": 0, "expired": 10_000, "overdraft": 0}
    assert books.balance("rev.breakage") == -10 * USD
    assert books.state.grants == {}


def test_a_late_tick_books_the_end_at_the_grants_own_moment():
    """The transaction and the breakage stand where the grant ended, not where somebody looked."""
    books = ledger("prepaid", grant("g1", 10_000, paid=10 * USD, expires=T0 + DAY))

    books.apply(records.tick(t=T0 + 9 * DAY))

    assert [(txn.key, txn.t) for txn in books.effects.txns if txn.kind == "expire"] == [("expire:g1", T0 + DAY)]
    assert [row.day for row, sums in books.effects.rollup.items() if sums.get("revenue_breakage_nusd")] == [
        "2026-11-21"
    ]


def test_what_returns_before_a_late_tick_ends_apart_from_what_was_left():
    """What was left ended with the grant; what a hold kept of it ends when it comes back. All the cash is earned."""
    books = ledger("prepaid", grant("g1", 10_000, paid=10 * USD, expires=T0 + DAY), held("x1", 4000, plan="prepaid"))

    books.apply(settled("x1", 1000, t=T0 + DAY + NS), records.tick(t=T0 + 9 * DAY))

    ended = {txn.key: txn.t for txn in books.effects.txns if txn.kind == "expire"}
    assert ended == {"expire:g1": T0 + DAY, "expire:g1:x1": T0 + DAY + NS}
    assert books.credits() == {"available": 0, "held": 0, "spent": 1000, "expired": 9000, "overdraft": 0}
    assert (books.balance("rev.breakage"), books.balance("rev.credits")) == (-9 * USD, -1 * USD)


def test_an_ended_grant_covers_no_hold():
    """Its credits are not available from the moment it ends, ticked or not."""
    books = ledger("hard", grant("g1", 10_000, expires=T0 + DAY), held("x1", 1000, plan="hard", t=T0 + DAY))

    assert books.state.holds["x1"].uncovered_milli == 1000
    assert books.state.available_milli(1, T0 + DAY) == 0
    assert books.state.available_milli(1, T0 + DAY - 1) == 10_000


def test_the_earliest_end_is_known_to_whoever_lends():
    """Of several grants with something left, the next to end counts; those without an end never do."""
    books = ledger("hard", grant("g1", 1000), grant("g2", 1000, expires=T0 + 5 * NS), grant("g3", 1, expires=T0 + NS))

    assert books.state.earliest_expiry_t(1, T0) == T0 + NS
    assert books.state.earliest_expiry_t(1, T0 + NS) == T0 + 5 * NS
    assert books.state.earliest_expiry_t(1, T0 + 5 * NS) is None


# ---- a period, both ways of earning ---------------------------------------------------------------------------------


def test_entitlement_revenue_is_the_fee_and_the_overage():
    """Included credits carry no revenue; over the month: fee + (2100 − 2000) × $0.40."""
    start = NOVEMBER.start_t
    books = Ledger(sellbook(t=start), customer(plan="pro", t=start))

    for number in range(21):
        x, t = f"x{number}", start + number * DAY
        books.apply(held(x, 100 * CREDIT, plan="pro", t=t), settled(x, 100 * CREDIT, line(), t=t))
    books.apply(records.tick(t=NOVEMBER.end_t))

    assert books.balance("rev.subscription") == -599 * USD
    assert books.balance("rev.usage") == -100 * 400_000_000
    assert books.balance("rev.credits") == 0


def test_prepaid_revenue_is_what_burns_and_what_is_left_at_the_end():
    """Σ burn × basis + breakage = what was paid, exactly."""
    books = ledger("prepaid", grant("g1", 7_000, paid=USD, expires=T0 + DAY))

    for number in range(3):
        x = f"x{number}"
        books.apply(held(x, 1000, plan="prepaid"), settled(x, 1000, line()))
    assert books.balance("rev.credits") == -sum((142_857_143, 142_857_143, 142_857_143))
    books.apply(records.tick(t=T0 + DAY))

    assert books.balance("rev.credits") + books.balance("rev.breakage") == -USD
    assert books.balance("deferred.credits") == 0


# ---- many customers --------------------------------------------------------------------------------------------------


def test_a_tick_books_a_bounded_number_of_fees_those_furthest_behind_first(monkeypatch):
    """Five customers, two a tick: three ticks reach all, and nobody's fee is lost or booked twice."""
    monkeypatch.setattr(fold, "ACCRUED_MAX", 2)
    books = Ledger(sellbook(t=T0), *(customer(number, "starter", t=T0) for number in range(1, 6)))

    until = []
    for second in (1, 2, 3):
        books.apply(records.tick(t=T0 + second * NS))
        until.append([books.state.customers[number].accrued_to_t - T0 for number in range(1, 6)])

    assert until == [
        [1 * NS, 1 * NS, 0, 0, 0],
        [1 * NS, 1 * NS, 2 * NS, 2 * NS, 0],
        [3 * NS, 1 * NS, 2 * NS, 2 * NS, 3 * NS],
    ]
    books.apply(sellbook(t=T0 + 4 * NS, version="s2"))
    fees = {-books.balance("rev.subscription", of=number) for number in range(1, 6)}
    assert fees == {round(199 * USD * 4 / (30 * 86_400))}


def test_a_month_that_ends_is_booked_for_everybody_at_once(monkeypatch):
    """Included credits are never late, however many customers there are."""
    monkeypatch.setattr(fold, "ACCRUED_MAX", 2)
    books = Ledger(sellbook(t=T0), *(customer(number, "starter", t=T0) for number in range(1, 6)))

    books.apply(records.tick(t=at("2026-12-01T00:00:01")))

    assert not any(books.state.is_grant_due(number, at("2026-12-01T00:00:01")) for number in range(1, 6))
