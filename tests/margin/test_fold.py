"""The fold, record by record: what each posts, what it refuses, and what it leaves in memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin import records
from margin.ledger.postings import USD as USD_COMMODITY
from margin.ledger.postings import Leg, Txn
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
    called,
    customer,
    grant,
    held,
    line,
    mark,
    sellbook,
    settled,
    void,
)


def ledger(plan="open", *more, t=T0):
    """Open a ledger with one customer."""
    return Ledger(sellbook(t=t), customer(plan=plan, t=t), *more)


# ---- holds and their ends --------------------------------------------------------------------------------------------


def test_a_grant_is_owed_to_the_customer():
    """Bought credits are available, and their cash is deferred until they burn."""
    books = ledger("prepaid", grant("g1", 1000 * CREDIT, paid=150 * USD))

    assert books.credits() == {"available": 1000 * CREDIT, "held": 0, "spent": 0, "expired": 0, "overdraft": 0}
    assert books.balance("credits.issued") == -1000 * CREDIT
    assert books.balance("cash") == 150 * USD
    assert books.balance("deferred.credits") == -150 * USD


def test_a_hold_moves_credits_aside():
    """What is held is neither available nor spent."""
    books = ledger("hard", grant("g1", 10 * CREDIT), held("x1", 3 * CREDIT, plan="hard"))

    assert books.credits() == {"available": 7000, "held": 3000, "spent": 0, "expired": 0, "overdraft": 0}
    assert books.state.holds["x1"].parts == (("g1", 3000),)


def test_a_settlement_spends_and_earns():
    """The charge is spent, its share of the cash becomes revenue, the attempt is owed to the provider."""
    books = ledger("prepaid", grant("g1", 1000 * CREDIT, paid=150 * USD), held("x1", 10 * CREDIT, plan="prepaid"))

    books.apply(settled("x1", 10 * CREDIT, line(2_000_000), baseline=5_000_000))

    assert books.credits() == {"available": 990_000, "held": 0, "spent": 10_000, "expired": 0, "overdraft": 0}
    assert books.balance("rev.credits") == -150 * USD * 10 // 1000
    assert books.balance("deferred.credits") == -150 * USD * 990 // 1000
    assert books.balance("cogs.model") == 2_000_000
    assert books.balance("ap.acme-ai", of=0) == -2_000_000
    assert books.state.holds == {}
    (charge,) = books.effects.charges
    assert charge[:3] == ("x1", T0, 1)
    assert charge[12:17] == (10_000, 1_500_000_000, 2_000_000, 5_000_000, 5_000_000 - 2_000_000)


def test_promotional_credits_earn_nothing():
    """A grant that nobody paid for burns without revenue."""
    books = ledger("hard", grant("g1", 10 * CREDIT), held("x1", 1000, plan="hard"), settled("x1", 1000, line()))

    assert books.balance("rev.credits") == 0
    assert books.rollup("revenue_credits_nusd") == 0


def test_what_was_held_too_much_returns_to_the_same_grants_last_taken_first():
    """A hold over three grants, settled for less: the last one taken from is made whole first."""
    opening = [grant("g1", 2000, priority=10), grant("g2", 3000, priority=20), grant("g3", 4000, priority=30)]
    books = ledger("hard", *opening, held("x1", 8000, plan="hard"))
    assert books.state.holds["x1"].parts == (("g1", 2000), ("g2", 3000), ("g3", 3000))

    books.apply(settled("x1", 4000))

    assert books.left("g3") == (4000, 0, 0)
    assert books.left("g2") == (1000, 0, 0)
    assert books.left("g1") == (0, 0, 0)
    assert books.credits() == {"available": 5000, "held": 0, "spent": 4000, "expired": 0, "overdraft": 0}


def test_a_void_returns_everything():
    """Nothing is charged, nothing is earned, nothing stays held."""
    books = ledger("prepaid", grant("g1", 5000, paid=USD), held("x1", 3000, plan="prepaid"), void("x1"))

    assert books.credits() == {"available": 5000, "held": 0, "spent": 0, "expired": 0, "overdraft": 0}
    assert books.left("g1") == (5000, 0, USD)
    assert books.effects.charges == []


def test_a_void_keeps_its_cost_lines():
    """An attempt that may have been billed is our cost, though nobody pays us."""
    books = ledger("hard", grant("g1", 5000), held("x1", 3000, plan="hard"))

    books.apply(void("x1", line(400, n=1, kind="failed", call_id=None), line(0, n=2, kind="failed", call_id=None)))

    assert books.balance("cogs.failed") == 400
    assert books.rollup("cost_failed_nusd") == 400
    assert books.rollup("requests") == 0
    assert len(books.effects.cost_lines) == 2


@pytest.mark.parametrize(
    ("plan", "nusd_per_credit"),
    [("overage", 400_000_000), ("prepaid", 50_000_000), ("hard", 0), ("open", 0)],
)
def test_credits_without_a_grant_are_charged_at_the_plans_price(plan, nusd_per_credit):
    """Overage first, else the prepaid price, else nothing; the credits stand in the overdraft."""
    books = ledger(plan, grant("g1", 2000), held("x1", 5000, plan=plan))

    books.apply(settled("x1", 5000, line()))

    assert books.credits() == {"available": 0, "held": 0, "spent": 5000, "expired": 0, "overdraft": -3000}
    assert books.balance("rev.usage") == -(nusd_per_credit * 3)
    assert books.balance("receivable") == nusd_per_credit * 3


def test_uncovered_credits_go_back_before_covered_ones():
    """A charge below its hold is first paid with granted credits: only what they cannot cover is overage."""
    books = ledger("overage", grant("g1", 2000), held("x1", 5000, plan="overage"), settled("x1", 3000))

    assert books.credits() == {"available": 0, "held": 0, "spent": 3000, "expired": 0, "overdraft": -1000}
    assert books.balance("rev.usage") == -400_000_000


def test_the_overage_price_is_frozen_at_the_hold():
    """A sell book that changes while a request runs does not change what it was promised."""
    dearer = PLANS | {"overage": PLANS["overage"] | {"overage": 900_000_000}}
    books = ledger("overage", held("x1", 1000, plan="overage"), sellbook(dearer, version="s2", t=T0 + NS))

    books.apply(settled("x1", 1000, t=T0 + 2 * NS))

    assert books.balance("rev.usage") == -400_000_000


def test_a_milli_credit_of_overage_is_rounded_once():
    """One thousandth of a price that has no thousandth rounds half-even."""
    odd = PLANS | {"overage": PLANS["overage"] | {"overage": 500}}
    books = Ledger(sellbook(odd), customer(plan="overage"))

    books.apply(held("x1", 1, plan="overage"), settled("x1", 1), held("x2", 3, plan="overage"), settled("x2", 3))

    assert books.balance("rev.usage") == -(0 + 2)  # 0.5 and 1.5


def test_an_unknown_cost_has_a_row_and_no_legs():
    """Unknown is never booked as zero: the line shows null and the request counts as unpriced."""
    books = ledger("open", held("x1", 1000), settled("x1", 1000, line(None), baseline=700))

    assert books.effects.cost_lines[0][-1] is None
    assert books.balance("cogs.model") == 0
    assert not any(leg.account.startswith("ap.") for txn in books.effects.txns for leg in txn.legs)
    assert books.effects.charges[0][14] is None
    assert books.rollup("unpriced") == 1
    assert books.rollup("baseline_nusd") == 0


def test_one_unknown_attempt_makes_the_sum_unknown():
    """The known attempt is booked; the charge does not pretend to know the whole."""
    books = ledger("open", held("x1", 0), settled("x1", 0, line(300, n=1, kind="failed"), line(None, n=2)))

    assert books.balance("cogs.failed") == 300
    assert books.effects.charges[0][14] is None


def test_every_attempt_is_a_cost_line_under_one_charge():
    """Fallbacks and estimates keep their own accounts and providers."""
    attempts = [
        line(100, n=1, kind="failed", provider="acme-ai"),
        line(200, n=2, kind="estimated", provider="bolt"),
        line(400, n=3, kind="model", provider="bolt"),
    ]

    books = ledger("open", held("x1", 1000), settled("x1", 1000, *attempts, baseline=500))

    assert [books.balance(f"cogs.{kind}") for kind in ("failed", "estimated", "model")] == [100, 200, 400]
    assert books.balance("ap.bolt", of=0) == -600
    assert len(books.effects.charges) == 1
    assert books.effects.charges[0][16] == 500 - 700
    assert books.rollup("saving_routing_nusd") == -200
    assert books.rollup("saving_negative_nusd") == 200


def test_tokens_are_rolled_up_by_day_and_tier():
    """The rollup's row is the day, the customer, the plan, both tiers, who served and how it ended."""
    books = ledger("open", held("x1", 1000), settled("x1", 1000, line(), t=at("2026-11-21T00:00:01")))

    (key,) = [key for key, row in books.effects.rollup.items() if "requests" in row]
    assert (key.day, key.customer, key.plan, key.charge_tier, key.served_tier) == (
        "2026-11-21", 1, "open", "medium", "simple",
    )  # fmt: skip
    assert (key.provider, key.model, key.outcome) == ("acme-ai", "m1", "ok")
    assert (books.rollup("input"), books.rollup("output")) == (100, 20)


def test_calls_and_marks_are_remembered_until_the_end():
    """What recovery needs is the last call and the last checkpoint; the end forgets both."""
    books = ledger("open", held("x1", 1000), called("x1", n=1), called("x1", n=2), mark("x1", output=5), mark("x1"))

    hold = books.state.holds["x1"]
    assert hold.call["n"] == 2
    assert hold.mark["out"] == 10
    books.apply(settled("x1", 1000))
    assert "x1" not in books.state.holds


# ---- what makes no sense ---------------------------------------------------------------------------------------------

LIVE = [grant("g1", 10_000, paid=USD), held("x1", 3000, plan="prepaid")]
DONE = [*LIVE, settled("x1", 3000, line())]


@pytest.mark.parametrize(
    ("before", "record", "why"),
    [
        (DONE, settled("x1", 3000, line()), "settled without a hold"),
        (DONE, void("x1", line()), "voided without a hold"),
        (DONE, called("x1"), "called without a hold"),
        (DONE, mark("x1"), "marked without a hold"),
        (DONE, held("x1", 3000), "held twice"),
        (LIVE, held("x1", 3000), "held twice"),
        ([*LIVE, void("x1")], settled("x1", 3000, line()), "settled without a hold"),
        (LIVE, settled("x1", 3001), "charges 3001 of 3000 held"),
        (LIVE, settled("x1", -1), "charges -1 of 3000 held"),
        (LIVE, held("x2", -5), "held less than nothing"),
        (LIVE, held("x2", 5, of=9), "held for customer 9, who does not exist"),
        (LIVE, grant("g2", 5, to=9), "granted to customer 9, who does not exist"),
        (LIVE, grant("g1", 5), "granted twice"),
        (LIVE, grant("g2", 0, paid=USD), "a grant of nothing"),
        (LIVE, customer(1), "customer exists"),
        (LIVE, records.moved(t=T0, customer=9, plan="pro"), "moved, and does not exist"),
        (LIVE, records.key_revoked(t=T0, id="k9"), "no such live key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_that_makes_no_sense_changes_nothing(before, record, why):
    """It is listed with its reason, and neither books nor memory move."""
    books, untouched = ledger("prepaid", *before), ledger("prepaid", *before)

    books.apply(record)

    assert books.refused == [why]
    assert books.effects.txns == untouched.effects.txns
    assert books.effects.charges == untouched.effects.charges
    assert books.effects.cost_lines == untouched.effects.cost_lines
    assert books.effects.rollup == untouched.effects.rollup
    assert (books.state.holds, books.state.grants) == (untouched.state.holds, untouched.state.grants)


def test_a_kind_from_the_future_is_passed_over():
    """An older ledger reads a newer journal's extras."""
    books = ledger().apply({"k": "not yet invented", "t": T0})

    assert books.refused == []


def test_a_transaction_cannot_exist_unbalanced():
    """Legs that do not sum to zero are refused where they are made."""
    with pytest.raises(AssertionError, match="does not balance"):
        Txn("k", "grant", T0, (Leg(1, "cash", USD_COMMODITY, 1),))


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_begins_and_ends():
    """Its digest, scopes and both moments are kept."""
    key = records.key(t=T0, id="k1", digest="d", customer=1, scopes=["serve", "see-cost"])

    books = ledger("open", key, records.key_revoked(t=T0 + NS, id="k1"))

    found = books.state.keys["k1"]
    assert (found.digest, found.scopes, found.created_t, found.revoked_t) == ("d", ("serve", "see-cost"), T0, T0 + NS)
    assert books.apply(records.key_revoked(t=T0 + 2 * NS, id="k1")).refused == ["no such live key"]


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
def test_what_returns_to_an_ended_grant_expires_at_the_next_tick(settled_t):
    """Also when the record was written before the end and folded after the tick that ended the grant."""
    books = ledger("prepaid", grant("g1", 10_000, paid=10 * USD, expires=T0 + DAY), held("x1", 4000, plan="prepaid"))

    books.apply(records.tick(t=T0 + DAY), void("x1", t=settled_t), records.tick(t=T0 + DAY + 2 * NS))

    assert books.credits() == {"available": 0, "held": 0, "spent": 0, "expired": 10_000, "overdraft": 0}
    assert books.balance("rev.breakage") == -10 * USD
    assert books.state.grants == {}


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
