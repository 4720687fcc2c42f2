"""OpenAI's wire format: usage into disjoint buckets, streams untouched but for what was not asked for."""

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.usage import Usage, UsageError
from proxy.upstream.dialects import foreign
from proxy.upstream.dialects import openai as family
from proxy.upstream.dialects.openai import chat as openai
from proxy.upstream.dialects.openai.chat import ChatStream
from proxy.wire import chat
from proxy.wire.errors import ProxyError, Refused, UpstreamBroke, UpstreamBusy, UpstreamFailed

ASK = chat.read(b'{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}')
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


# ---- usage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 20}, Usage(input=100, output=20)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
        ({"prompt_tokens": 7}, Usage(input=7)),
        (
            {**USAGE, "prompt_tokens_details": {"cached_tokens": 64}},
            Usage(input=100 - 64, cache_read=64, output=20),
        ),
        (
            {**USAGE, "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 30, "audio_tokens": 6}},
            Usage(input=100 - 64 - 30 - 6, cache_read=64, cache_write_5m=30, audio_in=6, output=20),
        ),
        (
            {**USAGE, "completion_tokens_details": {"reasoning_tokens": 15, "audio_tokens": 2}},
            Usage(input=100, output=20 - 15 - 2, reasoning=15, audio_out=2),
        ),
        (
            {**USAGE, "prompt_tokens_details": None, "completion_tokens_details": None},
            Usage(input=100, output=20),
        ),
        (
            {
                **USAGE,
                "prompt_tokens_details": {"cached_tokens": None, "audio_tokens": None},
                "completion_tokens_details": {"reasoning_tokens": None, "accepted_prediction_tokens": 3},
            },
            Usage(input=100, output=20),
        ),
        (
            {
                **USAGE,
                "prompt_tokens_details": {"cached_tokens": 100},
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(cache_read=100, reasoning=20),
        ),
    ],
    ids=["plain", "zero", "input-only", "cached", "all-input", "all-output", "null-details", "null-counts", "no-rest"],
)  # fmt: skip
def test_usage_becomes_disjoint_buckets(reported: dict[str, Any], usage: Usage) -> None:
    """The details are parts of the totals: each token is counted once, and the source is the provider."""
    found = openai.read_usage(reported)

    assert found == usage
    assert found is not None
    assert found.source == "reported"
    assert found.total == reported["prompt_tokens"] + reported.get("completion_tokens", 0)


@pytest.mark.parametrize(
    "reported", [None, {}, [], "100", 100, {"completion_tokens": 5}, {"prompt_tokens": None, "completion_tokens": 5}]
)
def test_usage_that_is_not_there_is_unknown(reported: Any) -> None:
    """Unknown is None, never zero tokens."""
    assert openai.read_usage(reported) is None


@pytest.mark.parametrize(
    "reported",
    [
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 101}},
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 41}},
        {**USAGE, "completion_tokens_details": {"reasoning_tokens": 21}},
        {**USAGE, "prompt_tokens": -1},
        {**USAGE, "prompt_tokens": 1.5},
        {**USAGE, "prompt_tokens": True},
        {**USAGE, "prompt_tokens": "100"},
        {**USAGE, "prompt_tokens": 10**13},
        {**USAGE, "completion_tokens": None},
        {**USAGE, "completion_tokens": -20},
        {**USAGE, "prompt_tokens_details": {"cached_tokens": -1}},
        {**USAGE, "prompt_tokens_details": {"cached_tokens": True}},
        {**USAGE, "prompt_tokens_details": {"cached_tokens": "64"}},
        {**USAGE, "completion_tokens_details": {"reasoning_tokens": 1.0}},
        {**USAGE, "total_tokens": 121},
        {**USAGE, "total_tokens": "120"},
        {**USAGE, "total_tokens": 184, "prompt_tokens_details": {"cached_tokens": 64}},
    ],
    ids=repr,
)
def test_usage_that_cannot_be_is_an_error(reported: dict[str, Any]) -> None:
    """A negative remainder, or what is no count: never clamped, never guessed."""
    with pytest.raises(UsageError):
        openai.read_usage(reported)


# ---- plain answers -------------------------------------------------------------------------------------------------


def test_a_plain_answer_gives_its_id_and_usage() -> None:
    """An answer without usage, or without an id, is an answer all the same."""
    whole = orjson.dumps({"id": "chatcmpl-1", "choices": [], "usage": USAGE})
    bare, odd = b'{"id":"a","choices":[]}', b'{"id":7,"choices":[],"usage":null}'

    assert openai.read_answer(whole, ASK) == ("chatcmpl-1", Usage(input=100, output=20), whole)
    assert openai.read_answer(bare, ASK) == ("a", None, bare)
    assert openai.read_answer(odd, ASK) == (None, None, odd)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"id":"a","choices":[', b"[]", b"null", b'{"error":{"message":"x"}}', b"\xff"]
)
def test_what_is_no_answer_is_broken(body: bytes) -> None:
    """A 200 with anything else than a completion is the provider's failure."""
    with pytest.raises(UpstreamBroke):
        openai.read_answer(body, ASK)


# ---- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "ours"),
    [
        (400, Refused, 400),
        (409, Refused, 409),
        (413, Refused, 413),
        (415, Refused, 415),
        (422, Refused, 422),
        (429, UpstreamBusy, 429),
        (401, UpstreamFailed, 502),
        (402, UpstreamFailed, 502),
        (403, UpstreamFailed, 502),
        (404, UpstreamFailed, 502),
        (500, UpstreamFailed, 502),
        (503, UpstreamFailed, 502),
        (529, UpstreamFailed, 502),
        (307, UpstreamFailed, 502),
        (204, UpstreamFailed, 502),
    ],
)
def test_each_status_is_somebody_s_doing(status: int, kind: type[ProxyError], ours: int) -> None:
    """Only what is said of the request itself is the caller's; our key and our quota are not."""
    body = orjson.dumps({"error": {"message": "secret sk-abc", "param": "messages", "code": "c", "type": "t"}})

    error = family.read_error(status, body, None)

    assert type(error) is kind
    assert error.status == ours
    if kind is Refused:
        assert (error.message, error.param, error.code) == ("secret sk-abc", "messages", "c")
    else:
        assert "sk-abc" not in error.message


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>bad</html>", b"[]", b'{"error":"text"}', b'{"error":null}', b'{"error":{"message":7}}', b"\xff"],
)
def test_a_refusal_that_says_nothing_is_worded_by_us(body: bytes) -> None:
    """No foreign text but an error object's own message."""
    error = family.read_error(400, body, None)

    assert error.message == "The provider refused the request."
    assert (error.param, error.code) == (None, None)


def test_a_provider_s_message_is_bounded() -> None:
    """A page of text is cut; so are param and code."""
    body = orjson.dumps({"error": {"message": "m" * 10_000, "param": "p" * 1000, "code": "c" * 1000}})

    error = family.read_error(400, body, None)

    assert error.message == "m" * foreign.MESSAGE_MAX
    assert (error.param, error.code) == ("p" * 256, "c" * 256)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"2", 2),
        (b"0", 0),
        (b"86400", 86400),
        (None, None),
        (b"", None),
        (b"1.5", None),
        (b"-1", None),
        (b"9999999", None),
        (b"Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("٣".encode(), None),
    ],
)
def test_when_to_retry_is_passed_on(header: bytes | None, seconds: int | None) -> None:
    """Whole seconds are; anything else is unknown."""
    assert family.read_error(429, b"", header).retry_after_s == seconds


def test_only_our_own_headers_go_upstream() -> None:
    """The key where there is one, and never an encoding that hides the bytes from the meter."""
    with_key, without = dict(family.request_headers("sk-x")), dict(family.request_headers(None))

    assert with_key[b"authorization"] == b"Bearer sk-x"
    assert b"authorization" not in without
    assert without[b"accept-encoding"] == b"identity"


# ---- streams -------------------------------------------------------------------------------------------------------


def chunk(content: str | None = None, *, usage: Any = "none", **fields: Any) -> bytes:
    """A chunk as OpenAI writes it; `usage` "none" leaves the field out."""
    delta = {} if content is None else {"content": content}
    found = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}], **fields}
    if usage != "none":
        found["usage"] = usage
    return b"data: %b\n\n" % orjson.dumps(found)


def usage_chunk() -> bytes:
    """The last chunk before `[DONE]`."""
    return chunk(choices=[], usage=USAGE)


def relayed(stream: ChatStream, pieces: list[bytes]) -> bytes:
    """Feed pieces and join what may go to the caller."""
    return b"".join(stream.feed(piece) for piece in pieces)


def test_who_asked_for_usage_gets_every_byte() -> None:
    """Only `[DONE]` is held back: the exchange sends it once the books are closed."""
    text = chunk("a", usage=None) + chunk("b", usage=None) + usage_chunk()
    stream = ChatStream(usage_asked=True)

    out = relayed(stream, [text + DONE])

    assert out == text
    assert stream.usage == Usage(input=100, output=20)
    assert (stream.finished, stream.error, stream.call_id) == (True, False, "chatcmpl-1")


def test_who_did_not_ask_gets_what_would_have_come_unasked() -> None:
    """Neither the usage chunk nor the null that asking for it adds to every other chunk."""
    text = chunk("a", usage=None) + chunk("b", usage=None) + usage_chunk() + DONE
    stream = ChatStream(usage_asked=False)

    assert relayed(stream, [text]) == chunk("a") + chunk("b")
    assert stream.usage == Usage(input=100, output=20)


def test_usage_beside_content_is_read_and_passed() -> None:
    """Some providers put it on chunks with choices: dropping those would lose content. The last report counts."""
    text = chunk("a", usage={"prompt_tokens": 100, "completion_tokens": 1}) + chunk("b", usage=USAGE)
    stream = ChatStream(usage_asked=False)

    assert relayed(stream, [text]) == text
    assert stream.usage == Usage(input=100, output=20)


def test_usage_that_contradicts_itself_is_noted() -> None:
    """The stream goes on; the usage stays unknown, and the error says why."""
    bad = {**USAGE, "prompt_tokens_details": {"cached_tokens": 101}}
    stream = ChatStream(usage_asked=False)

    assert relayed(stream, [chunk("a") + chunk(choices=[], usage=bad) + DONE]) == chunk("a")
    assert stream.usage is None
    assert isinstance(stream.usage_error, UsageError)
    assert stream.finished


TRICKY = [
    '"usage"', ',"usage":null', '{"usage":null}', '\\"usage\\":null', "usage", "[DONE]", "data: [DONE]",
    "\ndata: [DONE]\n\n", '"error"', '{"error":{"message":"x"}}', "\r\r", '"', "\\", "\u2028", "🦆",
]  # fmt: skip


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("text", TRICKY, ids=repr)
def test_content_that_looks_like_the_protocol_is_content(text: str, asked: bool) -> None:
    """What stands inside a JSON string is passed byte for byte and means nothing."""
    arguments = [{"index": 0, "delta": {"tool_calls": [{"function": {"arguments": text}}]}}]
    events = chunk(text) + chunk(choices=arguments)
    stream = ChatStream(usage_asked=asked)

    assert relayed(stream, [events]) == events
    assert (stream.finished, stream.error, stream.usage) == (False, False, None)


@given(
    st.lists(st.lists(st.sampled_from([*TRICKY, ",", ":null", "usage", "x"])).map("".join), max_size=4), st.booleans()
)
def test_no_content_is_ever_changed(texts: list[str], asked: bool) -> None:
    """Any mixture of protocol words in contents comes out as it went in, usage asked or not."""
    plain = b"".join(chunk(text) for text in texts)
    with_null = b"".join(chunk(text, usage=None) for text in texts)
    stream = ChatStream(usage_asked=asked)

    out = relayed(stream, [with_null + usage_chunk() + DONE])

    assert out == (with_null + usage_chunk() if asked else plain)
    assert stream.usage == Usage(input=100, output=20)
    assert (stream.finished, stream.error) == (True, False)


@pytest.mark.parametrize(
    "ending",
    [b"", b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE!]\n\n", b": [DONE]\n\n", b"event: [DONE]\n\n",
     b'data: "[DONE]"\n\n', chunk("[DONE]")],
    ids=repr,
)  # fmt: skip
def test_only_a_whole_done_finishes(ending: bytes) -> None:
    """Neither the word elsewhere, nor one that is cut, nor the connection's end."""
    stream = ChatStream(usage_asked=False)

    relayed(stream, [chunk("a") + usage_chunk() + ending])

    assert not stream.finished


@pytest.mark.parametrize(
    "ending", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE]\r\n\r\n", b"data: [DONE] \n\n"]
)
def test_every_spelling_of_done_finishes(ending: bytes) -> None:
    """With and without the space, and with other line ends."""
    stream = ChatStream(usage_asked=False)

    assert relayed(stream, [chunk("a") + ending]) == chunk("a")
    assert stream.finished


def test_an_error_in_the_stream_is_held_back() -> None:
    """The provider's text may hold anything: the caller gets an event of ours instead."""
    stream = ChatStream(usage_asked=False)

    out = relayed(stream, [chunk("a") + b'data: {"error":{"message":"at 10.0.0.7","code":null}}\n\n'])

    assert out == chunk("a")
    assert (stream.error, stream.finished) == (True, False)


def test_a_null_error_is_none() -> None:
    """Some servers state the field in every chunk."""
    stream = ChatStream(usage_asked=False)

    assert relayed(stream, [chunk("a", error=None)]) == chunk("a", error=None)
    assert not stream.error


SURROGATE = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"\\ud83e"}}]}\n\n'


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize(
    "odd",
    [
        SURROGATE,
        b"data: \xff\xfe not UTF-8\n\n",
        b'data: {"id":"chatcmpl-garbage","choices":[{"ind\n\n',
        b": keep-alive\n\n",
        b"event: ping\ndata: {}\n\n",
        b"data: []\n\n",
        b"data\n\n",
        b"\n\n",
        SURROGATE[:-2].replace(b"}\n", b"") + b',"usage"\n\n',
    ],
    ids=lambda odd: repr(odd[:20]),
)
def test_what_we_cannot_read_passes_byte_for_byte(odd: bytes, asked: bool) -> None:
    """Half a surrogate pair is what providers send when an emoji is split over two chunks."""
    stream = ChatStream(usage_asked=asked)

    assert relayed(stream, [odd + chunk("a") + odd]) == odd + chunk("a") + odd
    assert (stream.finished, stream.error) == (False, False)


def test_a_lone_surrogate_loses_its_null_usage_too() -> None:
    """The frame itself is as the provider would have sent it unasked."""
    asked_for = SURROGATE.replace(b"]}\n\n", b'],"usage":null}\n\n')

    assert relayed(ChatStream(usage_asked=False), [asked_for]) == SURROGATE


STREAMS = {
    "plain": chunk("a", usage=None) + chunk('"usage" [DONE]', usage=None) + usage_chunk() + DONE,
    "CRLF": (chunk("a", usage=None) + usage_chunk() + DONE).replace(b"\n", b"\r\n"),
    "CR": (chunk("a", usage=None) + usage_chunk() + DONE).replace(b"\n", b"\r"),
    "odd": SURROGATE + b": ping\n\n" + b"data: {\ndata: }\n\n" + chunk("🦆", usage=None) + usage_chunk() + DONE,
    "unfinished": chunk("a", usage=None) + usage_chunk() + b"data: [DO",
    "surrogate first": SURROGATE.replace(b'"choices"', b'"x":"\\ud800","choices"') + chunk("a"),
    "error": chunk("a", usage=None) + b'data: {"error":{"message":"x"}}\n\n',
    "no usage": chunk("a") + DONE,
}
"""Streams whose reading must not depend on how they arrive."""


def read_whole(pieces: list[bytes], *, asked: bool) -> tuple[Any, ...]:
    """Everything that the books or the caller learn of a stream."""
    stream = ChatStream(usage_asked=asked)
    out = relayed(stream, pieces)
    return out, stream.usage, stream.finished, stream.error, stream.call_id, stream.output_estimate


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("name", STREAMS)
def test_how_a_stream_arrives_does_not_matter(name: str, asked: bool) -> None:
    """Cut at every byte, and sent byte by byte: the same bytes relayed, the same usage, the same end."""
    text = STREAMS[name]
    whole = read_whole([text], asked=asked)

    assert read_whole([text[i : i + 1] for i in range(len(text))], asked=asked) == whole
    for place in range(len(text)):
        assert read_whole([text[:place], text[place:]], asked=asked) == whole, place


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 2000), max_size=6), st.booleans())
def test_however_a_stream_is_cut(name: str, places: list[int], asked: bool) -> None:
    """The same with several cuts at once."""
    text = STREAMS[name]
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(edges)]

    assert read_whole(pieces, asked=asked) == read_whole([text], asked=asked)


def test_the_call_s_id_is_found_behind_a_comment() -> None:
    """Some gateways say `: PROCESSING` first, in the same packet: without the id no bill can be matched."""
    stream = ChatStream(usage_asked=False)

    stream.feed(b": PROCESSING\n\n" + chunk("a"))

    assert stream.call_id == "chatcmpl-1"


def test_the_estimate_grows_with_what_was_relayed() -> None:
    """About a token an event; an event with much text counts by its size, what frames weigh taken off."""
    small, large = ChatStream(usage_asked=False), ChatStream(usage_asked=False)

    relayed(small, [chunk("")] + [chunk("word ")] * 10)
    relayed(large, [chunk(""), chunk("word " * 1000)])

    assert 10 <= small.output_estimate <= 10 * 1.5
    assert 1000 <= large.output_estimate <= 1000 * 1.5


def test_what_follows_an_error_in_the_same_read_is_nobody_s() -> None:
    """Words before it go on; words after it would stand before the event that says that the stream broke off."""
    sent = [b'data: {"id":"x","choices":[{"delta":{"content":"%b"}}]}\n\n' % word for word in (b"so", b"MORE")]
    relay = ChatStream(usage_asked=True)

    got = relay.feed(sent[0] + b'data: {"error":{"message":"no"}}\n\n' + sent[1] + DONE)

    assert got == sent[0]
    assert (relay.error, relay.finished) == (True, False)
