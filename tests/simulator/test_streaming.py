"""Streamed chat answers, byte by byte."""

import json
from typing import Any

from tests.simulator.conftest import Provider
from tests.simulator.test_chat import WEATHER, ask


def events(raw: str) -> list[str]:
    """Return the data of each server-sent event, after checking that there is nothing else."""
    assert raw.endswith("\n\n")
    blocks = raw.removesuffix("\n\n").split("\n\n")
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    return [block.removeprefix("data: ") for block in blocks]


def chunks(raw: str) -> list[dict[str, Any]]:
    """Return the chunks of a stream that ends as it should."""
    *data, done = events(raw)
    assert done == "[DONE]"
    return [json.loads(one) for one in data]


def test_the_bytes_are_well_formed(provider: Provider) -> None:
    """A role, a token per chunk, a finish reason, the end; one id throughout and no usage."""
    response = provider.chat("Tell me [[sim: tokens=9]]", stream=True)
    first, *contents, last = chunks(response.text)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert len(contents) == 9
    assert all(set(chunk["choices"][0]["delta"]) == {"content"} for chunk in contents)
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert {chunk["id"] for chunk in (first, *contents)} == {last["id"]}
    assert all("usage" not in chunk for chunk in (first, *contents, last))


def test_usage_comes_last_when_asked_for(provider: Provider) -> None:
    """All chunks say null but an extra one without choices, which has the whole usage."""
    fields = {"stream": True, "stream_options": {"include_usage": True}}
    *before, last = chunks(provider.chat("Tell me [[sim: tokens=9]]", **fields).text)

    assert all(chunk["usage"] is None for chunk in before)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 9
    assert last["usage"]["prompt_tokens_details"].keys() == {
        "cached_tokens",
        "cache_write_tokens",
        "audio_tokens",
    }
    assert last["usage"]["completion_tokens_details"].keys() == {
        "reasoning_tokens",
        "audio_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
    }


def test_a_stream_says_what_a_plain_answer_says(provider: Provider) -> None:
    """The SDK puts together the same text and usage from a stream as from a plain answer."""
    plain = provider.sdk.chat.completions.create(model="gpt-6-astra", messages=ask("Why is the sky blue?"))
    stream = provider.sdk.chat.completions.create(
        model="gpt-6-astra",
        messages=ask("Why is the sky blue?"),
        stream=True,
        stream_options={"include_usage": True},
    )
    received = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in received if chunk.choices)
    assert text == plain.choices[0].message.content
    assert received[-1].usage == plain.usage


def test_tool_calls_are_streamed_in_pieces(provider: Provider) -> None:
    """Parallel calls come one after the other: id and name first, then pieces of arguments."""
    fields = {"tools": [WEATHER], "stream": True}
    received = chunks(provider.chat("Weather in Oslo [[sim: tools=2]]", **fields).text)

    parts = [call for one in received for call in one["choices"][0]["delta"].get("tool_calls", [])]
    arguments = ["".join(part["function"]["arguments"] for part in parts if part["index"] == index) for index in (0, 1)]
    assert [part["function"]["name"] for part in parts if "id" in part] == ["get_weather"] * 2
    assert len({part["id"] for part in parts if "id" in part}) == 2
    assert [json.loads(one)["city"] for one in arguments] == ["Oslo", "Oslo"]
    assert len(parts) > 4
    assert received[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_choices_are_streamed_side_by_side(provider: Provider) -> None:
    """With `n`, each choice has its role, its tokens and its finish reason."""
    received = chunks(provider.chat("Go [[sim: tokens=4]]", n=2, stream=True).text)

    order = [chunk["choices"][0]["index"] for chunk in received]
    assert order == [0, 1] * (1 + 4 + 1)
