"""Anthropic's Messages API: answers, events, tools, caches, refusals and faults as Claude's clients see them."""

import json
from fractions import Fraction
from typing import Any

import httpx
import pytest

from tests.simulator.conftest import Provider

TOOL = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
LONG = "word" * 2000


def send(provider: Provider, prompt: Any, model: str = "claude-haiku-5-5", **fields: Any) -> httpx.Response:
    """Send a Messages request as any client would."""
    body = {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": prompt}], **fields}
    headers = {"x-api-key": "key", "anthropic-version": "2023-06-01"}
    return provider.http.post("/v1/messages", json=body, headers=headers)


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the events of a stream, each named as its data says."""
    found = []
    for event in response.text.split("\n\n")[:-1]:
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def test_an_answer_and_its_line(provider: Provider) -> None:
    """A plain answer has its blocks, its reason and its usage, and is billed to the exact fraction of a dollar."""
    answer = send(provider, "Tell me [[sim: tokens=7]]", system="Be brief.").json()
    line = provider.line(answer["id"])

    assert (answer["type"], answer["role"], answer["stop_reason"]) == ("message", "assistant", "end_turn")
    assert [block["type"] for block in answer["content"]] == ["text"]
    used = answer["usage"]
    assert used["output_tokens"] == 7
    assert (line["kind"], line["complete"]) == ("messages", True)
    assert Fraction(line["amount_usd"]) == Fraction(used["input_tokens"], 10**7) + Fraction(7, 2 * 10**6)


def test_a_stream_says_the_same_in_order(provider: Provider) -> None:
    """The events come in Anthropic's order and add up to the plain answer."""
    plain = send(provider, "Why is the sky blue?").json()
    streamed = events(send(provider, "Why is the sky blue?", stream=True))

    names = [event["type"] for event in streamed]
    assert names[:3] == ["message_start", "ping", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    text = "".join(event["delta"]["text"] for event in streamed if event["type"] == "content_block_delta")
    assert text == plain["content"][0]["text"]
    assert streamed[0]["message"]["usage"]["input_tokens"] == plain["usage"]["input_tokens"]
    totals = {name: value for name, value in plain["usage"].items() if name not in {"cache_creation", "service_tier"}}
    assert (streamed[-2]["delta"]["stop_reason"], streamed[-2]["usage"]) == ("end_turn", totals)
    assert streamed[0]["message"]["usage"]["service_tier"] == "standard"


def test_tools_are_called_and_results_are_answered(provider: Provider) -> None:
    """A call's input fits its schema, whole or in pieces, and a result ends the calling."""
    forced = {"type": "tool", "name": "get_weather"}
    plain = send(provider, "Weather in Oslo?", tools=[TOOL], tool_choice=forced).json()
    streamed = events(send(provider, "Weather in Oslo?", tools=[TOOL], tool_choice=forced, stream=True))

    (call,) = plain["content"]
    assert (call["type"], call["name"], plain["stop_reason"]) == ("tool_use", "get_weather", "tool_use")
    assert isinstance(call["input"]["city"], str)
    pieces = [event["delta"]["partial_json"] for event in streamed if event["type"] == "content_block_delta"]
    assert json.loads("".join(pieces)) == call["input"]
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}
    messages = [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    after = send(provider, "", messages=messages, tools=[TOOL]).json()
    assert [block["type"] for block in after["content"]] == ["text"]


def test_what_is_marked_is_cached_for_as_long_as_it_says(provider: Provider) -> None:
    """A marked prompt is written once, by its lifetime, and read after that; an unmarked one is neither."""
    hour = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": f"hour {LONG}", "cache_control": hour}]
    first, second = (send(provider, "Hello", system=system).json()["usage"] for _ in range(2))
    unmarked = [send(provider, LONG).json()["usage"] for _ in range(2)][-1]

    written = first["cache_creation_input_tokens"]
    assert written > 2000
    assert first["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": written}
    assert (second["cache_creation_input_tokens"], second["cache_read_input_tokens"]) == (0, written)
    assert second["input_tokens"] == first["input_tokens"]
    assert (unmarked["cache_creation_input_tokens"], unmarked["cache_read_input_tokens"]) == (0, 0)


def test_two_lifetimes_in_one_prompt(provider: Provider) -> None:
    """Up to the last mark for an hour it is written for an hour, and on to the last mark for five minutes."""
    hour, short = {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}
    system = [{"type": "text", "text": f"two {LONG}", "cache_control": hour}]
    question = [{"type": "text", "text": "and " * 400, "cache_control": short}]

    answer = send(provider, question, system=system).json()
    used, line = answer["usage"], provider.line(answer["id"])

    parts = used["cache_creation"]
    assert parts["ephemeral_1h_input_tokens"] > 2000
    assert parts["ephemeral_5m_input_tokens"] == 400 + 3
    assert sum(parts.values()) == used["cache_creation_input_tokens"]
    assert (line["usage"]["cache_write"], line["usage"]["cache_write_1h"]) == (403, parts["ephemeral_1h_input_tokens"])


def test_a_model_that_thinks_bills_its_thinking(provider: Provider) -> None:
    """Opus begins with a block of thinking, whose tokens are a part of the output."""
    answer = send(provider, "Prove it.", "claude-opus-5-5", max_tokens=2000).json()

    assert [block["type"] for block in answer["content"]] == ["thinking", "text"]
    assert 0 < answer["usage"]["output_tokens_details"]["thinking_tokens"] < answer["usage"]["output_tokens"]


@pytest.mark.parametrize(
    ("fields", "status", "kind", "words"),
    [
        ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens: Field required"),
        ({"messages": []}, 400, "invalid_request_error", "messages: at least one message"),
        ({"messages": [{"role": "system", "content": "x"}]}, 400, "invalid_request_error", "messages.0.role: "),
        ({"model": "gpt-6-luna"}, 404, "not_found_error", "model: gpt-6-luna"),
    ],
)
def test_bad_requests_are_refused(
    provider: Provider, fields: dict[str, Any], status: int, kind: str, words: str
) -> None:
    """What Anthropic refuses is refused in its shape."""
    refused = send(provider, "hi", **fields)

    assert refused.status_code == status
    assert refused.json()["type"] == "error"
    assert refused.json()["error"]["type"] == kind
    assert refused.json()["error"]["message"].startswith(words)


@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limit_error"), (529, "overloaded_error"), (500, "api_error")])
def test_statuses_are_injected_in_its_shape(provider: Provider, status: int, kind: str) -> None:
    """A fault asked for comes with Anthropic's word for it."""
    refused = send(provider, f"hi [[sim: status={status} retry_after=2]]")

    assert (refused.status_code, refused.json()["error"]["type"]) == (status, kind)
    assert refused.headers["retry-after"] == "2"


def test_a_key_is_needed(provider: Provider) -> None:
    """OpenAI's header is no key here."""
    refused = provider.http.post("/v1/messages", json={})

    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")


def test_broken_streams_are_billed_for_what_they_gave(provider: Provider) -> None:
    """An error event ends a stream; what came before it is on the invoice."""
    streamed = events(send(provider, "hi [[sim: tokens=9 error_in_stream=5]]", stream=True))
    line = provider.line(streamed[0]["message"]["id"])

    assert streamed[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert (line["complete"], line["usage"]["output"]) == (False, 2)
