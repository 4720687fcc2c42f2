"""What Anthropic answers: messages, streams, usage and errors, as chat completions and for the books."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin.usage import Usage
from proxy.settings import Deployment, Provider
from proxy.upstream import dialects
from proxy.upstream.dialects import anthropic
from proxy.upstream.dialects.translated import TranslatedStream
from proxy.wire import chat
from proxy.wire.errors import Refused, UpstreamBroke, UpstreamBusy, UpstreamFailed
from tests.upstream.completed import added_up, chunks, fed_in_pieces, told

AT_S = 1_795_000_000
PROVIDER = Provider("anthropic", "anthropic", "https://api.anthropic.com", None, enabled=True)
DEPLOYMENT = Deployment("ours", PROVIDER, "claude-haiku-5-5", prices=None, free=True)
ASK = chat.read(b'{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}')
USAGE = {
    "input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7, "output_tokens": 9,
    "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
    "output_tokens_details": {"thinking_tokens": 4}, "service_tier": "standard",
}  # fmt: skip
BUCKETS = Usage(input=10, cache_read=100, cache_write_5m=5, cache_write_1h=2, output=5, reasoning=4)


def message(content: list[dict[str, Any]], stop: str | None = "end_turn", **fields: Any) -> dict[str, Any]:
    """A whole answer."""
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "content": content,
            "stop_reason": stop, "stop_sequence": None, "usage": USAGE, **fields}  # fmt: skip


def events(answer: dict[str, Any], piece_chars: int = 3) -> list[dict[str, Any]]:
    """The events that an answer would be streamed in: its start, block after block in pieces, its end."""
    begun = {**answer, "content": [], "stop_reason": None, "usage": {**answer["usage"], "output_tokens": 1}}
    del begun["usage"]["output_tokens_details"]
    found: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(answer["content"]):
        kind, name, delta = {
            "text": ("text", "text", "text_delta"),
            "thinking": ("thinking", "thinking", "thinking_delta"),
            "tool_use": ("tool_use", "partial_json", "input_json_delta"),
        }[block["type"]]
        whole = orjson.dumps(block["input"]).decode() if kind == "tool_use" else block[name]
        empty = {**block, "input": {}} if kind == "tool_use" else {**block, name: ""}
        found.append({"type": "content_block_start", "index": index, "content_block": empty})
        starts = range(0, len(whole), piece_chars) if whole != "{}" else ()
        parts = ({"type": delta, name: whole[at : at + piece_chars]} for at in starts)
        found += ({"type": "content_block_delta", "index": index, "delta": part} for part in parts)
        found.append({"type": "content_block_stop", "index": index})
    told = {name: value for name, value in answer["usage"].items() if name not in {"cache_creation", "service_tier"}}
    ending = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    return [*found, {"type": "message_delta", "delta": ending, "usage": told}, {"type": "message_stop"}]


def wire(found: Iterable[dict[str, Any]]) -> bytes:
    """Events as they are sent."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in found)


def stream(*, usage_asked: bool = True) -> TranslatedStream:
    """A stream to feed."""
    options = {"include_usage": usage_asked}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True, "stream_options": options}
    return dialects.stream(DEPLOYMENT, chat.read(orjson.dumps(body)), AT_S)


CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Łódź"}}
BARE = {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}


def test_a_plain_answer() -> None:
    """Its id, its usage in buckets, and a chat completion."""
    call_id, usage, body = dialects.read_answer(
        DEPLOYMENT, ASK, orjson.dumps(message([{"type": "text", "text": "Hello"}])), AT_S
    )

    assert (call_id, usage) == ("msg_1", BUCKETS)
    assert orjson.loads(body) == {
        "id": "msg_1", "object": "chat.completion", "created": AT_S, "model": "claude-haiku-5-5",
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": None,
            "message": {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []},
        }],
        "usage": {
            "prompt_tokens": 10 + 100 + 5 + 2, "completion_tokens": 9, "total_tokens": 117 + 9,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 7, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
        },
    }  # fmt: skip


def test_thinking_words_and_calls() -> None:
    """Each in its field; arguments are text; what the provider ran itself is passed over."""
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "I look"}, CALL, {"type": "server_tool_use", "id": "s", "name": "n", "input": {}},
        BARE,
    ]  # fmt: skip
    _, _, body = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(message(content, "tool_use")), AT_S)

    found = told(orjson.loads(body))
    assert (found["thought"], found["text"], found["finish"]) == ("hm", "I look", "tool_calls")
    assert found["calls"] == [
        {"id": "toolu_1", "name": "weather", "arguments": '{"city":"Łódź"}'},
        {"id": "toolu_2", "name": "now", "arguments": "{}"},
    ]


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("pause_turn", "stop"), ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"), ("tool_use", "tool_calls"), ("refusal", "content_filter"),
        ("tomorrow's", "stop"), (None, "stop"),
    ],
)  # fmt: skip
def test_why_it_ends(stop: str | None, finish: str) -> None:
    """Each reason has a word in chat, whole and streamed."""
    answer = message([{"type": "text", "text": "x"}], stop)
    _, _, body = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(answer), AT_S)
    streamed = stream().feed(wire(events(answer)))

    assert orjson.loads(body)["choices"][0]["finish_reason"] == finish
    assert added_up(chunks(streamed))["finish"] == finish


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"type":"error","error":{}}', b'{"id":"a","model":"m","content":[5]}',
     orjson.dumps(message([{"type": "tool_use", "id": 5}])), b'{"content":[],"id":"x"}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_answer_is_broken(body: bytes) -> None:
    """A 200 with anything else than a message is the provider's failure."""
    with pytest.raises(UpstreamBroke):
        dialects.read_answer(DEPLOYMENT, ASK, body, AT_S)


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        ({"input_tokens": 3, "output_tokens": 2}, Usage(input=3, output=2)),
        ({"input_tokens": 3, "output_tokens": 2, "cache_creation_input_tokens": 4}, Usage(3, 0, 4, 0, 2)),
        ({"input_tokens": 3, "output_tokens": 2, "cache_creation": {"ephemeral_1h_input_tokens": 4}},
         Usage(3, 0, 0, 4, 2)),
        ({"input_tokens": 3, "output_tokens": 2, "cache_creation_input_tokens": 9,
          "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 4}}, None),
        ({"input_tokens": 3, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 3}}, None),
        ({"input_tokens": True, "output_tokens": 2}, None),
        ({"input_tokens": -1, "output_tokens": 2}, None),
        ({"input_tokens": 3}, None),
        (None, None),
    ],
)  # fmt: skip
def test_usage_in_its_several_shapes(usage: Any, found: Usage | None) -> None:
    """Writes with and without lifetimes; what contradicts itself counts as not reported, and is not told."""
    _, read, body = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(message([], usage=usage)), AT_S)

    assert read == found
    assert ("usage" in orjson.loads(body)) is (found is not None)


CONTENTS = st.lists(
    st.one_of(
        st.text(min_size=1).map(lambda words: {"type": "text", "text": words}),
        st.text(min_size=1).map(lambda words: {"type": "thinking", "thinking": words, "signature": "s"}),
        st.dictionaries(st.text(), st.text() | st.integers(-9, 9), max_size=3).map(
            lambda given: {"type": "tool_use", "id": "toolu", "name": "f", "input": given}
        ),
    ),
    max_size=5,
)


@settings(deadline=None)
@given(content=CONTENTS, cuts=st.lists(st.integers(1, 40), max_size=60), crlf=st.booleans(), piece=st.integers(1, 9))
def test_a_stream_says_what_a_whole_answer_says(content: list[Any], cuts: list[int], crlf: bool, piece: int) -> None:
    """Cut at any byte, with either line end, in pieces of any size: the same words, calls, reason and usage."""
    answer = message(content, "tool_use")
    sent = wire(events(answer, piece))
    sent = sent.replace(b"\n\n", b"\r\n\r\n") if crlf else sent
    reader = stream()
    got = fed_in_pieces(reader, sent, cuts)

    _, usage, whole = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(answer), AT_S)

    assert reader.finished
    assert not reader.error
    assert added_up(chunks(got)) == told(orjson.loads(whole))
    assert (reader.call_id, reader.usage) == ("msg_1", usage)
    assert b"[DONE]" not in got


def test_a_stream_that_is_cut_knows_its_input() -> None:
    """The start told the input and its cache; the output is our count, and all of it is marked as an estimate."""
    reader = stream()
    reader.feed(wire(events(message([{"type": "text", "text": "abcdefghi"}]))[:5]))

    assert not reader.finished
    assert reader.usage == Usage(10, 100, 5, 2, output=2, source="estimated")


@pytest.mark.parametrize(
    "bad",
    [
        wire([{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}]),
        b"data: {\n\n",
        b"data: [1]\n\n",
        wire([{"type": "content_block_delta", "index": 0}]),
        wire([{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}}]),
    ],
)
def test_what_cannot_be_read_breaks_the_answer_off(bad: bytes) -> None:
    """An error, or an event that may have held words: nothing of it or after it is relayed."""
    whole = events(message([{"type": "text", "text": "abc"}]))
    reader = stream()
    before = reader.feed(wire(whole[:4]))

    after = reader.feed(bad + wire(whole[4:]))

    assert before
    assert (after, reader.error, reader.finished) == (b"", True, False)


def test_unknown_events_and_fields_are_passed_over() -> None:
    """A kind of event, block or delta from tomorrow changes nothing."""
    found = events(message([{"type": "text", "text": "abc"}]))
    strange = [
        {"type": "tomorrow", "x": 1},
        {"type": "content_block_start", "index": 7, "content_block": {"type": "tomorrow"}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "signature_delta", "signature": "s"}},
        {"type": "content_block_stop", "index": 7, "x": {}},
    ]

    assert stream().feed(wire([*found[:4], *strange, *found[4:]])) == stream().feed(wire(found))


def test_half_a_surrogate_pair_is_relayed() -> None:
    """Models cut emoji in two; the halves go on as they came."""
    start, *rest = events(message([{"type": "text", "text": "a"}]))
    half = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ud83d"}}\n\n'

    got = stream().feed(wire([start, rest[1]]) + half)

    assert b'"content":"\\ud83d"' in got


@pytest.mark.parametrize(
    ("status", "error", "param", "code"),
    [
        (
            400,
            {"type": "invalid_request_error", "message": "max_tokens: 5 > 4, which is the maximum"},
            "max_tokens",
            None,
        ),
        (400, {"message": "messages.3.content.0: bad"}, "messages", None),
        (400, {"message": "output_config.effort: no such"}, "reasoning_effort", None),
        (400, {"message": "prompt is too long: 9 tokens > 8 maximum"}, None, "context_length_exceeded"),
        (400, {"message": "x", "details": {"error_code": "some_code"}}, None, "some_code"),
        (413, {"type": "request_too_large", "message": "Too large"}, None, None),
    ],
)
def test_a_refusal_is_mapped_field_by_field(status: int, error: dict[str, Any], param: Any, code: Any) -> None:
    """Message, the caller's field, and the code that clients look for."""
    found = anthropic.read_error(status, orjson.dumps({"type": "error", "error": error, "request_id": "req_1"}), None)

    assert isinstance(found, Refused)
    assert (found.status, found.message, found.param, found.code) == (status, error["message"], param, code)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 500, 503])
def test_our_trouble_with_the_provider_is_no_fault_of_the_caller(status: int) -> None:
    """502, and nothing of the provider's words."""
    found = anthropic.read_error(status, b'{"error":{"message":"your key sk-ant"}}', None)

    assert type(found) is UpstreamFailed
    assert "sk-ant" not in found.message


@pytest.mark.parametrize(("status", "word"), [(429, "rate limit"), (529, "overloaded")])
def test_busy_says_when_to_come_back(status: int, word: str) -> None:
    """A limit and an overload are both a 429 with the provider's `retry-after`."""
    found = anthropic.read_error(status, b"", b"7")

    assert type(found) is UpstreamBusy
    assert (found.status, found.retry_after_s) == (429, 7)
    assert word in found.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":5}', b'{"error":{"message":5}}', b"[" * 100_000])
def test_an_error_that_is_none_of_theirs(body: bytes) -> None:
    """A sentence of ours stands in."""
    assert anthropic.read_error(400, body, None).message == "The provider refused the request."
