"""Half a surrogate pair in what a provider says: books, errors and ends are read all the same.

Models cut emoji in two, and some providers' gateways cut messages; strict parsers refuse the whole event then.
"""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from margin.usage import Usage
from proxy.upstream.dialects import anthropic, foreign, gemini
from proxy.upstream.dialects.openai import chat, errors
from proxy.upstream.dialects.openai.chat import ChatStream
from proxy.upstream.dialects.openai.completions import CompletionStream
from proxy.wire import chat as wire_chat
from proxy.wire import chat_pieces

HALF = b"\\ud83d"
USAGE = b'"usage":{"prompt_tokens":5,"completion_tokens":3}'
DONE = b"data: [DONE]\n\n"
WATCHED: list[Callable[..., Any]] = [ChatStream, CompletionStream]
ASK = wire_chat.read(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')


def test_a_plain_answer_passes_with_its_usage() -> None:
    """The bytes are the provider's; the books know what it cost."""
    body = b'{"id":"c%b","choices":[{"message":{"content":"%b"}}],%b}' % (HALF, HALF, USAGE)

    assert chat.read_answer(body, ASK) == ("c?", Usage(input=5, output=3), body)


@pytest.mark.parametrize("watch", WATCHED)
def test_an_error_inside_a_stream_is_no_clean_end(watch: Callable[..., Any]) -> None:
    """Its message is not relayed, and the answer is not whole."""
    stream = watch(usage_asked=True)
    said = b'data: {"id":"c","choices":[]}\n\n'

    assert stream.feed(said + b'data: {"error":{"message":"%b"}}\n\n' % HALF) == said
    assert (stream.error, stream.finished) == (True, False)


@pytest.mark.parametrize("watch", WATCHED)
def test_usage_is_read_and_held_back(watch: Callable[..., Any]) -> None:
    """Usage that the caller did not ask for is ours alone, whatever stands beside it."""
    stream = watch(usage_asked=False)

    assert stream.feed(b'data: {"id":"c%b","choices":[],%b}\n\n' % (HALF, USAGE) + DONE) == b""
    assert (stream.usage, stream.call_id, stream.finished) == (Usage(input=5, output=3), "c?", True)


@pytest.mark.parametrize(
    ("read_error", "body"),
    [
        (errors.read_error, b'{"error":{"message":"no %b","param":"a%b","code":"b%b"}}'),
        (anthropic.read_error, b'{"type":"error","error":{"type":"invalid_request_error%b","message":"%b: no %b"}}'),
        (gemini.read_error, b'{"error":{"code":400,"message":"no %b","status":"%b","x":"%b"}}'),
    ],
)
def test_a_refusal_can_be_told_to_the_caller(read_error: Callable[..., Any], body: bytes) -> None:
    """In words that JSON can be written of."""
    error = read_error(400, body % (HALF, HALF, HALF), None)

    assert "no" in error.message
    assert chat_pieces.fault(error)
    assert orjson.dumps([error.message, error.param, error.code])


def test_a_service_tier_and_an_id_can_be_booked() -> None:
    """They go to the journal as JSON: half a character becomes a question mark, and their length is bounded."""
    usage = foreign.tiered(Usage(input=1), "\ud83dflex" + "x" * 1_000)

    assert usage is not None
    assert usage.service_tier == "?flex" + "x" * (foreign.WORD_MAX - 5)
    assert foreign.text("\ud83d" * 2) == "??"
