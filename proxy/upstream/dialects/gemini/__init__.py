"""Google's Gemini API for callers of other surfaces: each function of the seam goes by way of the neutral form.

    models    what a model's name says of what it takes        request   `Prompt` → the body
    answers   responses, whole or streamed → pieces             refusals  error bodies → our errors
    counts    usage → buckets                                   embeddings  OpenAI's, in its words

Source: Google's API reference ("Generating content"), its pages "Function calling", "Thinking", "Thought signatures",
"Troubleshooting" and "What's new in Gemini 4 Argon"; the fields were checked against the types of its Python SDK 3.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from proxy.settings import Deployment
from proxy.upstream.dialects.dialect import Marked, Native
from proxy.upstream.dialects.gemini import embeddings
from proxy.upstream.dialects.gemini.answers import Reader as reader  # noqa: N813 - the seam's name
from proxy.upstream.dialects.gemini.answers import read_response as read
from proxy.upstream.dialects.gemini.refusals import read_error
from proxy.upstream.dialects.gemini.request import unworded, written

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

NATIVE: Final[Mapping[str, Native]] = {"embeddings": embeddings}
CACHES_UNASKED: Final = True
MARKED: Final[Marked | None] = None
"""No caller speaks it to us; embeddings are translated where they are."""


def request_path(deployment: Deployment, *, stream: bool) -> str:
    """Return what is appended to a provider's base URL: the model and the way to answer stand in the path."""
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    model = deployment.model if "/" in deployment.model else f"models/{deployment.model}"
    return f"/{quote(model)}:{method}"


def request_headers(api_key: str | None) -> list[tuple[bytes, bytes]]:
    """Return the headers of every call. Nothing of the caller's headers goes upstream."""
    found = [
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"penstock"),
    ]
    if api_key is not None:
        found.append((b"x-goog-api-key", api_key.encode()))
    return found
