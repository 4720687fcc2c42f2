"""Answers from memory over the wire: the provider bills once, the books say so, and the SDK sees no difference."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import wire
from tests.e2e.server import Server, write_config

MANY = 1_000
ASKED = "What is a penstock, in one sentence?"
PLANS = {
    "half": {"credits": {"mode": "prepaid", "price": 0.05, "enforce": "hard", "cached": 0.5}},
    "free": {"credits": {"mode": "prepaid", "price": 0.05, "enforce": "hard", "cached": 0}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose cache of responses is on, as it is shipped."""
    folder: Path = tmp_path_factory.mktemp("repeating")
    config = write_config(
        folder / "configs", plans=PLANS, caching={"responses": {"enabled": True}},
        limits={"key_defaults": {"budget": "50/day", "concurrency": 2 * MANY}},
    )  # fmt: skip
    found = Server(folder / "data", config)
    found.start()
    yield found
    found.stop()
    found.clear_away()


def ask(server: Server, key: str, **fields: Any) -> Any:
    """Ask; return the answer with its headers."""
    return server.chat(ASKED, key, model="auto:medium", **fields)


def test_it_is_billed_once_and_the_books_say_so(server: Server) -> None:
    """The invoice has one call, the report three requests; a hit is charged by the plan's share and cost nothing."""
    keys = {plan: server.create_key(f"on-{plan}", plan=plan) for plan in PLANS}
    for plan in PLANS:
        server.grant(f"on-{plan}", 100, paid_usd=5)
    before = len(server.invoice())

    first, *again = [ask(server, keys["half"]) for _ in range(3)]
    for _ in range(2):
        ask(server, keys["free"])

    assert first.headers["x-penstock-cache"] == "miss"
    assert [each.headers["x-penstock-cache"] for each in again] == ["hit", "hit"]
    assert [each.headers["x-penstock-credits-charged"] for each in (first, *again)] == ["3", "1.5", "1.5"]
    assert [each.json() for each in again] == [first.json()] * 2
    assert len(server.invoice()) - before == 2, "one for each customer"
    assert server.balance("on-half")["spent"] == 3 + 1.5 + 1.5
    assert server.balance("on-free")["spent"] == 3
    rows = {row["customer"]: row for row in server.ask("report.margin", since=None)["customers"]}
    assert rows["on-half"]["requests"] == 3
    assert rows["on-half"]["revenue_nusd"] == 6 * 50_000_000
    assert rows["on-half"]["savings_nusd"] > 2 * rows["on-half"]["cost_nusd"] > 0
    verified = server.ask("ledger.verify")
    assert verified["ok"], verified["violations"]


def test_a_hit_is_explained(server: Server) -> None:
    """Whose answer it is, what it spared, and a waterfall that ends at nothing."""
    key = server.create_key("explained", plan="half")
    server.grant("explained", 100)
    first, second = ask(server, key), ask(server, key)

    found = server.ask("explain.charge", id=second.headers["x-penstock-request-id"])

    assert found["decision"]["of"] == first.headers["x-penstock-request-id"]
    assert (found["cost_nusd"], found["cost_lines"], found["provider"]) == (0, [], "cache")
    assert found["spared_nusd"] > 0
    assert found["waterfall"][-1] == {"step": "actual", "nusd": 0}
    assert {"step": "response_cache", "nusd": -found["spared_nusd"]} in found["waterfall"]


def test_the_sdk_streams_what_was_answered_plain(server: Server) -> None:
    """With its usage, and the same words."""
    key = server.create_key("streaming", plan="half")
    server.grant("streaming", 100)
    plain = ask(server, key).json()

    with server.openai(key) as client:
        chunks = list(
            client.chat.completions.create(
                model="auto:medium",
                messages=[{"role": "user", "content": ASKED}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )

    said = "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)
    assert said == plain["choices"][0]["message"]["content"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == plain["usage"]["total_tokens"]


def test_what_it_spared_is_a_lever_of_its_own(server: Server) -> None:
    """On /metrics as in the ledger; a hit is a request that the cache served."""
    before = counters(server)
    key = server.create_key("lever", plan="half")
    server.grant("lever", 100)

    ask(server, key)
    ask(server, key)

    hits, spared = counters(server)
    assert hits == before[0] + 1
    assert spared > before[1]


def counters(server: Server) -> tuple[float, float]:
    """Return how many hits there were, and what they spared."""
    server.ask("report.margin", since=None)  # folds what is journalled
    samples = server.metrics()
    hits = [each.value for each in samples if each.name == "penstock_provider_requests_total"
            and each.labels["provider"] == "cache"]  # fmt: skip
    (spared,) = [each.value for each in samples if each.name == "penstock_savings_usd_total"
                 and each.labels["lever"] == "response_cache"]  # fmt: skip
    return sum(hits), spared


@pytest.mark.parametrize("stream", [False, True])
def test_a_thousand_who_ask_the_same_at_once_share_one_call(server: Server, *, stream: bool) -> None:
    """On one worker: the provider bills one call, each of the thousand has the answer, and each is charged."""
    customer = f"thousand-{stream}"
    key = server.create_key(customer, plan="half")
    server.grant(customer, 100_000)
    before = len(server.invoice())
    asked = wire.chat(key, "[[sim: tokens=40 slow=0.01]] Say hello", stream=stream, max_tokens=64)

    answers = asyncio.run(wire.rush(server.port, asked, MANY))

    assert Counter(answer.status for answer in answers) == {200: MANY}
    assert Counter(answer.headers["x-penstock-cache"] for answer in answers) == {"miss": 1, "hit": MANY - 1}
    assert len(server.invoice()) == before + 1
    assert server.balance(customer)["held"] == 0
    assert server.ask("ledger.verify")["violations"] == []
