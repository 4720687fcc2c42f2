"""Every query of the dashboards, asked of a real Prometheus that scrapes a real server."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.polling import until
from tests.e2e.server import Server, free_port
from tests.grafana.expressions import FOLDER, RULES, named, queries, rules
from tests.grafana.programs import program

VARIABLES = {"$__range": "1m", "$__rate_interval": "1m", "$plan": ".*", "28d": "1m"}
"""What Grafana puts in, for a dashboard that shows the last minute."""

TIERS = ("simple", "medium", "complex")
ROUNDS = 7
"""Of three requests each: 7 * 3 = 21 before a scrape, and as many after it."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    origin: str

    def is_ready(self) -> bool:
        """Tell whether it answers queries."""
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.origin}/-/ready", timeout=5).status_code == 200
        return False

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the series an expression has now; an expression that is none fails."""
        answer = httpx.get(f"{self.origin}/api/v1/query", params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        return answer["data"]["result"]

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules with their health."""
        groups = httpx.get(f"{self.origin}/api/v1/rules", timeout=10).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a sandbox as shipped; the plan of its customer earns."""
    program("prometheus", "prometheus")
    own = Server(tmp_path_factory.mktemp("scraped") / "data").start()
    yield own
    own.clear_away()


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Return a Prometheus with the shipped configuration, scraping faster, and the shipped rules."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    command = [
        program("prometheus", "prometheus"), f"--config.file={_faster(folder, server.metrics_port)}",
        f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    running = Prometheus(f"http://127.0.0.1:{port}")
    try:
        until(running.is_ready, "Prometheus ready")
        yield running
    finally:
        process.kill()
        process.wait(10)


def _faster(folder: Path, metrics_port: int) -> Path:
    found = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))
    found["global"] = {"scrape_interval": "500ms", "evaluation_interval": "1s"}
    rules_path = folder / "rules.yml"
    rules_path.write_text(RULES.read_text("utf-8").replace("interval: 1m", "interval: 1s"), "utf-8")
    found["rule_files"] = [str(rules_path)]
    found["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{metrics_port}"]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(found), "utf-8")
    return path


def _traffic(server: Server) -> None:
    for turn in range(ROUNDS):
        for tier in TIERS:
            said = server.chat(f"question {turn}", model=f"auto:{tier}")
            assert said.status_code == 200
    assert server.chat("nobody's", model="no-such-model").status_code == 404


@pytest.fixture(scope="module")
def scraped(server: Server, prometheus: Prometheus) -> Prometheus:
    """Return Prometheus after it saw every counter grow: traffic, a scrape of it, and traffic again."""
    _traffic(server)
    until(lambda: _value(prometheus, "sum(penstock_requests_total)") == ROUNDS * len(TIERS), "a scrape of the traffic")
    _traffic(server)
    until(lambda: _value(prometheus, "sum(penstock_requests_total)") == 2 * ROUNDS * len(TIERS), "a scrape of it all")
    return prometheus


def _value(prometheus: Prometheus, expression: str) -> float | None:
    found = prometheus.ask(expression)
    return float(found[0]["value"][1]) if found else None


def _filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


RARE = {
    "penstock_unpriced_requests_total", "penstock_costless_requests_total", "penstock_usage_unusable_total",
    "penstock_cogs_corrected_usd_total", "penstock_revenue_reversed_usd_total", "penstock_credits_reversed_total",
    "penstock_overdraft_credits_total", "penstock_unearned_cogs_usd_total", "penstock_config_reloads_total",
    "penstock_tasks_total", "penstock_outcomes_total", "penstock_task_calls_total", "penstock_task_cogs_usd_total",
    "penstock_reconcile_explained_ratio", "penstock_reconcile_difference_usd", "penstock_reconcile_differences",
    "penstock_reconcile_last_run_timestamp_seconds", "penstock_escalations_total", "penstock_hedges_total",
    "penstock_advice_total", "penstock_session_turns_total", "penstock_deployments_resting",
    "penstock_semantic_cache_total", "penstock_margin_guard", "penstock_margin_below_floor",
    "penstock_budget_remaining_usd", "penstock_top_customer_margin_usd", "penstock_ledger_audit_ok",
    "penstock_ledger_audit_violations", "penstock_ledger_audit_timestamp_seconds",
    "penstock_ledger_audit_duration_seconds", "penstock_active_members",
}  # fmt: skip
"""Series that a minute of plain traffic has no reason to make. Prometheus must take what they stand in all the same."""
NOT_CACHED = 'bucket="cache_read"', 'bucket=~"cache_.*"'
"""Nor does it read from a provider's cache."""


def _is_rare(expression: str) -> bool:
    return bool(named(expression) & RARE) or any(label in expression for label in NOT_CACHED)


@pytest.mark.parametrize(("title", "expression"), queries())
def test_every_query_has_an_answer(scraped, title, expression):
    """Each gives numbers and nothing that is none, and every metric it names was scraped; of a rare one it is taken."""
    ask = lambda: scraped.ask(_filled(expression))  # noqa: E731 - asked once, or until there is something
    found = ask() if _is_rare(expression) else until(ask, title)

    assert all(series["value"][1] not in {"NaN", "+Inf", "-Inf"} for series in found), found
    assert [name for name in named(expression) - RARE if not scraped.ask(name)] == []


def test_by_tier_means_all_three(scraped):
    """A query by tier has a series for each."""
    by_tier = [expression for title, expression in queries() if title.startswith("routing: Requests by tier")]

    found = [series["metric"]["tier"] for series in scraped.ask(_filled(by_tier[0]))]

    assert sorted(found) == sorted(TIERS)


def test_every_side_says_the_same(server, scraped):
    """Cost, revenue, savings and credits: in the report, in the page's figures, and as Prometheus has the counters."""
    report, figures = server.cli("report", "margin", "--json").json()["total"], _figures(server)
    page = figures["to_date"]

    found = {
        "cost_nusd": "sum(penstock_cogs_usd_total)",
        "revenue_nusd": "sum(penstock_revenue_recognized_usd_total)",
        "savings_nusd": "sum(penstock_savings_usd_total) - sum(penstock_savings_negative_usd_total)",
    }
    for name, expression in found.items():
        meanwhile_usd = 0.02 if name == "revenue_nusd" else 1e-8  # the fees of a minute accrue between two questions
        assert page[name] / 1e9 == pytest.approx(report[name] / 1e9, abs=meanwhile_usd), name
        assert _value(scraped, expression) == pytest.approx(report[name] / 1e9, abs=meanwhile_usd), name
    spent = sum(each["credits"]["spent"] for each in figures["customers"])
    assert _value(scraped, "sum(penstock_credits_consumed_total)") == spent


def _figures(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.origin}/admin/page/figures", timeout=10).json()
    return found


def test_no_rule_fails_and_no_alert_fires(scraped):
    """Prometheus evaluates every rule on what it scraped; a healthy server is silent."""
    until(lambda: all(rule["health"] != "unknown" for rule in scraped.rules() if "alerts" in rule), "alerts evaluated")

    found = scraped.rules()

    assert len(found) == len(rules())
    assert [rule for rule in found if rule["health"] == "err"] == []
    assert [rule["name"] for rule in found if rule.get("state") == "firing"] == []
