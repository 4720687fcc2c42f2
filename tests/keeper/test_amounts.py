"""I13: whatever amount is stored follows from the usage, cards and terms that are stored beside it."""

from decimal import Decimal
from fractions import Fraction

import orjson
import pytest

from margin import card, meter
from margin.card import Card
from margin.ledger import amounts
from margin.ledger.rounding import NUSD, Rounding
from margin.usage import Usage
from tests.keeper.offices import Worker, office
from tests.keeper.test_commands import given, result
from tests.keeper.test_rerating import attempt, price_file, rerated
from tests.margin.bookkeeping import CREDIT, called, held, mark, repeated, settled

PLANS = """\
default: open
plans:
  open: {credits: {enforce: none}}
  overage: {credits: {enforce: soft, overage: 0.4}}
  metered: {credits: {enforce: soft, overage: 0.4, metered: {input: 0.0013, output: 0.0071}}}
"""
USAGE = {"input": 1_000_000, "output": 100_000}


def decision(**more):
    """Return a decision record as a worker writes it, as far as it matters here."""
    return {"requested": "auto", "cache": "bypass", "usage_source": "reported"} | more


@pytest.fixture
def booked(tmp_path):
    """Charges of each kind: by schedule, metered, without a grant, broken off, of a named model, after a crash."""
    found = office(tmp_path / "data", plans=PLANS)
    given(found, milli=5 * CREDIT)
    plans = found.settings.sellbook.plans
    meter = plans["metered"].credits.metered
    charge = meter.charge_milli(Usage.from_dict(USAGE))
    line = attempt(found)
    worker = Worker(found, "worker-1")

    def exchange(x, plan, milli, outcome="ok", **more):
        worker.paper.write(
            held(x, milli, plan=plan) | {"pv": plans[plan].version, "tier": "medium"}, called(x),
            settled(x, milli, line, baseline=line["cost"] + 5, outcome=outcome) | {"dec": decision(**more)},
        )  # fmt: skip

    exchange("scheduled", "open", 3 * CREDIT)
    exchange("uncovered", "overage", 3 * CREDIT)
    exchange("metered", "metered", charge, metered=meter.terms())
    exchange("named", "open", 7, requested="gpt-6-luna")
    exchange("broken", "open", 0, outcome="cut")
    exchange("estimated", "metered", 11, metered=meter.terms(), usage_source="estimated")
    plan = plans["open"].version
    worker.paper.write(
        repeated("again", 1500, spared=9, baseline=9, requested="auto", cached_share="0.5")
        | {"pv": plan, "tier": "medium"}
    )  # fmt: skip
    worker.paper.write(held("crashed", 3 * CREDIT), called("crashed"), mark("crashed", cost=17))
    found.fold_all()
    worker.die()
    found.recover({worker.name})
    yield found
    found.books.journal.close()
    found.books.store.close()
    found.directory.close()


def said(found):
    """Return which amounts do not follow."""
    return list(amounts.violations(found.books.store.db, Rounding()))


def test_what_was_booked_follows(booked, tmp_path):
    """Also after it was re-rated, and the audit asks for it."""
    before = said(booked)
    rerated(booked, price_file(tmp_path, 100), apply=True)

    assert (before, said(booked)) == ([], [])
    assert result(booked, "ledger.verify")["violations"] == []


TAMPERED = {
    "UPDATE cost_lines SET cost_nusd = cost_nusd + 1 WHERE x = 'scheduled'": [
        "call 1 of scheduled costs", "cost in nUSD of scheduled"],
    "UPDATE corrections SET cost_nusd = cost_nusd + 1 WHERE x = 'named'": ["correction 1 of call 1 of named costs"],
    "UPDATE charges SET saving_nusd = saving_nusd + 1 WHERE x = 'named'": ["saving in nUSD of named"],
    "UPDATE charges SET revenue_nusd = revenue_nusd + 1 WHERE x = 'uncovered'": ["revenue in nUSD of uncovered"],
    "UPDATE charges SET credits_milli = credits_milli + 1 WHERE x = 'scheduled'": [
        "credits burnt of scheduled", "credits in thousandths of scheduled: 3001 is stored, and 3000 follows"],
    "UPDATE charges SET credits_milli = credits_milli + 1 WHERE x = 'metered'": [
        "credits burnt of metered", "credits in thousandths of metered"],
    "UPDATE charges SET charge_tier = 'complex' WHERE x = 'scheduled'": ["credits in thousandths of scheduled"],
    "UPDATE charges SET credits_milli = credits_milli + 1 WHERE x = 'again'": [
        "credits burnt of again", "credits in thousandths of again: 1501 is stored, and 1500 follows"],
    "UPDATE charges SET cost_nusd = 1 WHERE x = 'again'": ["cost in nUSD of again", "saving in nUSD of again"],
}  # fmt: skip


@pytest.mark.parametrize(("statement", "named"), TAMPERED.items(), ids=[names[0] for names in TAMPERED.values()])
def test_an_amount_that_does_not_follow_is_named(booked, tmp_path, statement, named):
    """With what is stored and what follows."""
    rerated(booked, price_file(tmp_path, 100), apply=True)

    booked.books.store.db.execute(statement)

    found = said(booked)
    assert all(any(name in each for each in found) for name in named), found
    assert len(found) == len(named)


def test_the_price_of_credits_without_a_grant_is_part_of_it(booked):
    """Rounded once, by the price that is stored with the part."""
    db = booked.books.store.db
    (burnt,) = db.execute("SELECT burnt FROM charges WHERE x = 'uncovered'").fetchone()
    parts = orjson.loads(burnt)
    parts[-1][3] += 1_000_000
    db.execute("UPDATE charges SET burnt = ? WHERE x = 'uncovered'", (orjson.dumps(parts).decode(),))

    (only,) = said(booked)
    assert "usage charged in nUSD of uncovered" in only


@pytest.mark.parametrize(("module", "said_of"), [(card, "nUSD"), (meter, "credits in thousandths")])
def test_a_rounding_that_is_wrong_on_both_sides_is_found(booked, tmp_path, monkeypatch, module, said_of):
    """Booked and computed again by the same wrong arithmetic I13 sees nothing; the exact amount says otherwise."""
    rounded = module.round_half_even
    monkeypatch.setattr(module, "round_half_even", lambda numerator, denominator: rounded(numerator, denominator) + 1)
    booked.books.store.db.execute("UPDATE charges SET credits_milli = credits_milli + 1 WHERE x = 'metered'")
    rerated(booked, price_file(tmp_path, 100), apply=True)

    assert any(each.startswith("I18: ") and said_of in each for each in said(booked))


def test_roundings_that_all_go_one_way_are_found():
    """Four lines may be off by half a nano-dollar each: by two in sum, and here by two and a quarter."""
    rounding = Rounding()

    within = [rounding.add(NUSD, "card_1", residue) for residue in ((2, 4), (2, 4), (2, 4), (3, 4))]

    assert within == [True, True, True, False]
    assert list(rounding.violations()) == ["I18: rounding of 4 lines by card_1 adds up to 2 nUSD"]
    assert (rounding.lines, rounding.residue_nusd) == (4, 2)


def test_a_residue_is_what_was_booked_less_what_is_exact():
    """A token at 0.0005 dollars a million is half a nano-dollar, and rounded to even none."""
    price = Card({"input": Decimal("0.0005")})
    usage = Usage(input=1)

    off, scale = price.residue(usage, price.cost_nusd(usage))

    assert price.cost_nusd(usage) == 0
    assert Fraction(off, scale) == Fraction(-1, 2)
