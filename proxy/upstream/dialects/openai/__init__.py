"""OpenAI's wire formats, and everything compatible with them: their own callers are served as they are.

    chat      chat completions, byte for byte         request   `Prompt` → the body of a chat completion
    responses Responses, byte for byte, where a provider says that it serves them
    completions, embeddings   likewise, where a model is said to serve them
    errors    error bodies → our errors               answers   completions and chunks → pieces

Source: OpenAI's API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.upstream.dialects.dialect import Marked, Native
from proxy.upstream.dialects.openai import chat, completions, embeddings, responses
from proxy.upstream.dialects.openai.answers import Reader as reader  # noqa: N813 - the seam's name
from proxy.upstream.dialects.openai.answers import read_completion as read
from proxy.upstream.dialects.openai.chat import request_path
from proxy.upstream.dialects.openai.errors import read_error
from proxy.upstream.dialects.openai.marks import marked
from proxy.upstream.dialects.openai.request import unworded, written

__all__ = [
    "CACHES_UNASKED",
    "MARKED",
    "NATIVE",
    "read",
    "read_error",
    "reader",
    "request_headers",
    "request_path",
    "unworded",
    "written",
]

NATIVE: Final[Mapping[str, Native]] = {
    "chat": chat,
    "completions": completions,
    "embeddings": embeddings,
    "responses": responses,
}
CACHES_UNASKED: Final = True
MARKED: Final[Marked | None] = marked


def request_headers(api_key: str | None) -> list[tuple[bytes, bytes]]:
    """Return the headers of every call. Nothing of the caller's headers goes upstream."""
    found = [
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"penstock"),
    ]
    if api_key is not None:
        found.append((b"authorization", b"Bearer " + api_key.encode()))
    return found
