"""Marks for a provider's prompt cache: set where prompts come back, and worth what the provider's own invoice says."""

from pathlib import Path
from typing import Any

import pytest

from simulator.prices import PRICES
from tests.e2e.conftest import Launch
from tests.e2e.server import Server, write_config

MODEL = "claude-sonnet-5-5"
SYSTEM = "You plan journeys for a travel agency and answer in one sentence. " * 300
"""About 4,000 tokens: long enough for every model's cache."""
TURNS = 6


def agent(server: Server, *, ask: str) -> None:
    """Hold a conversation of some turns."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}]
    with server.openai() as client:
        for turn in range(TURNS):
            messages.append({"role": "user", "content": f"{ask} Step {turn}."})
            answer = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=64)  # type: ignore[arg-type]
            messages.append({"role": "assistant", "content": answer.choices[0].message.content})


def config(folder: Path, **changes: Any) -> Path:
    """Write a configuration with one model of Anthropic's."""
    return write_config(
        folder,
        providers={"claude": {"dialect": "anthropic", "base_url": "simulator", "api_key": "simulator"}},
        models={MODEL: {"provider": "claude"}},
        tiers={"simple": [MODEL], "medium": [MODEL], "complex": [MODEL]},
        **changes,
    )


@pytest.fixture(scope="module")
def server(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a server that was asked by one agent."""
    found = launch(config(tmp_path_factory.mktemp("marks")))
    agent(found, ask="Plan a week in Oslo.")
    return found


def used(line: dict[str, int]) -> int:
    """Return the tokens that the provider's cache read or wrote."""
    return line["cache_read"] + line["cache_write"] + line["cache_write_1h"]


def test_the_invoice_confirms_what_marks_saved(server: Server) -> None:
    """Plain input at the provider's prices, less its invoice, is the lever to half a nano-dollar a call."""
    lines, price = [line["usage"] for line in server.invoice()], PRICES[MODEL]
    cached = [line for line in lines if used(line)]
    # Dollars a million tokens are a thousand nano-dollars a token.
    saved = 1000 * sum(
        used(line) * price.input
        - line["cache_read"] * price.cache_read
        - line["cache_write"] * price.cache_write
        - line["cache_write_1h"] * price.cache_write_1h
        for line in cached
    )

    report = server.cli("report", "savings", "--json").json()["total"]

    assert len(lines) == TURNS
    assert len(cached) >= TURNS - 1
    assert saved > 0
    assert abs(report["prompt_cache_nusd"] - saved) <= len(cached)
    assert report["routing_nusd"] == 0  # the model was named: all that was saved is the cache's
    assert server.cli("reconcile", "--json").json()["explained_share"] == 1
    assert server.cli("ledger", "verify", "--json").json()["ok"] is True


def test_metric_and_explanation_say_it(server: Server) -> None:
    """The lever is in /metrics, and in the waterfall of one charge."""
    report = server.cli("report", "savings", "--json").json()["total"]
    (counted,) = [each.value for each in server.metrics() if each.name == "penstock_savings_usd_total"
                  and each.labels["lever"] == "prompt_cache"]  # fmt: skip
    last = server.invoice()[-1]["usage"]

    assert counted == pytest.approx((report["prompt_cache_nusd"] + 1e9 * lost(server)) / 1e9, abs=1e-12)
    assert last["cache_read"] > last["cache_write"]


def lost(server: Server) -> float:
    """Return the losses by marks, in dollars: writes that were not read yet."""
    (found,) = [each.value for each in server.metrics() if each.name == "penstock_savings_negative_usd_total"
                and each.labels["lever"] == "prompt_cache"]  # fmt: skip
    return found


def test_off_leaves_requests_as_they_are(launch: Launch, tmp_path: Path) -> None:
    """Without marks the provider caches nothing, and nothing is claimed."""
    plain = launch(config(tmp_path, caching={"responses": {"enabled": False}, "prompts": {"mode": "off"}}))

    agent(plain, ask="Plan a week in Oslo.")

    assert [used(line["usage"]) for line in plain.invoice()] == [0] * TURNS
    assert plain.cli("report", "savings", "--json").json()["total"]["prompt_cache_nusd"] == 0


def test_a_caller_s_own_marks_are_left_alone(server: Server) -> None:
    """What its caller marks is its caller's saving: passed on, and claimed by nobody here."""
    before = server.cli("report", "savings", "--json").json()["total"]["prompt_cache_nusd"]
    own = [{"type": "text", "text": "My own words. " * 1500, "cache_control": {"type": "ephemeral"}}]

    with server.openai() as client:
        for _ in range(3):
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": own}],
                max_tokens=64,  # type: ignore[typeddict-item,list-item]
            )

    assert server.invoice()[-1]["usage"]["cache_read"] > 0
    assert server.cli("report", "savings", "--json").json()["total"]["prompt_cache_nusd"] == before


OPENAI = "gpt-6-luna"


def openai(folder: Path, mode: str) -> Path:
    """Write a configuration with one model of OpenAI's, whose cache is told what to keep, or not."""
    return write_config(
        folder,
        tiers={"simple": [OPENAI], "medium": [OPENAI], "complex": [OPENAI]},
        caching={"responses": {"enabled": False}, "prompts": {"mode": mode}},
    )


def ask(server: Server, system: str, question: str) -> None:
    """Ask one question under instructions."""
    with server.openai() as client:
        client.chat.completions.create(
            model=OPENAI, max_tokens=64,
            messages=[{"role": "system", "content": system}, {"role": "user", "content": question}],
        )  # fmt: skip


def billed(server: Server) -> float:
    """Return what the provider billed for input, in nano-dollars."""
    price = PRICES[OPENAI]
    return 1000 * sum(
        usage["input"] * price.input
        + usage["cache_read"] * price.cache_read
        + usage["cache_write"] * (price.cache_write or 0)
        for usage in (line["usage"] for line in server.invoice())
    )


def test_openai_writes_only_what_is_expected_back(launch: Launch, tmp_path: Path) -> None:
    """Prompts that come once are billed as plain input, a fifth less; instructions that come back are read."""
    told, untold = (launch(openai(tmp_path / mode, mode)) for mode in ("auto", "off"))
    for server in (told, untold):
        for n in range(20):
            ask(server, f"Report {n}. {SYSTEM}", "Sum it up.")
    once = [line["usage"] for line in told.invoice()]
    assert once[0] == untold.invoice()[0]["usage"], "of whom nothing is known it writes as it does"
    assert [used(usage) for usage in once[4:]] == [0] * 16
    assert billed(told) < 0.87 * billed(untold)

    for server in (told, untold):
        for n in range(12):
            ask(server, SYSTEM, f"What of day {n}?")
    back = [line["usage"] for line in told.invoice()[20:]]
    assert all(usage["cache_read"] > 3_000 for usage in back[-8:])
    assert all(usage["cache_write"] == 0 for usage in back[-8:])
    assert billed(told) < billed(untold)
    for server in (told, untold):
        assert server.cli("reconcile", "--json").json()["explained_share"] == 1
        assert server.cli("report", "savings", "--json").json()["total"]["prompt_cache_nusd"] == 0
    keys = [each["body"].get("prompt_cache_key") for each in told.seen_upstream()]
    assert len(set(keys[-12:])) == 1
