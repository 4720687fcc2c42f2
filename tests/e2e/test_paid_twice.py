"""Answers that were thrown away and calls that lost a race: the provider's invoice has them, and so have the books."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from proxy.outputs import SAMPLES_MIN
from tests.e2e import wire
from tests.e2e.conftest import Launch
from tests.e2e.invoices import reading
from tests.e2e.server import Server, post, write_config

EMPTY, SLOW = 12, 6
ROUTING = {
    "escalate": {"flaws": ["empty"], "streams": "hold"}, "hedge": {"share": 1, "delay_min": "30ms"},
    "retries": {"attempts": 4, "escalations": 1, "burst": 100},
}  # fmt: skip
SURFACES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2000},
    "/v1/responses": {"input": "hi"},
}


@pytest.fixture(scope="module")
def shop(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that checks answers and gives slow calls company."""
    server = launch(write_config(tmp_path_factory.mktemp("config"), routing=ROUTING))
    yield server
    server.clear_away()


def steer(server: Server, fault: str, times: int) -> None:
    """Let the next calls of the simple tier's first model suffer a fault."""
    url = (server.data_dir / "simulator" / "url").read_text().strip()
    rules = [{"fault": fault, "times": times, "model": "gpt-6-luna"}]
    post(f"{url}/_simulator/faults", json=rules).raise_for_status()


async def rush(server: Server, requests: list[bytes], at_once: int) -> list[wire.Answer]:
    """Ask, some at a time."""
    room = asyncio.Semaphore(at_once)

    async def ask(data: bytes) -> wire.Answer:
        async with room:
            return await wire.ask(server.port, data)

    return await asyncio.gather(*map(ask, requests))


def served(answers: list[wire.Answer]) -> Counter[tuple[str, str]]:
    """Who served, and by which route."""
    assert {each.status for each in answers} == {200}
    return Counter((each.headers["x-penstock-model"], each.headers["x-penstock-route"]) for each in answers)


def test_the_invoice_and_the_books_agree_on_what_was_paid_twice(shop: Server) -> None:
    """Whatever the surface and however it is sent: one charge each, every call booked, the billed ones to the cent."""
    key = shop.key
    quick = [wire.chat(key, "hi", max_tokens=3)] * (SAMPLES_MIN + 20)
    routes = {route for _, route in served(asyncio.run(rush(shop, quick, 8)))}
    assert routes <= {"pinned", "pinned+hedged"}
    steer(shop, "tokens=0", EMPTY)
    empty = []
    for number in range(EMPTY):
        path = list(SURFACES)[number % 3]
        body: dict[str, Any] = {"model": "auto:simple", "stream": number % 2 == 0, **SURFACES[path]}
        empty.append(wire.request(key, json.dumps(body).encode(), path=path))
    escalated = asyncio.run(rush(shop, empty, 1))
    steer(shop, "slow=0.1", SLOW)
    hedged = asyncio.run(rush(shop, [wire.chat(key, "hi", max_tokens=5)] * SLOW, 1))

    assert served(escalated) == {("gpt-6.1-sol", "pinned+escalated:empty"): EMPTY}
    assert sum(count for (model, route), count in served(hedged).items() if "+hedged" in route) == SLOW
    found = shop.ask("report.savings")["total"]
    assert found["requests"] == len(quick) + EMPTY + SLOW
    assert shop.ask("ledger.verify")["violations"] == []
    with reading(shop) as db:
        charged = dict(db.execute("SELECT charge_tier, COUNT(*) FROM charges GROUP BY 1"))
        booked = db.execute("SELECT call_id, kind, cost_nusd FROM cost_lines").fetchall()
    assert charged == {"simple": found["requests"]}
    bills = {bill["call_id"]: Fraction(bill["amount_usd"]) * 10**9 for bill in shop.invoice()}
    named = {call_id: nusd for call_id, kind, nusd in booked if kind == "model"}
    assert {call_id: bills[call_id] for call_id in named} == named
    lost = [nusd for _, kind, nusd in booked if kind == "failed"]
    assert len(bills) - len(named) <= len(lost)
    assert len(lost) >= SLOW
    assert found["hedged_nusd"] == sum(lost)
    assert 0 < found["escalated_nusd"] < sum(named.values())
    counts = {
        each.name: each.value for each in shop.metrics() if each.name.startswith(("penstock_esc", "penstock_hed"))
    }
    assert set(counts) == {"penstock_escalations_total", "penstock_hedges_total"}
