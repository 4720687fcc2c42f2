"""What Google's Gemini answers: responses, streams, usage and errors, as chat completions and for the books."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin.usage import Usage
from proxy.settings import Deployment, Provider
from proxy.upstream import dialects
from proxy.upstream.dialects import gemini, signatures
from proxy.upstream.dialects.signatures import Signature
from proxy.upstream.dialects.translated import TranslatedStream
from proxy.wire import chat
from proxy.wire.errors import Refused, UpstreamBroke, UpstreamBusy, UpstreamFailed
from tests.upstream.completed import added_up, chunks, fed_in_pieces, told

AT_S = 1_795_000_000
PROVIDER = Provider("gemini", "gemini", "https://generativelanguage.googleapis.com/v1beta", None, enabled=True)
DEPLOYMENT = Deployment("ours", PROVIDER, "gemini-3.8-flash", prices=None, free=True)
ASK = chat.read(b'{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}')
USAGE = {
    "promptTokenCount": 120, "cachedContentTokenCount": 100, "candidatesTokenCount": 5, "thoughtsTokenCount": 4,
    "toolUsePromptTokenCount": 3, "totalTokenCount": 120 + 5 + 4 + 3, "serviceTier": "standard",
}  # fmt: skip
BUCKETS = Usage(input=120 - 100 + 3, cache_read=100, output=5, reasoning=4)


def response(parts: list[dict[str, Any]], finish: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    """A whole answer, or an event of a stream when nothing finishes it."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    whole = {"candidates": [candidate], "modelVersion": "gemini-3.8-flash", "responseId": "r1", "usageMetadata": USAGE}
    return {name: value for name, value in (whole | fields).items() if value is not None}


def events(answer: dict[str, Any], piece_chars: int = 3) -> list[dict[str, Any]]:
    """The events that an answer would be streamed in: text in pieces, calls whole, the reason last."""
    (candidate,) = answer["candidates"]
    begun = {"promptTokenCount": 120, "candidatesTokenCount": 1, "totalTokenCount": 121}
    found = []
    for part in candidate["content"]["parts"]:
        text = part.get("text", "")
        pieces = [{**part, "text": text[at : at + piece_chars]} for at in range(0, len(text), piece_chars)] or [part]
        found += [response([piece], None, usageMetadata=begun) for piece in pieces]
    return [*found, {**answer, "candidates": [{**candidate, "content": {"role": "model", "parts": [{"text": ""}]}}]}]


def wire(found: Iterable[dict[str, Any]], end: bytes = b"\r\n\r\n") -> bytes:
    """Events as they are sent."""
    return b"".join(b"data: %b%b" % (orjson.dumps(each), end) for each in found)


def stream(*, usage_asked: bool = True) -> TranslatedStream:
    """A stream to feed."""
    options = {"include_usage": usage_asked}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True, "stream_options": options}
    return dialects.stream(DEPLOYMENT, chat.read(orjson.dumps(body)), AT_S)


def test_a_plain_answer() -> None:
    """Its id, its usage in buckets, and a chat completion."""
    call_id, usage, body = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(response([{"text": "Hello"}])), AT_S)

    assert (call_id, usage) == ("r1", BUCKETS)
    assert orjson.loads(body) == {
        "id": "r1", "object": "chat.completion", "created": AT_S, "model": "gemini-3.8-flash",
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": None,
            "message": {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []},
        }],
        "usage": {
            "prompt_tokens": 123, "completion_tokens": 9, "total_tokens": 132,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
        },
    }  # fmt: skip


def test_thinking_words_and_calls() -> None:
    """Each in its field; a call without an id gets the same one each time; a signature goes along in the id."""
    parts = [
        {"text": "hm", "thought": True}, {"text": "I look"}, {"executableCode": {"code": "x"}},
        {"functionCall": {"id": "g1", "name": "weather", "args": {"city": "Łódź"}}, "thoughtSignature": "s+/="},
        {"functionCall": {"name": "now"}},
    ]  # fmt: skip
    (_, _, body), (_, _, again) = (
        dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(response(parts)), AT_S) for _ in range(2)
    )

    found = told(orjson.loads(body))
    assert (found["thought"], found["text"], found["finish"]) == ("hm", "I look", "tool_calls")
    first, second = found["calls"]
    assert (first["name"], first["arguments"]) == ("weather", '{"city":"Łódź"}')
    assert signatures.bare(first["id"]) == "g1"
    assert signatures.signature_in(first["id"]) == Signature("gemini-3.8-flash", "s+/=")
    assert (second["name"], second["arguments"]) == ("now", "{}")
    assert second["id"].startswith("call_")
    assert len(second["id"]) == 29
    assert body == again


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        ("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"), ("MALFORMED_FUNCTION_CALL", "content_filter"),
        ("TOMORROW_S", "content_filter"),
    ],
)  # fmt: skip
def test_why_it_ends(finish: str, word: str) -> None:
    """Each reason has a word in chat, whole and streamed."""
    answer = response([{"text": "x"}], finish)
    _, _, body = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(answer), AT_S)
    streamed = stream().feed(wire(events(answer)))

    assert orjson.loads(body)["choices"][0]["finish_reason"] == word
    assert added_up(chunks(streamed))["finish"] == word


def test_a_prompt_that_is_blocked() -> None:
    """No candidate, a reason: the answer is empty, was withheld, and its prompt is on the books."""
    used = {"promptTokenCount": 9, "totalTokenCount": 9}
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": used, "responseId": "r1"}

    call_id, usage, body = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(blocked), AT_S)
    reader = stream()
    streamed = added_up(chunks(reader.feed(wire([blocked]))))

    assert (call_id, usage) == ("r1", Usage(input=9))
    assert told(orjson.loads(body)) == streamed
    assert (streamed["text"], streamed["finish"], reader.finished) == ("", "content_filter", True)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"null", b"{}", b'{"error":{"code":503}}', b'{"candidates":5}', b'{"candidates":[5]}',
        b'{"candidates":[]}', b'{"candidates":[{"content":{"parts":5},"finishReason":"STOP"}]}',
        orjson.dumps(response([{"text": 5}])), orjson.dumps(response([{"text": "x"}], None)),
        orjson.dumps(response([{"functionCall": {"args": {}}}])), b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_answer_is_broken(body: bytes) -> None:
    """A 200 with anything else than a whole response is the provider's failure."""
    with pytest.raises(UpstreamBroke):
        dialects.read_answer(DEPLOYMENT, ASK, body, AT_S)


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        ({"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}, Usage(input=3, output=2)),
        ({"promptTokenCount": 3, "totalTokenCount": 3}, Usage(input=3)),
        ({"promptTokenCount": 3, "candidatesTokenCount": 2, "serviceTier": "FLEX"},
         Usage(input=3, output=2, service_tier="flex")),
        ({"promptTokenCount": 3, "serviceTier": "unspecified"}, Usage(input=3)),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 6,
          "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}, {"modality": "TEXT", "tokenCount": 5}],
          "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}]},
         Usage(input=9 - 6 - 1, cache_read=6, audio_in=4 - 3)),
        ({"promptTokenCount": 3, "cachedContentTokenCount": 4}, None),
        ({"promptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 8}, None),
        ({"promptTokenCount": True}, None),
        ({"promptTokenCount": -1}, None),
        ({"promptTokenCount": 3, "candidatesTokenCount": "2"}, None),
        ({"candidatesTokenCount": 3}, None),
        (None, None),
    ],
)  # fmt: skip
def test_usage_in_its_several_shapes(usage: Any, found: Usage | None) -> None:
    """What is zero may be left out; what contradicts itself counts as not reported, and is not told."""
    _, read, body = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(response([], usageMetadata=usage)), AT_S)

    assert read == found
    assert ("usage" in orjson.loads(body)) is (found is not None)


COUNT = st.integers(0, 10**9)


@given(prompt=COUNT, share=st.floats(0, 1), candidates=COUNT, thoughts=COUNT, tool_use=COUNT)
def test_no_token_is_lost_or_doubled(prompt: int, share: float, candidates: int, thoughts: int, tool_use: int) -> None:
    """The buckets add up to Google's own total."""
    usage = {
        "promptTokenCount": prompt, "cachedContentTokenCount": int(prompt * share), "candidatesTokenCount": candidates,
        "thoughtsTokenCount": thoughts, "toolUsePromptTokenCount": tool_use,
        "totalTokenCount": prompt + candidates + thoughts + tool_use,
    }  # fmt: skip
    _, read, _ = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(response([], usageMetadata=usage)), AT_S)

    assert read is not None
    assert read.total == usage["totalTokenCount"]
    assert (read.cache_read, read.reasoning) == (usage["cachedContentTokenCount"], thoughts)


CONTENTS = st.lists(
    st.one_of(
        st.text(min_size=1).map(lambda words: {"text": words}),
        st.text(min_size=1).map(lambda words: {"text": words, "thought": True}),
        st.tuples(st.dictionaries(st.text(), st.text() | st.integers(-9, 9), max_size=3), st.text()).map(
            lambda it: {"functionCall": {"name": "f", "args": it[0]}, "thoughtSignature": it[1]}
        ),
    ),
    max_size=5,
)


@settings(deadline=None)
@given(content=CONTENTS, cuts=st.lists(st.integers(1, 40), max_size=60), lf=st.booleans(), piece=st.integers(1, 9))
def test_a_stream_says_what_a_whole_answer_says(content: list[Any], cuts: list[int], lf: bool, piece: int) -> None:
    """Cut at any byte, with either line end, in pieces of any size: the same words, calls, reason and usage."""
    answer = response(content)
    sent = wire(events(answer, piece), b"\n\n" if lf else b"\r\n\r\n")
    reader = stream()
    got = fed_in_pieces(reader, sent, cuts)

    _, usage, whole = dialects.read_answer(DEPLOYMENT, ASK, orjson.dumps(answer), AT_S)

    assert reader.finished
    assert not reader.error
    assert added_up(chunks(got)) == told(orjson.loads(whole))
    assert (reader.call_id, reader.usage) == ("r1", usage)
    assert b"[DONE]" not in got


def test_usage_that_comes_after_the_end_is_read() -> None:
    """In an event of its own, as some gateways send it; an OpenAI-like `[DONE]` after it is no event of Gemini's."""
    last = {"usageMetadata": USAGE, "responseId": "r1"}
    reader = stream()
    got = reader.feed(wire([response([{"text": "Hi"}], usageMetadata=None), last]) + b"data: [DONE]\n\n")

    assert (reader.usage, reader.finished, reader.error) == (BUCKETS, True, False)
    assert chunks(got)[-1]["usage"]["total_tokens"] == 132


def test_words_after_the_end_break_it() -> None:
    """They would be lost otherwise."""
    reader = stream()
    reader.feed(wire([response([{"text": "Hi"}]), response([{"text": "there"}])]))

    assert reader.error


def test_a_stream_that_is_cut_knows_its_input() -> None:
    """Each event told the prompt; the output is their count or ours, whichever is more, and marked as an estimate."""
    reader = stream()
    reader.feed(wire(events(response([{"text": "abcdefghi"}]))[:3]))

    assert not reader.finished
    assert reader.usage == Usage(input=120, output=3, source="estimated")


@pytest.mark.parametrize(
    "bad",
    [
        wire([{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}]),
        b"data: {\n\n",
        b"data: [1]\n\n",
        wire([{"candidates": [{"content": "x"}]}]),
        wire([response([{"text": 5}], None)]),
    ],
)
def test_what_cannot_be_read_breaks_the_answer_off(bad: bytes) -> None:
    """An error, or an event that may have held words: nothing of it or after it is relayed."""
    whole = events(response([{"text": "abc"}]))
    reader = stream()
    before = reader.feed(wire(whole[:1]))

    after = reader.feed(bad + wire(whole[1:]))

    assert before
    assert (after, reader.error, reader.finished) == (b"", True, False)


def test_unknown_parts_and_two_hundred_fields_are_passed_over() -> None:
    """A kind of part or a field from tomorrow changes nothing."""
    extra = {f"field_{n}": {"n": n} for n in range(200)}
    strange = response([{"tomorrow": 1, **extra}, {"thoughtSignature": "s", "text": ""}], None, **extra)
    found = events(response([{"text": "abc"}]))

    assert stream().feed(wire([*found[:1], strange, *found[1:]])) == stream().feed(wire(found))


def test_half_a_surrogate_pair_is_relayed() -> None:
    """Models cut emoji in two; the halves go on as they came."""
    got = stream().feed(b'data: {"candidates":[{"content":{"parts":[{"text":"\\ud83d"}]}}],"responseId":"r"}\r\n\r\n')

    assert b'"content":"\\ud83d"' in got


def refusal(status: str, message: str = "no", **detail: Any) -> bytes:
    """An error body, with one detail if any is told."""
    details = [{"@type": f"type.googleapis.com/google.rpc.{detail.pop('kind')}", **detail}] if detail else []
    return orjson.dumps({"error": {"code": 400, "message": message, "status": status, "details": details}})


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("contents[1].parts[0]", "messages"), ("generation_config.max_output_tokens", "max_tokens"),
        ("generationConfig.thinkingConfig.thinkingLevel", "reasoning_effort"), ("tools[0]", "tools"),
        ("somewhere", None), (5, None),
    ],
)  # fmt: skip
def test_a_refusal_is_mapped_field_by_field(field: Any, param: str | None) -> None:
    """The message is passed on, and the caller's field is named."""
    body = refusal("INVALID_ARGUMENT", "bad", kind="BadRequest", fieldViolations=[{"field": field}])

    for each in (body, b"[" + body + b"]"):
        found = gemini.read_error(400, each, None)
        assert isinstance(found, Refused)
        assert (found.status, found.message, found.param, found.code) == (400, "bad", param, None)


def test_a_prompt_that_is_too_long_has_the_code_that_clients_look_for() -> None:
    """In OpenAI's word."""
    message = "The input token count (9) exceeds the maximum number of tokens allowed (8)."

    assert gemini.read_error(400, refusal("INVALID_ARGUMENT", message), None).code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, refusal("INVALID_ARGUMENT", kind="ErrorInfo", reason="API_KEY_INVALID")),
        (400, refusal("FAILED_PRECONDITION")),
        (401, b""), (403, refusal("PERMISSION_DENIED")), (404, refusal("NOT_FOUND")), (500, b""), (504, b""),
    ],
)  # fmt: skip
def test_our_trouble_with_the_provider_is_no_fault_of_the_caller(status: int, body: bytes) -> None:
    """A bad key of ours is a 400 there; nothing of what it says is passed on."""
    found = gemini.read_error(status, body, None)

    assert type(found) is UpstreamFailed
    assert "no" not in found.message.split()


@pytest.mark.parametrize(
    ("body", "header", "after_s"),
    [
        (refusal("RESOURCE_EXHAUSTED", kind="RetryInfo", retryDelay="34.07482s"), b"7", 35),
        (refusal("RESOURCE_EXHAUSTED", kind="RetryInfo", retryDelay="soon"), b"7", 7),
        (b"", None, None),
    ],
)
@pytest.mark.parametrize(("status", "word"), [(429, "rate limit"), (503, "overloaded")])
def test_when_to_ask_again(status: int, word: str, body: bytes, header: bytes | None, after_s: int | None) -> None:
    """Google says it among the details, in fractions of a second."""
    found = gemini.read_error(status, body, header)

    assert type(found) is UpstreamBusy
    assert (found.status, found.retry_after_s) == (429, after_s)
    assert word in found.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":5}', b'{"error":{"message":5}}', b"[" * 100_000])
def test_an_error_that_is_none_of_theirs(body: bytes) -> None:
    """A sentence of ours stands in."""
    assert gemini.read_error(400, body, None).message == "The provider refused the request."
