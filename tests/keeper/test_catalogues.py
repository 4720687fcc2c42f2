"""The catalogues in configs/catalogues as the keeper bills them: months of events, and the statements they make."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from margin import meter as margin_meter
from margin.usage import Usage
from proxy.cli import charges
from tests.keeper.month import CENT, Shop
from tests.margin.bookkeeping import USD, at

MONTHS = [f"2026-{number}" for number in (11, 12)] + [f"2027-{number:02}" for number in range(1, 13)]
CATALOGUES = Path(__file__).parents[2] / "configs" / "catalogues"
HYBRID = (CATALOGUES / "hybrid.yaml").read_text("utf-8")
SUPPORT_AGENT = (CATALOGUES / "support-agent.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("plan", "fee", "price", "beyond"), [("starter", 199_00, 1_29, 200), ("pro", 599_00, 89, 1_000)]
)
def test_the_support_agents_invoices(tmp_path: Path, monkeypatch, plan, fee, price, beyond) -> None:
    """Row 26: 150, 250 and 1,400 resolutions in November, December and January; the fee, and what is beyond."""
    shop = Shop(tmp_path, monkeypatch, SUPPORT_AGENT)
    shop.open(plan)
    shop.resolve(plan, 150)
    shop.at("2026-12-01")
    shop.resolve(plan, 250)
    shop.at("2027-01-01")
    shop.resolve(plan, 1_400)
    shop.at("2027-02-01")

    months = {"2026-11": 150, "2026-12": 250, "2027-01": 1_400}
    bills = {number: shop.bill(plan, month) for month, number in months.items()}
    assert bills == {number: fee + max(number - beyond, 0) * price for number in (150, 250, 1_400)}
    shop.close()


def test_a_year_at_once_is_cheaper(tmp_path: Path, monkeypatch) -> None:
    """Row 26: the fee of starter at 85 %, that of pro at 80 %; what is beyond costs the same: 50 more than 200."""
    shop = Shop(tmp_path, monkeypatch, SUPPORT_AGENT)
    shop.open("starter-annual", "pro-annual")
    shop.resolve("starter-annual", 250)
    shop.resolve("pro-annual", 250)
    shop.at("2026-12-01")

    assert shop.bill("starter-annual") == 199_00 * 85 // 100 + 50 * 1_29
    assert shop.bill("pro-annual") == 599_00 * 80 // 100
    shop.close()


def test_the_enterprise_price_falls_within_its_month(tmp_path: Path, monkeypatch) -> None:
    """Row 26: no fee; 1,400 resolutions are 1,000 at $0.69 and 400 at $0.59."""
    shop = Shop(tmp_path, monkeypatch, SUPPORT_AGENT)
    shop.open("enterprise")

    for more, cents in ((150, 150 * 69), (100, 250 * 69), (1_150, 1_000 * 69 + 400 * 59)):
        shop.resolve("enterprise", more)
        assert shop.bill("enterprise") == cents
    shop.close()


@pytest.fixture
def hybrid(tmp_path: Path, monkeypatch) -> Iterator[Shop]:
    """A shop with a customer on each hybrid plan; its books are sound at the end."""
    shop = Shop(tmp_path, monkeypatch, HYBRID)
    shop.open("consumption", "credits", "outcomes", "seats")
    yield shop
    shop.close()


def test_a_fee_is_due_without_an_outcome(hybrid: Shop) -> None:
    """Row 19: $499 for a month in which nothing was resolved, failures and hand-offs among it; $0.99 more for one."""
    hybrid.resolve("outcomes", 3, "failed")
    hybrid.resolve("outcomes", 2, "handed_off")
    hybrid.at("2026-12-01")
    hybrid.resolve("outcomes", 1)
    hybrid.at("2027-01-01")

    assert hybrid.bill("outcomes", "2026-11") == 499_00
    assert hybrid.bill("outcomes", "2026-12") == 499_00 + 99


def test_a_reversal_in_a_later_month_stays_out_of_the_earlier_statement(hybrid: Shop) -> None:
    """1.3h: November's statement names its resolution for good; December's has what was given back."""
    task = hybrid.ask("tasks.open", customer=hybrid.office.number("outcomes"), type="ticket")["id"]
    told = {"customer": hybrid.office.number("outcomes"), "task": task, "at_t": None}
    hybrid.ask("outcomes.tell", outcome="confirmed", **told)
    hybrid.at("2026-12-01")
    before = hybrid.ask("report.statement", customer="outcomes", month="2026-11")
    hybrid.ask("outcomes.tell", outcome="reversed", **told)

    assert hybrid.ask("report.statement", customer="outcomes", month="2026-11") == before
    assert before["lines"][1] == {
        "plan": "outcomes", "what": "outcome.resolution", "quantity": 1.0, "nusd": 99 * CENT, "price": "0.99", "per": 1,
    }  # fmt: skip
    assert hybrid.ask("report.statement", customer="outcomes", month="2026-12")["lines"][-1] == {
        "plan": "outcomes", "what": "adjustments", "nusd": -99 * CENT,
    }  # fmt: skip


@pytest.mark.parametrize(("actions", "credits_", "cents"), [(3, 60, 30), (6, 120, 60)])
def test_a_case_of_actions(hybrid: Shop, actions: int, credits_: int, cents: int) -> None:
    """Row 10: $500 buys 100,000 credits; a case of 3 actions is 60 of them and $0.30, a booking of 6 is 120, $0.60."""
    hybrid.open("actions")
    hybrid.ask("credits.grant", customer="actions", credits_milli=100_000_000, paid_nusd=500_00 * CENT, expires_s=None,
               priority=50)  # fmt: skip
    meter = hybrid.office.settings.sellbook.plan("actions").credits.metered
    number = hybrid.office.number("actions")
    case = hybrid.ask("tasks.open", customer=number, type="case")["id"]

    for _ in range(actions):
        hybrid.use("actions", milli=meter.charge_milli(Usage(input=9_000, output=1_000)), task=case, input=9_000)

    assert hybrid.ask("credits.balance", customer="actions")["spent"] == credits_
    assert hybrid.bill("actions") == cents
    assert hybrid.ask("tasks.get", customer=number, task=case)["calls"] == actions


def test_an_action_covers_so_many_tokens(hybrid: Shop) -> None:
    """Row 10, the unit cap: 10,000 tokens are one action, one more is a second; holds likewise."""
    meter = hybrid.office.settings.sellbook.plan("actions").credits.metered

    charged = {tokens: meter.charge_milli(Usage(input=tokens - 1, reasoning=1)) for tokens in (1, 10_000, 10_001)}

    assert charged == {1: 20_000, 10_000: 20_000, 10_001: 40_000}
    assert meter.ceiling_milli(input_tokens_max=10_000, output_tokens_max=10_001) == 60_000
    assert margin_meter.read(meter.terms()) == meter


def test_a_commitment_is_used_up_within_a_request(hybrid: Shop) -> None:
    """Row 21: $6,000 a month of $50,000; the ninth request draws the last $2,000, $4,000 of it cost a quarter more."""
    hybrid.open("commitment")
    for month in MONTHS[:9]:
        hybrid.at(f"{month}-15")
        x = hybrid.use("commitment", input=150_000_000)

    *before, ninth = [hybrid.bill("commitment", month) for month in MONTHS[:9]]
    assert before == [6_000_00] * 8
    assert ninth == 2_000_00 + 4_000_00 * 125 // 100
    found = hybrid.ask("explain.charge", id=x)["rated"]
    assert [(each["meter"], each["quantity"], each["nusd"]) for each in found] == [
        ("beyond", 4_000 * USD, 1_000 * USD), ("commitment", 2_000 * USD, 0), ("tokens", 150_000_000, 6_000 * USD),
    ]  # fmt: skip
    assert [line for line in charges.in_words(hybrid.ask("explain.charge", id=x)) if "$" in line][2:] == [
        "tokens: 150,000,000 of them in 2027-07 come to $6,000.00 more",
        "  of the commitment: $2,000.00",
        "  beyond it: $4,000.00 at the plan's prices, charged $5,000.00",
    ]
    assert hybrid.balances("commitment") == {
        "receivable": (50_000 + 5_000) * USD, "deferred.commit": 0, "rev.metered": -(50_000 + 5_000) * USD,
    }  # fmt: skip

    hybrid.ask("ledger.reverse", id=x, why="test")
    assert hybrid.balances("commitment")["receivable"] == 50_000 * USD
    assert hybrid.balances("commitment")["deferred.commit"] == -2_000 * USD


def test_what_was_promised_and_not_used_is_due(hybrid: Shop) -> None:
    """A year of one request of $6,000: the other $44,000 when it ends, and the next year's promise begins there."""
    hybrid.open("commitment")
    hybrid.use("commitment", output=150_000_000)
    hybrid.at("2027-10-31")
    assert hybrid.balances("commitment")["rev.metered"] == -6_000 * USD
    hybrid.at("2027-11-01")

    assert hybrid.bill("commitment", "2027-10") == 44_000_00
    assert hybrid.balances("commitment") == {
        "receivable": 100_000 * USD, "deferred.commit": -50_000 * USD,
        "rev.metered": -6_000 * USD, "rev.shortfall": -44_000 * USD,
    }  # fmt: skip


def test_a_commitment_goes_along_to_another_plan(hybrid: Shop) -> None:
    """Who moves owes nothing twice: calls of the next plan draw it, at that plan's prices, without a multiple."""
    hybrid.open("commitment")
    hybrid.ask("customers.move", customer="commitment", plan="consumption")
    hybrid.at("2026-11-02")

    hybrid.ask("report.statement", customer="commitment", month="2026-11")

    assert hybrid.balances("commitment")["deferred.commit"] == -50_000 * USD
    state = hybrid.office.books.state
    assert state.customers[hybrid.office.number("commitment")].commit_end_t == at("2027-11-01")


def test_the_sums_of_a_fee_with_usage_on_top(hybrid: Shop) -> None:
    """Row 63: a month on each plan: no call, 1,300 credits, no outcome and 100, ten seats, $60,000 of tokens."""
    hybrid.open("commitment")
    hybrid.ask("customers.seats", customer="seats", seats=10)
    for _ in range(130):
        hybrid.use("credits", milli=10_000)
        hybrid.use("seats", milli=10_000)
    hybrid.use("commitment", input=1_500_000_000)
    hybrid.at("2026-12-01")
    hybrid.resolve("outcomes", 100)
    hybrid.at("2027-01-01")

    assert hybrid.bill("consumption") == 99_00
    assert hybrid.bill("credits") == 199_00 + 300 * 15 == 244_00
    assert hybrid.bill("outcomes") == 499_00
    assert hybrid.bill("outcomes", "2026-12") == 499_00 + 100 * 99
    assert hybrid.bill("seats") == 10 * 30_00 + (1_300 - 10 * 100) * 15
    assert hybrid.bill("commitment") == 50_000_00 + 10_000_00 * 125 // 100


def test_the_margin_of_a_credit_by_task(tmp_path: Path, monkeypatch) -> None:
    """Row 64: at $0.05 a credit, 1, 3 and 10 of them; $0.005, $0.06 and $0.60 of cost are 90 %, 60 % and -20 %."""
    prepaid = (
        "default: sold\nplans: {sold: {credits: {mode: prepaid, price: 0.05, enforce: hard}, target_margin: 0.6}}\n"
    )
    shop = Shop(tmp_path, monkeypatch, prepaid)
    shop.open("sold")
    shop.ask("credits.grant", customer="sold", credits_milli=100_000, paid_nusd=5 * USD, expires_s=None, priority=50)
    for tier, milli, cost in (
        ("simple", 1_000, 5 * 10**6),
        ("medium", 3_000, 6 * CENT),
        ("complex", 10_000, 60 * CENT),
    ):
        shop.use("sold", milli=milli, cost=cost, tier=tier)
        shop.use("sold", milli=milli, cost=cost, tier=tier)

    rows = {row["tier"]: row for row in shop.ask("report.credits", since=None)["rows"]}

    assert {tier: row["margin"] for tier, row in rows.items()} == {"simple": 0.9, "medium": 0.6, "complex": -0.2}
    assert {tier: row["meets_target"] for tier, row in rows.items()} == {
        "simple": True, "medium": True, "complex": False,
    }  # fmt: skip
    assert rows["medium"]["cost_per_credit_nusd"] == 2 * CENT
    assert rows["complex"]["revenue_nusd"] == 20 * 5 * CENT
    shop.close()


def test_overheads_and_fees_stand_beside_the_books(tmp_path: Path, monkeypatch) -> None:
    """Half of November's $300 by requests, 2 : 1; 2.9 % and $0.30 of what one was charged; the books know nothing."""
    costs = "overheads: {support: {amount: 300, by: requests}}\npayment_fees: {percent: 2.9, fixed: 0.30}\n"
    shop = Shop(tmp_path, monkeypatch, HYBRID, more=costs)
    shop.open("consumption", "actions")
    shop.ask("credits.grant", customer="actions", credits_milli=10**8, paid_nusd=500 * USD, expires_s=None, priority=50)
    for customer, milli in (("actions", 20_000_000), ("actions", 0), ("consumption", 0)):
        shop.use(customer, milli=milli, cost=USD)
    shop.at("2026-11-16")
    shop.office.move_customer("consumption", "actions")  # its fee is no part of this

    found = shop.ask("report.margin", since="2026-11-01")

    rows = {row["customer"]: row for row in found["customers"]}
    actions, fee = rows["actions"], 100 * USD * 29 // 1_000 + 30 * CENT
    half = 300 * USD * (15 * 86_400 + 1) // (30 * 86_400)
    assert actions["overhead_nusd"] + rows["consumption"]["overhead_nusd"] == pytest.approx(half, abs=1)
    assert actions["overhead_nusd"] == pytest.approx(half * 2 // 3, abs=1)
    assert (actions["payment_fees_nusd"], actions["model_cost_nusd"]) == (fee, 2 * USD)
    assert actions["margin"] == actions["model_margin"] == 0.98
    assert actions["gross_margin_nusd"] == 100 * USD - 2 * USD - fee - actions["overhead_nusd"]
    total = found["total"]
    assert total["gross_margin_nusd"] == sum(row["gross_margin_nusd"] for row in found["customers"])
    assert total["overhead_of_nobody_nusd"] == 0
    shop.close()
