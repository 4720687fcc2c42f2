"""Anthropic's Messages API for callers of other surfaces: each function of the seam goes by way of the neutral form.

    models    what a model's name says of what it takes        request   `Prompt` → the body
    blocks    answers and events → pieces                       refusals  error bodies → our errors
    counts    usage in its several reports → buckets

Its streams are read by `proxy.upstream.dialects.translated`, with the reader in `blocks`. Source: Anthropic's API
reference ("Messages", "Streaming messages", "Errors", "Prompt caching") and its migration guides; the fields were
checked against the types of its Python SDK 2.14.
"""

from __future__ import annotations

from proxy.settings import Deployment
from proxy.upstream.dialects.anthropic.blocks import Reader, read_message
from proxy.upstream.dialects.anthropic.refusals import read_error
from proxy.upstream.dialects.anthropic.request import unworded, written
from proxy.upstream.dialects.dialect import Answered
from proxy.upstream.dialects.translated import TranslatedStream
from proxy.wire import chat_pieces, chat_prompt, lenient
from proxy.wire.chat import ChatRequest
from proxy.wire.chat_pieces import Chunks
from proxy.wire.errors import UpstreamBroke
from proxy.wire.neutral import Started, Used

__all__ = ["read_answer", "read_error", "request_body", "request_headers", "request_path", "stream", "uncarried"]

VERSION = b"2023-06-01"
"""Of the API; the only one in use, and required."""


def request_path(deployment: Deployment, *, stream: bool) -> str:
    """Return what is appended to a provider's base URL."""
    return "/v1/messages"


def request_headers(api_key: str | None) -> list[tuple[bytes, bytes]]:
    """Return the headers of every call. Nothing of the caller's headers goes upstream."""
    found = [
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"penstock"),
        (b"anthropic-version", VERSION),
    ]
    if api_key is not None:
        found.append((b"x-api-key", api_key.encode()))
    return found


def uncarried(ask: ChatRequest, deployment: Deployment) -> str | None:
    """Name the field that has no word here: none in the neutral form, or none that this model takes."""
    return chat_prompt.unheld(ask) or unworded(ask.fields, deployment.model)


def request_body(ask: ChatRequest, deployment: Deployment) -> bytes:
    """Return the body of the call.

    Raises:
        Malformed: with `param` naming what has no word here.
    """
    return written(chat_prompt.read(ask), deployment)


def read_answer(body: bytes, at_s: int) -> Answered:
    """Read a plain answer, and write it as a chat completion.

    Raises:
        UpstreamBroke: not an answer.
    """
    try:
        message = lenient.loads(body)
    except (ValueError, RecursionError):
        raise UpstreamBroke("The provider's answer is not JSON.") from None
    pieces = read_message(message)
    call_id = next((piece.id for piece in pieces if isinstance(piece, Started)), None)
    usage = next((piece.usage for piece in pieces if isinstance(piece, Used)), None)
    return call_id, usage, chat_pieces.completion(pieces, at_s)


def stream(ask: ChatRequest, at_s: int) -> TranslatedStream:
    """Return what reads the stream of an answer to this request, and writes it as chunks."""
    return TranslatedStream(Reader(), Chunks(include_usage=ask.include_usage, at_s=at_s))
