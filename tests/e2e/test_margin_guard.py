"""A real server guards a margin: a customer that loses money is served cheaper, told of, and refused at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import Server, write_config

HARD = "Prove that there are infinitely many primes of the form 4k+3, and that 4k+1 needs another argument."


@pytest.fixture
def shop(launch: Launch, tmp_path: Path) -> Iterator[Server]:
    """Return a server where a customer without revenue may cost a hundredth of a cent a day."""
    guard = {"steps": ["cap_simple", "refuse"], "over": "day", "evidence": "0.00001", "loss": "0.0001", "wait": "1s"}
    server = launch(write_config(tmp_path, server={"workers": 2}, routing={"margin_floor": 0.4, "guard": guard}))
    yield server
    server.clear_away()


def test_a_customer_that_only_costs_is_met_step_by_step(shop: Server) -> None:
    """Every worker knows: first the cheap tier serves what is charged as hard, then nobody does; others are served."""
    key, other = shop.create_key("costly", plan="open"), shop.create_key("thrifty", plan="open")
    first = shop.chat(HARD, key, model="auto")
    assert (first.headers["x-penstock-served-tier"], first.status_code) == ("complex", 200)

    def capped() -> bool:
        found = shop.chat(HARD, key, model="auto")
        return found.status_code == 402 or found.headers["x-penstock-route"].endswith("+guard")

    until(capped, "the guard takes a step", within_s=20)
    until(lambda: shop.chat(HARD, key, model="auto").status_code == 402, "it is refused", within_s=30)

    refused = [shop.chat(HARD, key, model="auto") for _ in range(8)]
    assert {each.status_code for each in refused} == {402}
    assert refused[0].headers["x-should-retry"] == "false"
    assert refused[0].json()["error"]["code"] == "insufficient_quota"
    assert shop.chat("hi", other).status_code == 200

    rows = {row["customer"]: row for row in shop.ask("report.floors")}
    assert rows["costly"]["steps"] == ["cap_simple", "refuse"]
    assert rows["costly"]["short_nusd"] == rows["costly"]["cost_nusd"] > 100_000
    assert rows["thrifty"]["steps"] == []
    told = shop.cli("report", "floors").out
    assert next(line for line in told.splitlines() if line.startswith("costly")).split()[-1] == "refuse"
    steps = {each.labels["step"]: each.value for each in shop.metrics() if each.name == "penstock_margin_guard"}
    assert steps == {"cap_simple": 1, "refuse": 1}
    assert shop.ask("ledger.verify")["ok"]
