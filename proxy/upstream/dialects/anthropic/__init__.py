"""Anthropic's Messages API: its own callers are served as they are (`native`), others by way of the neutral form.

    models    what a model's name says of what it takes        request   `Prompt` → the body
    blocks    answers and events → pieces                       refusals  error bodies → our errors
    counts    usage in its several reports → buckets           marks     where its cache is told of a prompt

Its streams are read by `proxy.upstream.dialects.translated`, with the reader in `blocks`. Source: Anthropic's API
reference ("Messages", "Streaming messages", "Errors", "Prompt caching") and its migration guides; the fields were
checked against the types of its Python SDK 2.14.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.upstream.dialects.anthropic import native
from proxy.upstream.dialects.anthropic.blocks import Reader as reader  # noqa: N813 - the seam's name
from proxy.upstream.dialects.anthropic.blocks import read_message as read
from proxy.upstream.dialects.anthropic.marks import marked
from proxy.upstream.dialects.anthropic.refusals import read_error
from proxy.upstream.dialects.anthropic.request import unworded, written
from proxy.upstream.dialects.dialect import Marked, Native

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

NATIVE: Final[Mapping[str, Native]] = {"messages": native}
CACHES_UNASKED: Final = False
MARKED: Final[Marked | None] = marked
VERSION = b"2023-06-01"
"""Of the API; the only one in use, and required."""


request_path = native.request_path


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
