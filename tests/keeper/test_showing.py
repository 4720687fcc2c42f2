"""What the page is told: the sums of the reports, by the month, and true sentences' figures where there is nothing."""

import time

import pytest

from proxy.keeper.showing import CHARGES_SHOWN
from tests.keeper.offices import Worker, office
from tests.keeper.test_commands import given, refusal, result
from tests.margin.bookkeeping import CREDIT, USD, held, line, settled, void

PLANS = """\
default: open
plans:
  open: {credits: {enforce: none}}
  aimed: {credits: {mode: prepaid, price: 0.05, enforce: hard}, target_margin: 0.6}
"""
NOTHING = {
    "requests": 0, "cost_nusd": 0, "revenue_nusd": 0, "margin_nusd": 0, "margin": None, "savings_nusd": 0,
    "model_cost_nusd": 0, "other_cost_nusd": 0, "model_margin": None,
}  # fmt: skip


@pytest.fixture
def found(tmp_path):
    """An open office with a plan that aims at a margin."""
    opened = office(tmp_path / "data", plans=PLANS)
    yield opened
    opened.close()


def charged(found, *, exchanges=1, cost=USD, baseline=3 * USD):
    """Charge acme, who paid ten dollars for a hundred credits, ten credits each; a call without a charge costs one."""
    result(found, "customers.create", customer="acme", plan="aimed")
    given(found, paid=10 * USD)
    worker, now = Worker(found, "worker-1"), time.time_ns()
    for number in range(exchanges):
        x = f"x{number}"
        worker.paper.write(
            held(x, 10 * CREDIT, plan="aimed", t=now),
            settled(x, 10 * CREDIT, line(cost, call_id=x), baseline=baseline, t=now),
        )
    worker.paper.write(held("lost", CREDIT, plan="aimed", t=now), void("lost", line(1, kind="failed"), t=now))
    worker.die()


def test_of_nothing_nothing_is_made_up(found):
    """No request, no revenue, no target: null, not zero, and no division by it."""
    said = result(found, "page.figures")

    assert said["today"] == said["to_date"] == NOTHING
    assert (said["target"], said["tiers"], said["customers"]) == (None, [], [])
    assert said["waterfall"] == [
        {"step": step, "nusd": 0}
        for step in (
            "baseline",
            "prompt_optimisation",
            "response_cache",
            "routing",
            "prompt_cache",
            "overhead",
            "other",
            "bill",
        )
    ]
    assert result(found, "page.charges") == []


def test_figures_are_those_of_the_reports(found):
    """The month's margins, tiers that add up to the cost, and a waterfall from the baseline to it."""
    charged(found, exchanges=2)

    said, report = result(found, "page.figures"), result(found, "report.margin")

    assert said["today"] == said["to_date"]
    assert said["to_date"].items() <= report["total"].items()
    assert said["to_date"]["cost_nusd"] == 2 * USD + 1
    (acme,) = said["customers"]
    row = report["customers"][0]
    assert {name: acme[name] for name in ("customer", *said["to_date"])}.items() <= row.items()
    assert (acme["plan"], acme["credits"]["available"], acme["target"]) == ("aimed", 80, 0.6)
    assert said["tiers"] == [{"tier": "medium", "requests": 2, "cost_nusd": 2 * USD + 1}]
    assert {each["step"]: each["nusd"] for each in said["waterfall"]} == {
        "baseline": 2 * 3 * USD, "prompt_optimisation": 0, "response_cache": 0,
        "routing": -2 * (3 * USD - USD), "prompt_cache": 0,
        "overhead": 0, "other": 1, "bill": 2 * USD + 1,
    }  # fmt: skip


def test_a_target_is_met_in_dollars(found):
    """20 credits at 10 cents are two dollars, of which 60 % were aimed at; the calls cost two."""
    charged(found, exchanges=2)

    assert result(found, "page.figures")["target"] == {
        "customers": 1, "aimed_nusd": 2 * USD * 6 // 10, "margin_nusd": -1, "revenue_nusd": 2 * USD,
        "target": 0.6, "margin": 0.0,
    }  # fmt: skip


def test_charges_come_the_newest_first_and_not_too_many(found):
    """As many as a person reads, of all customers or of one; one that was taken back says so."""
    charged(found, exchanges=CHARGES_SHOWN + 1, cost=1)  # more than the hundred credits: the rest is owed
    result(found, "ledger.reverse", id="x20", why="a test")

    said = result(found, "page.charges")

    assert [each["id"] for each in said] == [f"x{number}" for number in range(CHARGES_SHOWN, 0, -1)]
    assert [each["is_reversed"] for each in said] == [True] + [False] * (CHARGES_SHOWN - 1)
    assert (said[0]["customer"], said[0]["charge_tier"], said[0]["credits"], said[0]["why"]) == (
        "acme",
        "medium",
        10,
        [],
    )
    one = result(found, "page.customer", customer="acme")
    assert one["charges"] == said
    assert one["today"]["requests"] == one["requests"] == CHARGES_SHOWN + 1
    given(found, customer="idle")
    idle = result(found, "page.customer", customer="idle")
    assert (idle["charges"], idle["today"]) == ([], NOTHING)


def test_an_unknown_customer_is_refused(found):
    """And not opened."""
    assert refusal(found, "page.customer", customer="nobody") == 'there is no customer "nobody"'
