"""Prompt optimisation over the wire: the provider is billed less, and the lever says how much less."""

from pathlib import Path

import pytest

from tests.caching import prompts_at_work
from tests.e2e.conftest import Launch
from tests.e2e.server import write_config


def test_the_lever_is_in_report_metric_and_explanation(launch: Launch, tmp_path: Path) -> None:
    """The same in all of them; and the books prove it."""
    server = launch(write_config(
        tmp_path,
        caching={"responses": {"enabled": False}, "prompts": {"trim": {"enabled": True, "rules": ["lean"]}}},
        routing={"rules": [{"name": "lean", "when": {"feature": ["lean"]}, "at_most": "complex"}]},
    ))  # fmt: skip
    agent = prompts_at_work.agent()
    with server.openai() as client:
        for headers in ({}, {"x-penstock-feature": "lean"}):
            answer = client.chat.completions.with_raw_response.create(
                model="auto:simple", messages=agent["messages"], tools=agent["tools"], max_tokens=64,
                extra_headers=headers,
            )  # fmt: skip

    whole, lean = [_input(line["usage"]) for line in server.invoice()]
    report = server.cli("report", "savings", "--json").json()["total"]
    told = server.ask("explain.charge", id=answer.headers["x-penstock-request-id"])
    (counted,) = [each.value for each in server.metrics() if each.name == "penstock_savings_usd_total"
                  and each.labels["lever"] == "prompt_optimisation"]  # fmt: skip

    assert lean < 0.8 * whole
    assert report["prompt_optimisation_nusd"] > 0
    assert counted * 1e9 == pytest.approx(report["prompt_optimisation_nusd"])
    assert {"step": "prompt_optimisation", "nusd": -report["prompt_optimisation_nusd"]} in told["waterfall"]
    assert told["decision"]["trimmed"][0] > told["decision"]["trimmed"][1]
    shown = server.cli("explain", "--charge", answer.headers["x-penstock-request-id"]).out
    assert "tokens were left out of its prompt" in shown
    assert "trimmed" in server.cli("report", "savings").out
    verified = server.cli("ledger", "verify", "--json").json()
    assert verified["ok"], verified["violations"]


def _input(usage: dict[str, int]) -> int:
    """Return the tokens that went in, from the provider's cache or not."""
    return sum(count for name, count in usage.items() if name.startswith(("input", "cache")))
