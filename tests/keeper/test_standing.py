"""How customers stand, as metrics show it: counts that add up, few names, and no series for each of many customers."""

import asyncio
import re
from collections import defaultdict

import pytest

from margin.ledger import questions, rollups
from margin.ledger.postings import ROLLUP_SUMS, RollupKey
from margin.ledger.questions import MarginRow
from margin.records import OUTCOMES
from proxy.keeper import standing
from proxy.keeper.standing import Standings
from proxy.telemetry.metrics import Books, Metrics
from proxy.telemetry.standing import CREDIT_BUCKETS, MARGIN_BUCKETS, Standing
from tests.keeper.test_reporting import Desk
from tests.margin.bookkeeping import USD

SERIES_MAX = 20_000
"""What a process may have, with however many customers."""


@pytest.fixture
def desk(tmp_path):
    """An office with nobody in it."""
    found = Desk(tmp_path)
    yield found
    found.office.close()


def stands(desk):
    """Return how customers stand, as the keeper learns it."""
    desk.office.tick()
    return standing.named(desk.office, standing.asked_of(desk.office.books.store.path))


@pytest.mark.parametrize(
    ("cost", "revenue", "bucket"),
    [
        (1, 0, "loss"), (101, 100, "loss"), (0, 0, "na"), (100, 100, "0_25"), (76, 100, "0_25"), (75, 100, "25_50"),
        (50, 100, "50_65"), (36, 100, "50_65"), (35, 100, "65_80"), (21, 100, "65_80"), (20, 100, "80p"),
        (0, 100, "80p"),
    ],
)  # fmt: skip
def test_buckets_of_margin_have_edges(cost, revenue, bucket):
    """From the edge on; no revenue is a loss where anything was spent, and else not applicable."""
    assert standing.bucket(MarginRow(1, 1, cost, revenue, 0, 0)) == bucket


def test_an_empty_ledger_stands_nowhere(desk):
    """Nothing is divided by nothing."""
    found = stands(desk)

    assert (found.margins, found.power_cost_ratio, found.top_revenue_ratio) == ({}, None, None)
    assert found.targets == {"agent": 0.5, "copilot": 0.7, "agents": 0.5}


def test_customers_are_counted_by_margin_and_few_are_named(desk, monkeypatch):
    """The month's cost and loss of those named are the ledger's; the others are counted; segments add up."""
    for number in range(1, 13):
        customer = desk.open(f"c{number}", "copilot")
        desk.serve(customer, number * USD // 10, plan="copilot", member=f"m{number}")
    desk.ask("customers.describe", customer="c1", segment="smb", persona=None)
    named = desk.office.settings.server
    object.__setattr__(desk.office.settings, "server", type(named)(**_fields(named) | {"metrics_customers": 2}))

    found, ledger = stands(desk), desk.report("margin")["total"]

    assert [(each.customer, each.cost_nusd) for each in found.costliest] == [("c12", 1.2 * USD), ("c11", 1.1 * USD)]
    assert [(each.customer, each.margin_nusd) for each in found.losing] == [("c12", -USD // 5), ("c11", -USD // 10)]
    assert found.not_named == 10
    assert dict(found.margins) == {
        ("copilot", "loss"): 2, ("copilot", "0_25"): 3, ("copilot", "25_50"): 2, ("copilot", "50_65"): 2,
        ("copilot", "65_80"): 1, ("copilot", "80p"): 2,
    }  # fmt: skip
    assert sum(revenue for revenue, _ in found.segments.values()) == ledger["revenue_nusd"]
    assert sum(cost for _, cost in found.segments.values()) == ledger["cost_nusd"]
    assert dict(found.members) == {"copilot": 12}
    assert found.top_revenue_ratio == pytest.approx(2 / 12)


def _fields(value):
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_by_default_nobody_is_named(desk):
    """The port asks for no key."""
    desk.serve(desk.open("acme"), USD)

    found = stands(desk)

    assert (found.costliest, found.losing, found.not_named) == ([], [], 1)


def test_credits_left_are_counted(desk):
    """Of what has not ended: half, a tenth, a hundredth, and nothing."""
    for name, left in (("half", 500), ("tenth", 100), ("little", 10), ("none", 0)):
        desk.open(name)
        desk.office.grant(name, 1_000_000, paid_nusd=0, expires_t=None, id_=name)
        desk.office.books.store.db.execute("UPDATE grants SET left_milli = ? WHERE id = ?", (left * 1000, name))

    assert dict(stands(desk).credits) == {"ok": 1, "lt20": 1, "lt5": 1, "0": 1}


def test_a_scrape_waits_for_nobody(desk):
    """It shows the last answer; a failing question is no failing scrape, and is asked again."""
    asked = [OSError("no"), ValueError("a damaged file"), standing.Asked(Standing(power_users=7))]
    asked.pop(0)

    def ask(_path):
        answer = asked.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scrape():
        found = Standings(desk.office, ask)
        first = found()
        await _until(lambda: found._asking is None)
        found._next_s = 0.0
        found()
        await _until(lambda: found._asking is None)
        return first.power_users, found().power_users

    assert asyncio.run(scrape()) == (0, 7)


async def _until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def test_no_label_grows_with_customers(desk):
    """Every label value there is, of 100,000 customers on 20 plans with 40 models, is within the bound."""
    db, customers = desk.office.books.store.db, 100_000
    keys = [
        RollupKey("2026-11-20", number, f"plan{number % 20}", ("simple", "medium", "complex", "embeddings")[number % 4],
                  "simple", f"provider{number % 12}", f"model{number % 40}", (*OUTCOMES, "")[number % 6])
        for number in range(customers)
    ]  # fmt: skip
    db.execute("BEGIN")
    rollups.write(db, {key: defaultdict(int, dict.fromkeys(ROLLUP_SUMS, 1)) for key in keys})
    db.execute("COMMIT")
    full = Standing(
        margins={(f"plan{plan}", bucket): 1 for plan in range(20) for bucket in MARGIN_BUCKETS},
        credits=dict.fromkeys(CREDIT_BUCKETS, 1), targets={f"plan{plan}": 0.5 for plan in range(20)},
        segments={f"s{number}": (1, 1) for number in range(21)}, members={f"plan{plan}": 1 for plan in range(20)},
        costliest=[standing.Named(f"c{number}", 1, 1) for number in range(50)],
        losing=[standing.Named(f"c{number}", 1, -1) for number in range(50)],
    )  # fmt: skip
    events = ("opened", "done", "idle", "abandoned", "call", "pending", "assumed", "confirmed", "failed", "reversed")

    books = Books(
        lambda labels, sums: questions.totals(db, labels, sums), lambda: {"granted": 0, "expired": 0}, dict,
        lambda: "requested", list, dict, task_totals=lambda: [(f"t{n}", e, 1, 1) for n in range(101) for e in events],
        standing=lambda: full,
    )  # fmt: skip

    text = Metrics(books).render().decode()

    series = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert 2_000 < len(series) < SERIES_MAX
    assert not re.search(r'\{[^}]*plan="[^}]*model="', text)
    assert {line.partition("{")[0] for line in series if 'customer="' in line} == {
        "penstock_top_customer_cost_usd", "penstock_top_customer_margin_usd",
    }  # fmt: skip
