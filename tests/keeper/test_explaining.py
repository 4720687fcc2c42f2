"""One charge with everything that is booked about it, also after corrections and a reversal, in JSON and in words."""

import pytest

from proxy.cli import charges
from tests.keeper.offices import Worker
from tests.keeper.test_commands import given, result
from tests.keeper.test_rerating import MODEL, USAGE, attempt, price_file
from tests.margin.bookkeeping import CREDIT, USD, held, settled


@pytest.fixture
def charged(found):
    """Acme is charged three credits: one of a gift, two paid ones; the first call failed, the second answered."""
    given(found, paid=10 * USD)
    result(found, "credits.grant", customer="acme", credits_milli=CREDIT, paid_nusd=0, expires_s=None, priority=5)
    worker = Worker(found, "worker-1")
    line = attempt(found)
    failed = line | {"kind": "failed", "id": None, "u": None, "cost": 0, "st": 503}
    worker.paper.write(
        held("x1", 3 * CREDIT, plan="open"), settled("x1", 3 * CREDIT, failed, line | {"n": 2}, baseline=9 * USD)
    )
    worker.die()
    return found


def test_a_charge_shows_the_sums_behind_its_amounts(charged):
    """Tokens × rate by bucket, what was burnt of which grant in order, and a waterfall that ends at the cost."""
    said = result(charged, "explain.charge", id="x1")

    failed, answered = said["cost_lines"]
    assert failed["sum"] is None
    assert [(each["bucket"], each["tokens"]) for each in answered["sum"]] == list(USAGE.items())
    assert sum(int(each["nusd"]) for each in answered["sum"]) == answered["cost_nusd"] == attempt(charged)["cost"]
    assert [(part["credits"], part["revenue_nusd"], part["promotional"]) for part in said["burn"]] == [
        (1, 0, True), (2, 200_000_000, False),
    ]  # fmt: skip
    assert said["standing"] == {"cost_nusd": attempt(charged)["cost"], "credits": 3, "revenue_nusd": 200_000_000}
    steps = {each["step"]: each["nusd"] for each in said["waterfall"]}
    assert list(steps) == ["baseline", "routing", "actual"]
    assert steps["baseline"] + steps["routing"] == steps["actual"] == attempt(charged)["cost"]


def test_what_was_put_right_is_told_beside_what_was_booked(charged, tmp_path):
    """The booked amounts stay; what stands today is the last correction, and nothing of what was reversed."""
    result(charged, "ledger.rerate", since="2026-11-01", prices=price_file(tmp_path, 100), apply=True)
    result(charged, "ledger.reverse", id="x1", why="the answer was wrong")

    said = result(charged, "explain.charge", id="x1")

    assert (said["cost_nusd"], said["credits_milli"]) == (attempt(charged)["cost"], 3 * CREDIT)
    assert said["standing"] == {"cost_nusd": 1_100_000_000, "credits": 0, "revenue_nusd": 0}
    (correction,) = said["corrections"]
    assert [each["usd_per_million"] for each in correction["sum"]] == ["1", "1"]
    assert said["reversal"]["why"] == "the answer was wrong"


def test_it_is_told_in_words(charged, tmp_path):
    """Each amount stands with its sum; levers that do not exist are not named."""
    result(charged, "ledger.rerate", since="2026-11-01", prices=price_file(tmp_path, 100), apply=True)
    result(charged, "ledger.reverse", id="x1", why="the answer was wrong")

    told = "\n".join(charges.in_words(result(charged, "explain.charge", id="x1")))

    print(told)
    for expected in (
        "acme on open, key k1", "charged as medium, served as simple: ok", "no usage: the provider billed nothing",
        f"call 2: {MODEL} at openai, status 200: cost",
        "input            1,000,000 × $1 a million = 1,000,000,000 nano-dollars",
        "rounded once   1,100,000,000 nano-dollars", "re-rated (cost_", "→ $1.10 (model)",
        "charged 3 credits, earned $0.20", "(priority 5, promotional): $0.00", "(priority 50, paid): $0.20",
        "reversed, the answer was wrong: 3 credits back, −$0.20",
        "savings: baseline None $9.00 → routing −$7.90 → actual $1.10",
        "versions: plan v1",
    ):  # fmt: skip
        assert expected in told
