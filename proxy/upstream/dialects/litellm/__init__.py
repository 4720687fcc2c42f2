"""Every provider that has no dialect of its own, by way of the library LiteLLM. Pure, as all: it does not import it.

LiteLLM takes and gives OpenAI's format, so that answers pass as `openai`'s do; the door to it is
`proxy.upstream.borrowed`. What differs is the request: see `chat`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from proxy.settings import Deployment
from proxy.upstream.dialects import openai
from proxy.upstream.dialects.dialect import Marked, Native
from proxy.upstream.dialects.litellm import chat, embeddings
from proxy.upstream.dialects.openai import read, read_error, reader, request_headers, request_path, unworded
from proxy.wire.errors import Malformed
from proxy.wire.neutral import Prompt

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

NATIVE: Final[Mapping[str, Native]] = {"chat": chat, "embeddings": embeddings}
CACHES_UNASKED: Final = True
MARKED: Final[Marked | None] = None


def written(prompt: Prompt, deployment: Deployment) -> bytes:
    """Return the arguments of the call, as JSON.

    Raises:
        Malformed: with `param` naming what does not go to LiteLLM.
    """
    body = openai.written(prompt, deployment)
    name = next(chat.fetched(orjson.loads(body)["messages"]), None)
    if name is not None:
        raise Malformed(f"`{name}` cannot be carried over to this model's provider.", param=name)
    return body
