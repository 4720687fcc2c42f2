"""The month that is played: the same for a seed, sound books, and metrics that say what the books do."""

import re
import subprocess
from datetime import UTC, datetime

import pytest

from benchmarks.business import HOUR_NS, NS, TOURIST_DAYS, Month
from margin.ledger import portfolio, questions, verify
from margin.ledger.books import Books
from margin.ledger.store import connect
from tests.grafana.programs import program

BEGINS_T = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * NS
SEED = 7


def played(folder, days):
    """Play the month's first days."""
    month = Month(folder, SEED, BEGINS_T)
    month.play(days)
    month.write()
    return month


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    """Return two days of it."""
    return played(tmp_path_factory.mktemp("business") / "month", 2)


def last(month, name):
    """Return the sum of a metric's last samples."""
    t = f" {(BEGINS_T + 48 * HOUR_NS) // NS}"
    lines = (line for lines in month.samples.values() for line in lines if line.endswith(t))
    return sum(float(line.split()[-2]) for line in lines if re.match(rf"{name}\{{", line))


def test_counters_are_the_ledger(month):
    """Requests, cost, revenue and savings of the last scrape are what the books say, to a millionth of a cent."""
    db = connect(month.folder / "data" / "ledger.sqlite", read_only=True)

    total = questions.total(questions.margin_by_customer(db))

    assert total.requests > 1_000
    assert last(month, "penstock_requests_total") == total.requests
    for said, nusd in (
        (last(month, "penstock_cogs_usd_total"), total.cost_nusd),
        (last(month, "penstock_revenue_recognized_usd_total"), total.revenue_nusd),
        (last(month, "penstock_savings_usd_total") - last(month, "penstock_savings_negative_usd_total"),
         total.savings_nusd),
        (last(month, "penstock_segment_cost_usd"), total.cost_nusd),
        (last(month, "penstock_segment_revenue_usd"), total.revenue_nusd),
    ):  # fmt: skip
        assert said == pytest.approx(nusd / 1e9, abs=1e-8)
    assert last(month, "penstock_customer_margin_bucket") == len(questions.margin_by_customer(db))
    db.close()


def test_the_books_are_sound(month):
    """As any books are, read again from their file."""
    books = Books(month.folder / "data", version="test")

    assert verify.violations(books.store.db, books.state) == []
    assert questions.refused_records(books.store.db) == 0
    books.close()


def test_the_same_seed_plays_the_same_month(month, tmp_path):
    """Line for line."""
    again = played(tmp_path / "again", 2)

    assert (again.folder / "metrics.om").read_bytes() == (month.folder / "metrics.om").read_bytes()


def test_prometheus_takes_it(month, tmp_path):
    """Its own tool makes blocks of it, with every hour of a counter."""
    tool = program("promtool", "prometheus")
    made = [tool, "tsdb", "create-blocks-from", "openmetrics", str(month.folder / "metrics.om"), str(tmp_path)]
    subprocess.run(made, check=True, capture_output=True, timeout=60)

    (tmp_path / "wal").mkdir()  # what is dumped must have one
    dumped = subprocess.run([tool, "tsdb", "dump", '--match={__name__="penstock_workers"}', str(tmp_path)],
                            check=True, capture_output=True, text=True, timeout=60).stdout  # fmt: skip
    assert len(dumped.splitlines()) == 48


@pytest.mark.full
def test_the_month_tells_a_story(tmp_path):
    """A power user that loses money, a tourist, an outage whose calls failed, and prices that fall by half."""
    month = played(tmp_path / "month", 30)
    db = connect(month.folder / "data" / "ledger.sqlite", read_only=True)

    loser = questions.margin_by_customer(db)[0]
    tourist = next(each for each in portfolio.activity(db) if each.customer == 2)
    days = {each.name: each.sums for each in portfolio.margin_by(db, "day")}

    assert (loser.customer, loser.margin_nusd < 0) == (1, True)
    assert tourist.days == len(TOURIST_DAYS)
    assert days["2026-11-21"].requests < 0.95 * days["2026-11-23"].requests
    before, after = days["2026-11-12"], days["2026-11-19"]
    assert after.cost_nusd / after.requests < 0.7 * before.cost_nusd / before.requests
    db.close()
