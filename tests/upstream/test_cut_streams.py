"""A translated stream that is cut at any byte: what was said before is relayed, and nobody takes it for the whole."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from proxy.upstream.dialects import anthropic as claude_family
from proxy.upstream.dialects import gemini as gemini_family
from proxy.upstream.dialects import openai as chat_family
from proxy.upstream.dialects.translated import TranslatedStream
from proxy.wire import completions_pieces, messages_pieces, responses_pieces
from tests.upstream import test_anthropic_answer as anthropic
from tests.upstream import test_gemini_answer as gemini
from tests.upstream import test_openai_answer as chats
from tests.upstream.completed import chunks

CLAUDE = anthropic.wire(
    anthropic.events(
        anthropic.message(
            [
                {"type": "thinking", "thinking": "hmm", "signature": "s"},
                {"type": "text", "text": "So: 😀"},
                anthropic.CALL,
            ],
            "tool_use",
        )
    )
)
GEMINI = gemini.wire(
    gemini.events(
        gemini.response(
            [
                {"text": "hmm", "thought": True},
                {"text": "So: 😀"},
                {"functionCall": {"name": "weather", "args": {"city": "Łódź"}}, "thoughtSignature": "s"},
            ]
        )
    )
)
STREAMS = pytest.mark.parametrize(
    ("begin", "sent"), [(anthropic.stream, CLAUDE), (gemini.stream, GEMINI)], ids=["anthropic", "gemini"]
)

Begin = Callable[..., TranslatedStream]


@STREAMS
def test_the_rest_can_come_in_any_other_piece(begin: Begin, sent: bytes) -> None:
    """Wherever a read of the socket ends, the caller gets the same bytes."""
    whole = begin().feed(sent)

    for at in range(len(sent) + 1):
        reader = begin()
        assert reader.feed(sent[:at]) + reader.feed(sent[at:]) == whole
        assert (reader.finished, reader.error) == (True, False)


@STREAMS
def test_a_cut_is_never_an_end(begin: Begin, sent: bytes) -> None:
    """What the caller got begins the whole answer, in whole events; usage is an estimate, or not known yet."""
    reader = begin()
    whole, reported = reader.feed(sent), reader.usage
    assert reported is not None

    for at in range(len(sent)):
        reader = begin()
        got = reader.feed(sent[:at])
        assert whole.startswith(got)
        assert got == b"" or got.endswith(b"\n\n")
        assert not reader.error
        if reader.finished:
            assert reader.usage == reported
        else:
            assert reader.usage in (None, reported) or reader.usage.source == "estimated"


@STREAMS
def test_a_byte_that_is_damaged_is_never_passed_on_as_another_end(begin: Begin, sent: bytes) -> None:
    """With any one byte gone, every chunk that goes on is JSON, and no exception comes out."""
    for at in range(len(sent)):
        reader = begin()
        got = reader.feed(sent[:at] + sent[at + 1 :])
        for chunk in chunks(got):
            assert chunk["object"] == "chat.completion.chunk"
        assert isinstance(reader.finished, bool)


@STREAMS
@pytest.mark.parametrize(
    "noise", [b"<html>502</html>", b"\xff\xfe\n\n", b": comment\n\n", b"event: ping\n\n", b"\r\n\r\n"]
)
def test_what_is_no_event_at_all(begin: Begin, sent: bytes, noise: bytes) -> None:
    """A page instead of events never ends the answer; comments before it change nothing."""
    reader = begin()
    reader.feed(noise)

    assert not reader.finished
    if noise.endswith(b"\n\n"):
        assert reader.feed(sent) == begin().feed(sent)


@STREAMS
def test_two_hundred_unknown_fields_in_each_event(begin: Begin, sent: bytes) -> None:
    """None of them is an error, and none reaches the caller."""
    extra: dict[str, Any] = {f"field_{n}": [n] for n in range(200)}
    told = b",".join(b'"%b":%b' % (name.encode(), orjson.dumps(value)) for name, value in extra.items())
    padded = sent.replace(b"data: {", b"data: {" + told + b",")

    assert begin().feed(padded) == begin().feed(sent)


@STREAMS
def test_usage_is_told_to_who_asked(begin: Begin, sent: bytes) -> None:
    """Last, with no choices; null before; nobody else hears of it."""
    asked, other = chunks(begin().feed(sent)), chunks(begin(usage_asked=False).feed(sent))

    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["total_tokens"] > 100
    assert all(chunk["usage"] is None for chunk in asked[:-1])
    assert all("usage" not in chunk for chunk in other)
    assert [len(chunk["choices"]) for chunk in other] == [1] * len(other)


READERS = pytest.mark.parametrize(
    ("reader", "sent"),
    [(claude_family.reader, CLAUDE), (gemini_family.reader, GEMINI), (chat_family.reader, chats.STREAM)],
    ids=["anthropic", "gemini", "openai"],
)
WRITERS = pytest.mark.parametrize(
    "writer",
    [
        lambda: completions_pieces.Chunks(include_usage=True, at_s=1),
        lambda: messages_pieces.Events(7),
        lambda: responses_pieces.Events({"model": "auto"}, "resp_1", 1),
    ],
    ids=["completions", "messages", "responses"],
)


@READERS
@WRITERS
def test_every_surface_gets_whole_events_wherever_it_is_cut(
    reader: Callable[[], Any], sent: bytes, writer: Callable[[], Any]
) -> None:
    """What the caller has begins the whole answer, each event is JSON, and the end is not among them."""
    whole = TranslatedStream(reader(), writer()).feed(sent)

    for at in range(len(sent) + 1):
        relay = TranslatedStream(reader(), writer())
        got = relay.feed(sent[:at])
        assert whole.startswith(got)
        assert all(isinstance(each, dict) for each in chunks(got))
        assert got + relay.feed(sent[at:]) == whole
    assert b"[DONE]" not in whole
    assert b"message_stop" not in whole
    assert b"response.completed" not in whole


@READERS
@WRITERS
def test_half_a_surrogate_pair_reaches_every_surface(
    reader: Callable[[], Any], sent: bytes, writer: Callable[[], Any]
) -> None:
    """Models cut emoji in two; the half goes on as it came."""
    relay = TranslatedStream(reader(), writer())

    got = relay.feed(sent.replace("😀".encode(), b"\\ud83d"))

    assert b"\\ud83d" in got
    assert (relay.finished, relay.error) == (True, False)
