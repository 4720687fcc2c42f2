"""The invoice: usage times price, exactly, in a file that outlives the process."""

import asyncio
import json
from fractions import Fraction
from pathlib import Path

import httpx
import pytest

from simulator.app import build
from simulator.options import SimulatorOptions
from simulator.prices import PRICES, BilledUsage
from tests.simulator.conftest import Provider, Start
from tests.simulator.test_chat import ask

LONG = "word" * 2000  # 2,000 tokens and 3 for the message, so 15 steps of 128 can be cached
CACHEABLE = 15 * 128


@pytest.mark.parametrize(
    ("model", "usd_per_million"),
    [
        ("gpt-6-luna", {"input": "0.1", "cache_read": "0.01", "cache_write": "0.125", "out": "0.5"}),
        ("gpt-6.1-sol", {"input": "2", "cache_read": "0.1", "cache_write": "2.5", "out": "10"}),
        ("gpt-6.1-terra", {"input": "1", "cache_read": "0.05", "cache_write": "1.25", "out": "5"}),
        ("gpt-6-astra", {"input": "10", "cache_read": "1", "cache_write": "12.5", "out": "50"}),
    ],
)
def test_a_bill_is_usage_times_price(model: str, usd_per_million: dict[str, str]) -> None:
    """Each bucket at its rate; above 272,000 prompt tokens input doubles, output is 1.5 times."""
    rate = {bucket: Fraction(usd) / 1_000_000 for bucket, usd in usd_per_million.items()}
    at_the_edge = BilledUsage(172_000, 60_000, 40_000, 1000, 100)
    beyond = BilledUsage(172_001, 60_000, 40_000, 1000, 100)

    cached = 60_000 * rate["cache_read"] + 40_000 * rate["cache_write"]
    assert PRICES[model].amount_usd(at_the_edge) == (172_000 * rate["input"] + cached + 1000 * rate["out"])
    assert PRICES[model].amount_usd(beyond) == (
        2 * (172_001 * rate["input"] + cached) + Fraction(3, 2) * 1000 * rate["out"]
    )


def test_a_claude_bill_is_usage_times_price() -> None:
    """An hour in the cache costs twice the input; above 100,000 prompt tokens all of Haiku's rates are five times."""
    at_the_edge = BilledUsage(40_000, 30_000, 20_000, 1000, 100, cache_write_1h=10_000)
    beyond = BilledUsage(40_001, 30_000, 20_000, 1000, 100, cache_write_1h=10_000)

    haiku = 30_000 * Fraction("0.01") + 20_000 * Fraction("0.125") + 10_000 * Fraction("0.2") + 1000 * Fraction("0.5")
    assert PRICES["claude-haiku-5-5"].amount_usd(at_the_edge) == (40_000 * Fraction("0.1") + haiku) / 1_000_000
    assert PRICES["claude-haiku-5-5"].amount_usd(beyond) == 5 * (40_001 * Fraction("0.1") + haiku) / 1_000_000
    opus = 40_001 * 4 + 30_000 * Fraction("0.2") + 20_000 * 5 + 10_000 * 8 + 1000 * 20
    assert PRICES["claude-opus-5-5"].amount_usd(beyond) == Fraction(opus) / 1_000_000


def test_lines_are_exact(provider: Provider) -> None:
    """What was answered is on the invoice, to the exact fraction of a dollar."""
    answer = provider.chat("Tell me [[sim: tokens=7]]", "gpt-6.1-sol").json()
    line = provider.line(answer["id"])

    prompt = answer["usage"]["prompt_tokens"]
    assert line["usage"] == {
        "input": prompt,
        "cache_read": 0,
        "cache_write": 0,
        "output": 7,
        "reasoning": 0,
        "cache_write_1h": 0,
    }
    assert Fraction(line["amount_usd"]) == Fraction(prompt * 2 + 7 * 10, 1_000_000)
    assert (line["kind"], line["stream"], line["complete"]) == ("chat", False, True)


@pytest.mark.parametrize(
    ("asks", "tokens", "served", "times"),
    [("priority", "", "priority", 2), ("flex", "", "flex", Fraction(1, 2)), ("auto", "", "default", 1),
     ("priority", " tier=default", "default", 1)],
)  # fmt: skip
def test_a_service_tier_has_its_own_price(
    provider: Provider, asks: str, tokens: str, served: str, times: Fraction
) -> None:
    """The answer says which tier it was served in, and the invoice bills that one."""
    body = {"model": "gpt-6.1-sol", "messages": ask(f"Tell me [[sim: tokens=7{tokens}]]"), "service_tier": asks}
    answer = provider.http.post("/v1/chat/completions", json=body).json()
    line = provider.line(answer["id"])

    assert answer["service_tier"] == line["service_tier"] == served
    prompt = answer["usage"]["prompt_tokens"]
    assert Fraction(line["amount_usd"]) == times * Fraction(prompt * 2 + 7 * 10, 1_000_000)


@pytest.mark.parametrize(("model", "asks"), [("gpt-4o-mini", "flex"), ("gpt-6-luna", "turbo")])
def test_a_service_tier_that_is_not_sold_is_refused(provider: Provider, model: str, asks: str) -> None:
    """Nothing is billed."""
    body = {"model": model, "messages": ask("hi"), "service_tier": asks}
    answer = provider.http.post("/v1/chat/completions", json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "service_tier")


def test_prompt_cache_is_reported_and_billed(start: Start) -> None:
    """First sight writes whole steps of 128 tokens; the second reads them; a longer one both."""
    provider = start()
    first = provider.chat(LONG, "gpt-6-luna").json()
    second = provider.chat(LONG, "gpt-6-luna").json()
    longer = [*ask(LONG), {"role": "assistant", "content": LONG}]
    third = provider.http.post("/v1/chat/completions", json={"model": "gpt-6-luna", "messages": longer}).json()

    details = [one["usage"]["prompt_tokens_details"] for one in (first, second, third)]
    assert [one["cached_tokens"] for one in details] == [0, CACHEABLE, CACHEABLE]
    twice = (2 * 2003) // 128 * 128
    assert [one["cache_write_tokens"] for one in details] == [CACHEABLE, 0, twice - CACHEABLE]
    second_usage = provider.line(second["id"])["usage"]
    assert (second_usage["input"], second_usage["cache_read"]) == (2003 - CACHEABLE, CACHEABLE)


def test_prompt_caches_are_apart(start: Start) -> None:
    """Another model and another key have seen nothing; a short prompt is never cached."""
    provider = start()
    provider.chat(LONG, "gpt-6-luna")
    other_model = provider.chat(LONG, "gpt-6.1-sol").json()
    body = {"model": "gpt-6-luna", "messages": ask(LONG)}
    other_key = provider.http.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer other"}).json()
    short = [provider.chat("word" * 900).json() for _ in range(2)][-1]

    for answer in (other_model, other_key, short):
        assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_writing_is_free_where_it_has_no_price(start: Start) -> None:
    """A model without a cache-write rate reports no writes, but does read."""
    provider = start()
    first, second = (provider.chat(LONG, "ft:gpt-6-luna:acme").json() for _ in range(2))

    assert first["usage"]["prompt_tokens_details"]["cache_write_tokens"] == 0
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] == CACHEABLE
    amount = Fraction(provider.line(second["id"])["amount_usd"])
    output = second["usage"]["completion_tokens"]
    fresh = Fraction("0.20") * (2003 - CACHEABLE)
    assert amount * 1_000_000 == fresh + Fraction("0.02") * CACHEABLE + 1 * output


def test_the_invoice_survives_a_restart(start: Start, tmp_path: Path) -> None:
    """A second run appends to the lines of the first and shows both."""
    first = start()
    first_id = first.chat("hi").json()["id"]
    assert first.stop() == 0
    second = start()
    second_id = second.chat("hi").json()["id"]

    written = (tmp_path / "invoice.jsonl").read_text().splitlines()
    assert [json.loads(line)["call_id"] for line in written] == [first_id, second_id]
    assert [line["call_id"] for line in second.invoice()] == [first_id, second_id]


def test_the_line_is_there_before_the_answer_ends(start: Start, tmp_path: Path) -> None:
    """At the moment a stream tells its finish reason the line is in the file."""
    provider = start()
    body = {"model": "gpt-6-luna", "messages": ask("hi [[sim: tokens=3]]"), "stream": True}
    with provider.http.stream("POST", "/v1/chat/completions", json=body) as response:
        for line in response.iter_lines():
            if '"finish_reason":"stop"' in line:
                assert len((tmp_path / "invoice.jsonl").read_text().splitlines()) == 1


def test_a_price_error_is_on_the_invoice_only(start: Start) -> None:
    """A deliberate error of one per cent makes that model's amounts wrong by it, no others."""
    provider = start("--price-error", "gpt-6-luna=1.01")
    wrong = provider.chat("hi [[sim: tokens=5]]").json()
    right = provider.chat("hi [[sim: tokens=5]]", "gpt-4o-mini").json()

    fair = Fraction("0.10") * wrong["usage"]["prompt_tokens"] + Fraction("0.50") * 5
    assert Fraction(provider.line(wrong["id"])["amount_usd"]) * 1_000_000 == Fraction("1.01") * fair
    fair = Fraction("0.15") * right["usage"]["prompt_tokens"] + Fraction("0.60") * 5
    assert Fraction(provider.line(right["id"])["amount_usd"]) * 1_000_000 == fair


def test_in_process_the_invoice_is_at_hand() -> None:
    """A test can mount the application without a socket or a file and read its invoice."""
    app = build(SimulatorOptions(speed=0))

    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://provider") as client:
            body = {"model": "gpt-6-luna", "messages": ask("hi")}
            headers = {"authorization": "Bearer key"}
            return await client.post("/v1/chat/completions", json=body, headers=headers)

    answer = asyncio.run(call()).json()
    assert [line["call_id"] for line in app.invoice.lines()] == [answer["id"]]
