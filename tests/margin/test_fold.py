"""The fold, record by record: what each posts, what it refuses, and what it leaves in memory."""

import pytest

from margin import records
from margin.ledger.postings import USD as USD_COMMODITY
from margin.ledger.postings import Txn
from tests.margin.bookkeeping import (
    CREDIT,
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
    ledger,
    line,
    mark,
    repeated,
    sellbook,
    settled,
    void,
)

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
    assert books.balance("credits.balance") == 7000 + 3000
    assert [txn.kind for txn in books.effects.txns] == ["grant"]  # nothing is posted before it closes
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
    assert not any(account.startswith("ap.") for txn in books.effects.txns for _, account, *_ in txn.legs)
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


@pytest.mark.parametrize(
    ("outcome", "kinds", "counted"),
    [
        ("ok", ["estimated"], 1),
        ("ok", ["failed", "estimated"], 1),
        ("ok", ["estimated", "model"], 0),
        ("ok", ["model"], 0),
        ("cut", ["estimated"], 0),
        ("client_gone", ["estimated"], 0),
    ],
)
def test_whole_answers_without_usage_to_book_are_counted(outcome, kinds, counted):
    """What was not reported, or contradicted itself, is an estimate; who broke off had promised nothing."""
    attempts = [line(n=n, kind=kind) for n, kind in enumerate(kinds, start=1)]

    books = ledger("open", held("x1", 1000), settled("x1", 0, *attempts, outcome=outcome))

    assert books.rollup("usage_unusable") == counted


def test_an_answer_from_memory_is_charged_and_cost_nothing():
    """Its revenue is margin, who served is the cache, and the saving is the call that was spared, then routing."""
    books = ledger("prepaid", grant("g1", 1000 * CREDIT, paid=150 * USD))

    books.apply(repeated("x1", 5 * CREDIT, spared=300, baseline=1_000, plan="prepaid"))

    assert books.credits() == {"available": 995_000, "held": 0, "spent": 5_000, "expired": 0, "overdraft": 0}
    assert books.balance("rev.credits") == -150 * USD * 5 // 1000
    assert (books.effects.charges[0][14], books.effects.charges[0][16], books.effects.charges[0][17]) == (0, 1_000, 300)
    (key,) = [key for key, row in books.effects.rollup.items() if "requests" in row]
    assert (key.provider, key.model) == ("cache", "m1")
    assert (books.rollup("saving_cache_nusd"), books.rollup("saving_routing_nusd")) == (300, 700)
    assert books.effects.cost_lines == []


def test_an_answer_from_memory_is_booked_once():
    """A second one of the same exchange has no effect, and is listed."""
    again = repeated("x1", 1000, spared=3)

    books = ledger("open", again, again)

    assert len(books.effects.charges) == 1
    assert books.effects.refused == [("x1", "held twice")]


def test_what_an_answer_from_memory_spared_may_be_unknown():
    """Then so is its saving."""
    books = ledger("open", repeated("x1", 1000, spared=None, baseline=1_000))

    assert books.rollup("unpriced") == 1
    assert books.rollup("saving_cache_nusd") == 0


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
        (LIVE, records.key_changed(t=T0, id="k9", diff=[["tiers", None, ["simple"]]]), "no such live key"),
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
        Txn.balanced("k", "grant", T0, ((1, "cash", USD_COMMODITY, 1),))


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_begins_and_ends():
    """Its digest, scopes and both moments are kept."""
    key = records.key(t=T0, id="k1", digest="d", customer=1, scopes=["serve", "see-cost"])

    books = ledger("open", key, records.key_revoked(t=T0 + NS, id="k1"))

    found = books.state.keys["k1"]
    assert (found.digest, found.scopes, found.created_t, found.revoked_t) == ("d", ("serve", "see-cost"), T0, T0 + NS)
    assert books.apply(records.key_revoked(t=T0 + 2 * NS, id="k1")).refused == ["no such live key"]


def test_a_key_changes_by_differences():
    """What is not named stays; null takes a term away; scopes are changed the same way; a revoked key no longer is."""
    key = records.key(t=T0, id="k1", digest="d", customer=1, scopes=["serve"], terms={"expires_t": 5, "tiers": ["x"]})
    diff = [["expires_t", 5, None], ["models", None, ["m"]], ["scopes", ["serve"], ["admin"]], ["metadata", None, None]]

    books = ledger("open", key, records.key_changed(t=T0 + NS, id="k1", diff=diff))

    found = books.state.keys["k1"]
    assert (found.scopes, found.terms) == (("admin",), {"tiers": ["x"], "models": ["m"]})
    books.apply(records.key_revoked(t=T0, id="k1"))
    assert books.apply(records.key_changed(t=T0, id="k1", diff=diff)).refused == ["no such live key"]


def test_keys_are_imported_together():
    """One record, several keys, of one moment."""
    made = [
        records.key(t=T0, id=f"k{n}", digest=f"d{n}", customer=1, scopes=["serve"], terms={"tiers": ["x"]} if n else {})
        for n in range(2)
    ]

    books = ledger("open", records.keys_imported(t=T0, keys=made))

    assert [(key.id, key.digest, key.created_t, key.terms) for key in books.state.keys.values()] == [
        ("k0", "d0", T0, {}), ("k1", "d1", T0, {"tiers": ["x"]})
    ]  # fmt: skip
