"""A plan that charges by usage, and the provider's exports, with a real server and its simulator."""

import subprocess
import sys
from pathlib import Path

import pytest

from margin.money import round_half_even
from tests.e2e.conftest import Launch
from tests.e2e.server import Server, write_config

METERED = {
    "credits": {
        "mode": "prepaid", "price": 0.01, "enforce": "hard", "metered": {"input": 1, "cache_read": 0.1, "output": 4},
    }
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server whose customer `meter` has 300 credits, three dollars of them, on the metered plan."""
    server = launch(write_config(tmp_path_factory.mktemp("config"), plans={"metered": METERED}))
    server.create_key("meter", plan="metered")
    server.grant("meter", 300, paid_usd=3)
    return server


def test_usage_is_charged_and_every_account_agrees(shop: Server) -> None:
    """Ledger, invoice, headers and margin say the same; what the balance does not cover says what helps."""
    key = shop.create_key("meter")
    before = len(shop.invoice())

    told = [shop.chat(f"Say hello to number {n}", key, max_tokens=50) for n in range(5)]
    with shop.openai(key) as client:
        for _ in client.chat.completions.create(
            model="auto:simple", messages=[{"role": "user", "content": "A short story"}], max_tokens=80, stream=True
        ):
            pass
    dear = shop.chat("hi", key, max_tokens=80_000)

    bills = shop.invoice()[before:]
    charged = [_milli(each["usage"]) for each in bills]
    assert [each.headers["x-penstock-credits-charged"] for each in told] == [f"{each / 1000:g}" for each in charged[:5]]
    assert shop.balance("meter") == {
        "available": (300_000 - sum(charged)) / 1000, "held": 0, "spent": sum(charged) / 1000, "expired": 0,
        "overdraft": 0,
    }  # fmt: skip
    assert (dear.status_code, dear.headers["x-should-retry"]) == (402, "false")
    assert "A smaller `max_tokens` needs less." in dear.json()["error"]["message"]
    (row,) = (each for each in shop.ask("report.margin")["customers"] if each["customer"] == "meter")
    assert row["requests"] == 6
    assert abs(row["revenue_nusd"] - sum(charged) * 10_000) <= len(charged)
    assert shop.ask("ledger.verify")["ok"]


def _milli(usage: dict[str, int]) -> int:
    """What a bill's tokens come to: fresh and written input at 1, read at 0.1, output at 4, rounded once."""
    return round_half_even(
        10 * (usage["input"] + usage["cache_write"]) + usage["cache_read"] + 40 * usage["output"], 10
    )


@pytest.mark.parametrize("account", ["openai", "anthropic"])
def test_the_provider_s_export_explains_every_dollar(shop: Server, tmp_path: Path, account: str) -> None:
    """The simulator's invoice in the company's shapes; doubled, nothing is explained, and the metric says so."""
    shop.chat("Say hello", shop.create_key("meter"), max_tokens=20)
    export = tmp_path / "export.json"
    export.write_bytes(
        subprocess.run(
            [sys.executable, "-m", "simulator.exports", str(shop.invoice_path), "--format", account],
            check=True, capture_output=True,
        ).stdout
    )  # fmt: skip

    words = ("reconcile", "--export", str(export), "--format", account, "--provider", "sandbox", "--json")
    agrees = shop.cli(*words)
    page = export.read_bytes().strip()[1:-1]
    export.write_bytes(b"[" + page + b"," + page + b"]")
    disagrees = shop.cli(*words)

    assert (agrees.code, agrees.json()["explained_share"], agrees.json()["lines"]) == (0, 1.0, [])
    assert (disagrees.code, disagrees.json()["explained_share"]) == (1, 0.0)
    shares = {each.labels["account"]: each.value for each in shop.metrics() if each.name.endswith("explained_ratio")}
    assert shares[account] == 0
