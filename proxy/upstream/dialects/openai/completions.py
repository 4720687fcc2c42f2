"""OpenAI's legacy completions, where a model is said to serve them: passed through as chats are.

Usage, ids, ends and errors are where chat has them; only the words stand elsewhere. Source: OpenAI's API reference,
"Create completion".
"""

from __future__ import annotations

from proxy.settings import Deployment
from proxy.upstream.dialects.openai.chat import ChatStream, read_answer
from proxy.wire.completions import CompletionsRequest

__all__ = ["read_answer", "request_body", "request_path", "stream", "uncarried"]


def request_path(deployment: Deployment, *, stream: bool) -> str:
    """Return what is appended to a provider's base URL."""
    return "/completions"


def uncarried(ask: CompletionsRequest, deployment: Deployment) -> str | None:
    """Return None: each provider knows best which of its own fields it takes."""
    return None


def request_body(ask: CompletionsRequest, deployment: Deployment) -> bytes:
    """Serialise what was judged, field for field; a stream is asked to report its usage."""
    return ask.body_for(deployment.model)


class CompletionStream(ChatStream):
    """Watches a stream of completions go by, as `ChatStream` does chats."""

    __slots__ = ()
    TEXT_MARKS = (b'"text":"',)


def stream(ask: CompletionsRequest) -> CompletionStream:
    """Return what watches the stream of an answer to this request."""
    return CompletionStream(usage_asked=ask.include_usage)
