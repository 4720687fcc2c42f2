"""Costs that other gateways got wrong, by the reports of their users: each token is counted once, at its own price.

Each test names the complaint; the amounts are written as a person would check them.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from margin.card import Card
from margin.costbook import PriceHistory
from margin.usage import Usage
from proxy import metering
from proxy.exchange import Inbound, serve
from proxy.settings import Deployment, Provider
from proxy.upstream.client import Upstream
from proxy.upstream.dialects.anthropic import counts
from proxy.upstream.dialects.openai import chat as openai
from proxy.upstream.dialects.openai import responses as openai_responses
from tests.proxy.provider import Loopback
from tests.proxy.scene import Record, Scene, check_books, scene

IN, READ, WRITE, WRITE_1H, OUT = 100, 10, 125, 200, 500
"""Nano-dollars a token: 0.10, 0.01, 0.125, 0.20 and 0.50 dollars a million."""
OURS = Deployment(
    "ours", Provider("p", "openai", "https://example.org", None, enabled=True), "ours",
    prices=PriceHistory.fixed(
        Card.of(input="0.1", output="0.5", cache_read="0.01", cache_write="0.125", cache_write_1h="0.2")
    ),
    free=False,
)  # fmt: skip


def cost(usage: Usage | None) -> int | None:
    """What a usage costs, in nano-dollars."""
    assert usage is not None
    return metering.cost_nusd(OURS, usage, 0)


def chat_usage(
    prompt: int, completion: int, *, inside: Mapping[str, int], outside: Mapping[str, int]
) -> dict[str, Any]:
    """Usage as chat reports it."""
    return {
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": inside, "completion_tokens_details": outside,
    }  # fmt: skip


def test_cache_writes_are_billed_once() -> None:
    """They are beside Anthropic's input, and its two lifetimes are parts of their total, not more of it."""
    usage = counts.read_usage(
        {
            "input_tokens": 7, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 300, "output_tokens": 11,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
        }
    )  # fmt: skip

    assert cost(usage) == 7 * IN + 1000 * READ + 200 * WRITE + 100 * WRITE_1H + 11 * OUT


def test_own_prices_bill_cached_reads_once() -> None:
    """A price of the operator's meets the same buckets as the cost book's: the cached are inside OpenAI's prompt."""
    usage = openai.read_usage(chat_usage(1000, 10, inside={"cached_tokens": 900}, outside={}))

    assert cost(usage) == (1000 - 900) * IN + 900 * READ + 10 * OUT


def test_reasoning_is_neither_lost_nor_counted_twice() -> None:
    """It is inside the output on both of OpenAI's surfaces and at Anthropic, and costs what output costs."""
    chat = openai.read_usage(chat_usage(5, 100, inside={}, outside={"reasoning_tokens": 80}))
    responses = openai_responses.read_usage(
        {"input_tokens": 5, "output_tokens": 100, "output_tokens_details": {"reasoning_tokens": 80}}
    )
    claude = counts.read_usage(
        {"input_tokens": 5, "output_tokens": 100, "output_tokens_details": {"thinking_tokens": 80}}
    )

    assert cost(chat) == cost(responses) == cost(claude) == 5 * IN + 100 * OUT
    assert chat == responses == claude


def test_reasoning_beside_the_output_is_not_free() -> None:
    """The totals of xAI have it beside what was said; the numbers are those of its documentation."""
    chat = openai.read_usage(
        {**chat_usage(32, 9, inside={"cached_tokens": 6}, outside={"reasoning_tokens": 94}), "total_tokens": 135}
    )

    assert cost(chat) == (32 - 6) * IN + 6 * READ + (9 + 94) * OUT


def test_anthropics_fast_mode_is_billed_by_its_own_column() -> None:
    """It is no service tier there, but a speed; a region that is asked for is dearer by a share, which is not known."""
    used = {"input_tokens": 7, "output_tokens": 11, "service_tier": "standard"}
    card = Card.of(input="0.1", output="0.5", service_tiers={"fast": {"input": "0.2", "output": "1"}})
    dear = replace(OURS, prices=PriceHistory.fixed(card))

    fast, usual = (counts.read_usage({**used, "speed": speed}) for speed in ("fast", "standard"))
    abroad = counts.read_usage({**used, "inference_geo": "us"})

    assert fast is not None
    assert metering.cost_nusd(dear, fast, 0) == 2 * (7 * IN + 11 * OUT)
    assert cost(usual) == cost(abroad) == 7 * IN + 11 * OUT
    assert (fast.source, usual and usual.source, abroad and abroad.source) == ("reported", "reported", "estimated")


def test_audio_is_counted_apart() -> None:
    """It is inside the totals, and costs its own price where the card has one, else that of text."""
    usage = openai.read_usage(chat_usage(50, 20, inside={"audio_tokens": 30}, outside={"audio_tokens": 15}))
    assert usage is not None
    dear = Card.of(input="0.1", output="0.5", audio_in=10, audio_out=20)

    assert usage == Usage(input=20, audio_in=30, output=5, audio_out=15)
    assert dear.cost_nusd(usage) == 20 * IN + 30 * 10_000 + 5 * OUT + 15 * 20_000
    assert cost(usage) == 50 * IN + 20 * OUT


# ---- whole exchanges -----------------------------------------------------------------------------------------------

COMPLETION = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"message": {"content": "hi"}}]}
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"delta": {"content": "hi"}}]}


def provider(usage: Any, **fields: Any) -> Any:
    """A provider that always says the same, plain or streamed; its usage comes in the last event."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        last = {**COMPLETION, "choices": [], "usage": usage, **fields}
        events = [{**CHUNK, **fields}, last]
        if orjson.loads(body).get("stream"):
            said = b"".join(b"data: %b\n\n" % orjson.dumps(each) for each in events) + b"data: [DONE]\n\n"
        else:
            said = orjson.dumps({**COMPLETION, "usage": usage, **fields})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": said, "more_body": False})

    return app


def served(folder: Path, usage: Any, *, stream: bool, **fields: Any) -> Record:
    """Serve one request by such a provider; return the cost line of its call."""

    async def main() -> Scene:
        async with scene(folder) as here:
            here.world.upstream = Upstream(Loopback(provider(usage, **fields)))
            await (here.stream("hi") if stream else here.ask("hi"))
        return here

    found = asyncio.run(main())
    check_books(found.records())
    (line,) = found.end()["a"]
    return line


@pytest.mark.parametrize("stream", [False, True])
def test_a_stream_costs_what_the_plain_answer_costs(tmp_path: Path, stream: bool) -> None:
    """Also where it was cached: the usage of the last event counts, and nothing that came before it."""
    line = served(tmp_path, chat_usage(2000, 40, inside={"cached_tokens": 1536}, outside={}), stream=stream)

    assert (line["kind"], line["cost"]) == ("model", (2000 - 1536) * IN + 1536 * READ + 40 * OUT)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "usage",
    [
        None,
        chat_usage(464, 4, inside={"cached_tokens": 1536}, outside={}),
        chat_usage(464, 4, inside={"cached_tokens": 64}, outside={}) | {"total_tokens": 464 + 64 + 4},
    ],
    ids=["no usage", "the prompt's count leaves out what was cached", "so it does, as only its total shows"],
)
def test_usage_that_cannot_be_is_an_estimate_and_says_so(tmp_path: Path, usage: Any, stream: bool) -> None:
    """Never zero, and never clamped: it is booked aside, until the provider's bill says what it was."""
    line = served(tmp_path, usage, stream=stream)

    assert line["kind"] == "estimated"
    assert line["cost"] > 0
    assert line["u"]["input"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_the_service_tier_is_priced_by_the_answer(tmp_path: Path, stream: bool) -> None:
    """Priority costs more than the price list says, whatever was asked for; reasoning at the same tier as the rest."""
    usage = chat_usage(1000, 50, inside={}, outside={"reasoning_tokens": 20})
    (tmp_path / "default").mkdir()
    (tmp_path / "priority").mkdir()

    plain = served(tmp_path / "default", usage, stream=stream, service_tier="default")
    dearer = served(tmp_path / "priority", usage, stream=stream, service_tier="priority")

    assert plain["cost"] == 1000 * IN + 50 * OUT
    assert dearer["cost"] == 2 * plain["cost"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_search_of_the_provider_s_is_not_taken_for_free(tmp_path: Path, stream: bool) -> None:
    """Its fee is not in the usage: the tokens are booked, marked as the least that it may cost."""

    async def main() -> Scene:
        async with scene(tmp_path) as here:
            here.world.upstream = Upstream(Loopback(provider(chat_usage(1000, 50, inside={}, outside={}))))
            await (here.stream if stream else here.ask)("hi", web_search_options={})
        return here

    (line,) = asyncio.run(main()).end()["a"]

    assert (line["kind"], line["cost"]) == ("estimated", 1000 * IN + 50 * OUT)


@pytest.mark.parametrize("stream", [False, True])
def test_responses_are_metered_where_their_usage_is(tmp_path: Path, stream: bool) -> None:
    """Under `response.usage`, and by other names than a chat's: a budget that never moves was the complaint."""

    async def main() -> Scene:
        async with scene(tmp_path) as here:
            asked = {"model": "gpt-6-luna", "input": "hi", "stream": stream, "store": False}
            inbound = Inbound({}, orjson.dumps(asked), "responses")
            reply = await serve(here.world, here.principal, inbound, time.perf_counter())
            if reply.relay is not None:
                await reply.relay.run(here.caller)
        return here

    found = asyncio.run(main())
    (line,), (bill,) = found.end()["a"], found.billed()

    assert line["kind"] == "model"
    assert (line["u"]["input"], line["u"]["output"]) == (bill["usage"]["input"], bill["usage"]["output"])
    assert line["cost"] == bill["usage"]["input"] * IN + bill["usage"]["output"] * OUT > 0


def test_an_aborted_stream_has_a_cost_line(tmp_path: Path) -> None:
    """The caller leaves in the middle; the rest is read for its usage, and the books say what the invoice says."""

    async def main() -> Scene:
        async with scene(tmp_path) as here:
            reply = await here.ask("hi [[sim: tokens=50]]", stream=True)
            assert reply.relay is not None
            here.caller.at[3] = reply.relay.left
            await reply.relay.run(here.caller)
        return here

    found = asyncio.run(main())

    (line,), (bill,) = found.end()["a"], found.billed()
    assert (found.end()["o"], line["kind"], line["id"]) == ("client_gone", "model", bill["call_id"])
    assert line["cost"] == bill["usage"]["input"] * IN + 50 * OUT
