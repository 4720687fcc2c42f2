"""Charges beyond a hold: taken from what there is, visible where there is nothing, covered by what comes next."""

from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin import records
from margin.ledger import questions
from margin.meter import Meter
from margin.usage import Usage
from tests.margin.bookkeeping import (
    CREDIT,
    PLANS,
    T0,
    USD,
    Ledger,
    Worker,
    called,
    customer,
    grant,
    held,
    line,
    open_books,
    sellbook,
    settled,
    sound,
    void,
)


def metered(x, milli, *, of=1, plan="prepaid"):
    """Put credits aside for a request that is charged by its usage."""
    return held(x, milli, of=of, plan=plan) | {"met": 1}


def books(plan, milli, *, paid=0):
    """A customer on a plan, with one grant."""
    return Ledger(sellbook(), customer(plan=plan), grant("g1", milli, paid=paid))


def test_an_excess_takes_the_customers_other_credits_first():
    """10 credits, 3 held, 5 charged: 5 are left, and nothing is overdrawn."""
    found = books("hard", 10 * CREDIT).apply(metered("x1", 3 * CREDIT), settled("x1", 5 * CREDIT, line()))

    assert found.refused == []
    assert found.credits() == {"available": 5_000, "held": 0, "spent": 5_000, "expired": 0, "overdraft": 0}
    assert found.rollup("excess_milli") == 2 * CREDIT


def test_what_no_grant_covers_is_owed_on_a_plan_that_serves_nothing_past_the_balance():
    """4 credits, all held, 9 charged: 5 are owed, and less than nothing is available."""
    found = books("hard", 4 * CREDIT).apply(metered("x1", 4 * CREDIT), settled("x1", 9 * CREDIT, line()))

    assert found.credits()["overdraft"] == -5 * CREDIT
    assert found.state.customers[1].owed_milli == 5 * CREDIT
    assert found.state.available_milli(1, T0) == -5 * CREDIT
    assert found.state.owing == {1}


def test_the_next_credits_cover_it_and_their_cash_is_revenue_then():
    """$10 for 10 credits of which 5 are owed: $5 is revenue at once, 5 credits are left."""
    found = books("hard", 4 * CREDIT).apply(metered("x1", 4 * CREDIT), settled("x1", 9 * CREDIT, line()))
    assert found.balance("rev.overdraft") == 0

    found.apply(grant("g2", 10 * CREDIT, paid=10 * USD))

    assert found.credits() == {"available": 5_000, "held": 0, "spent": 9_000, "expired": 0, "overdraft": 0}
    assert found.state.customers[1].owed_milli == 0
    assert found.balance("rev.overdraft") == -5 * USD
    assert found.left("g2") == (5_000, 0, 5 * USD)


def test_credits_that_come_back_cover_it_too():
    """Two requests of 4 are open; one is charged 7, the other nothing: 1 credit is left of 8."""
    found = books("hard", 8 * CREDIT).apply(metered("x1", 4 * CREDIT), metered("x2", 4 * CREDIT), called("x2"))
    found.apply(settled("x1", 7 * CREDIT, line()))
    assert found.state.customers[1].owed_milli == 3 * CREDIT

    found.apply(void("x2"))

    assert found.credits() == {"available": 1_000, "held": 0, "spent": 7_000, "expired": 0, "overdraft": 0}
    assert found.state.available_milli(1, T0) == 1_000


def test_a_plan_that_serves_past_the_balance_charges_it_in_dollars():
    """At the overage price, as any credit without a grant; nothing is owed in credits."""
    found = books("overage", 4 * CREDIT).apply(
        metered("x1", 4 * CREDIT, plan="overage"), settled("x1", 6 * CREDIT, line())
    )

    assert found.balance("rev.usage") == -2 * PLANS["overage"]["overage"]
    assert found.credits()["overdraft"] == -2 * CREDIT
    assert found.state.customers[1].owed_milli == 0


def test_a_fixed_price_is_never_exceeded():
    """Such a record is refused as before: it would be a bug of ours."""
    found = books("hard", 10 * CREDIT).apply(held("x1", 3 * CREDIT), settled("x1", 4 * CREDIT, line()))

    assert found.refused == ["charges 4000 of 3000 held"]


def test_included_credits_of_the_next_month_cover_what_is_owed():
    """They are given whole; what was owed is gone from them at once."""
    found = Ledger(sellbook(), customer(plan="starter"))
    found.apply(metered("x1", 500 * CREDIT, plan="starter"), settled("x1", 520 * CREDIT, line()))

    found.apply(records.tick(t=T0 + 30 * 86_400 * 10**9))

    assert found.state.customers[1].owed_milli == 0
    assert found.state.customers[1].included_period.startswith("2026-12\n")
    assert found.credits()["available"] == 480 * CREDIT


@pytest.mark.parametrize("plan", ["hard", "prepaid", "overage", "starter", "open"])
def test_books_with_overdrafts_are_sound_and_rebuild_alike(tmp_path, plan):
    """Whatever the plan: every verification passes, replays change nothing, a rebuild is the twin."""
    found = open_books(tmp_path / "data")
    worker = Worker(tmp_path / "data").write(
        metered("x1", 3 * CREDIT, plan=plan), called("x1"), settled("x1", 700 * CREDIT, line()),
        settled("x1", 700 * CREDIT, line()),
        metered("x2", 1, plan=plan), settled("x2", 1 * CREDIT, line(cost=5)),
    )  # fmt: skip
    for record in (sellbook(), customer(plan=plan), grant("g1", 8 * CREDIT, paid=USD)):
        found.record(record)
    found.fold_worker(worker.path)
    found.commit()
    found.record(grant("g2", 90 * CREDIT, paid=USD))
    found.commit()

    assert [each for each in sound(found) if "no effect" not in each] == []
    assert questions.refused_records(found.store.db) == 1
    assert questions.credit_balance(found.store.db, 1)["spent"] == 701 * CREDIT
    found.close()
    worker.close()


def reversal(found, x, milli):
    """Take a charge back, from what is stored beside it."""
    (burnt,) = (row[-1] for row in found.effects.charges if row[0] == x)
    row = ["prepaid", "medium", "simple", "acme-ai", "m1", "ok"]
    return records.reversed_charge(
        x=x, t=T0, customer=1, credits_milli=milli, burnt=orjson.loads(burnt), row=row, why="test"
    )


@pytest.mark.parametrize("covered", [False, True])
def test_a_reversed_charge_owes_nothing_any_more(covered):
    """The debt goes, or the credits that covered it come back, as a grant without cash."""
    found = books("hard", 4 * CREDIT).apply(metered("x1", 4 * CREDIT), settled("x1", 9 * CREDIT, line()))
    if covered:
        found.apply(grant("g2", 10 * CREDIT, paid=10 * USD))

    found.apply(reversal(found, "x1", 9 * CREDIT))

    left = 14 if covered else 4
    assert found.refused == []
    assert found.credits() == {"available": left * CREDIT, "held": 0, "spent": 0, "expired": 0, "overdraft": 0}
    assert found.state.available_milli(1, T0) == left * CREDIT
    assert sum(each.left_milli for each in found.state.live_grants(1)) == left * CREDIT


METER = Meter(Decimal(1), Decimal(4), cache_read=Decimal("0.1"), cache_write=Decimal("1.25"))
share = st.integers(0, 100)
requests = st.tuples(st.integers(1, 9_000), st.integers(1, 4_000), share, share, share, st.booleans())


@given(balance=st.integers(1, 60_000), made=st.lists(requests, max_size=25), seed=st.randoms(use_true_random=False))
def test_under_strict_holds_no_usage_within_the_ceiling_overspends(balance, made, seed):
    """Requests overlap and end in any order; what is admitted against the ceiling never exceeds what was granted."""
    found, wallet, under_way = books("hard", balance), balance, []

    for number, (ins, out, used, cached, written, is_ending) in enumerate(made):
        ceiling = METER.ceiling_milli(input_tokens_max=ins, output_tokens_max=out)
        if ceiling <= wallet:  # else it is refused
            wallet -= ceiling
            found.apply(metered(f"x{number}", ceiling))
            read, wrote = ins * used * cached // 10_000, ins * used * (100 - cached) * written // 1_000_000
            usage = Usage(input=ins * used // 100 - read - wrote, cache_read=read, cache_write_5m=wrote,
                          output=out * used // 100)  # fmt: skip
            under_way.append((f"x{number}", ceiling, METER.charge_milli(usage)))
        while under_way and (is_ending or number == len(made) - 1):
            x, held_milli, charge = under_way.pop(seed.randrange(len(under_way)))
            found.apply(settled(x, charge, line()))
            wallet += held_milli - charge
            if number < len(made) - 1:
                break
        assert found.credits()["overdraft"] == 0
        assert found.credits()["available"] == wallet >= 0

    assert found.refused == []
