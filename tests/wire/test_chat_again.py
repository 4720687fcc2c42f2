"""An answer in its other form: a completion as events, events as a completion; exact, or not at all."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.wire import chat_again, sse

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
texts = st.none() | st.text(max_size=80)
calls = st.lists(
    st.builds(
        lambda id_, name, arguments: {
            "id": id_, "type": "function", "function": {"name": name, "arguments": arguments},
        },
        st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8), st.text(max_size=40),
    ),
    max_size=3,
)  # fmt: skip


def told(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    """Return a completion of one choice."""
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    head = {"id": "c1", "object": "chat.completion", "created": 7, "model": "m"}
    return {**head, "choices": [choice], "usage": USAGE} | more


def message_of(body: bytes) -> dict[str, Any]:
    """Return a completion's message, without what says nothing."""
    message = orjson.loads(body)["choices"][0]["message"]
    return {name: value for name, value in message.items() if value}


@given(texts, texts, calls)
def test_there_and_back(content: str | None, refusal: str | None, tools: list[dict[str, Any]]) -> None:
    """Whatever was said, refused and called is said, refused and called; each event is one of the API's."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    body = orjson.dumps(told(message | ({"tool_calls": tools} if tools else {})))

    events = chat_again.events(body, include_usage=False)
    assert events is not None
    for event in events:
        ChatCompletionChunk.model_validate_json(sse.payload(event) or b"")
    back = chat_again.completion(b"".join(events), USAGE)

    assert back is not None
    ChatCompletion.model_validate_json(back)
    assert message_of(back) == message_of(body)
    assert orjson.loads(back)["usage"] == USAGE


def test_usage_comes_last_for_who_asked_for_it() -> None:
    """In an event of its own, null before."""
    events = chat_again.events(orjson.dumps(told({"role": "assistant", "content": "a b"})), include_usage=True)

    assert events is not None
    found = [orjson.loads(sse.payload(each) or b"") for each in events]
    assert [each["usage"] for each in found[:-1]] == [None] * (len(found) - 1)
    assert (found[-1]["choices"], found[-1]["usage"]) == ([], USAGE)


@pytest.mark.parametrize(
    "body",
    [
        told({"role": "assistant", "content": "hi", "audio": {"id": "a"}}),
        told({"role": "assistant", "content": "hi", "annotations": [{"type": "url_citation"}]}),
        told({"role": "assistant", "content": "hi"}, of_tomorrow=1),
        told({"role": "assistant", "content": "hi"}) | {"choices": []},
        [],
    ],
    ids=str,
)
def test_what_no_stream_can_say_is_no_stream(body: Any) -> None:
    """Better the provider once more than half an answer."""
    assert chat_again.events(orjson.dumps(body), include_usage=False) is None


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """Return one event of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish} | more
    return sse.event(orjson.dumps({"id": "c1", "created": 7, "model": "m", "object": "x", "choices": [choice]}))


@pytest.mark.parametrize(
    "stream",
    [
        chunk({"content": "hi"}),
        chunk({"content": "hi"}, "stop", index=1),
        chunk({"content": "hi", "audio": {}}, "stop"),
        chunk({"content": "hi"}, "stop", of_tomorrow=1),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}, "tool_calls"),
        b"data: {\n\n" + chunk({}, "stop"),
        b"",
    ],
    ids=str,
)
def test_a_stream_that_says_more_or_less_gives_no_answer(stream: bytes) -> None:
    """No end, another choice, a field that is not known, a call that never began, no JSON."""
    assert chat_again.completion(stream, USAGE) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_none(data: bytes) -> None:
    """Nothing raises."""
    chat_again.completion(data, USAGE)
    chat_again.events(data, include_usage=True)
