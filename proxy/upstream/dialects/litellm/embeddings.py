"""Embeddings by way of LiteLLM: it gives arrays of numbers for every provider, and the caller's format is made of them.

Only OpenAI's own fields go to its function, which takes addresses, keys and callbacks beside them.
"""

from __future__ import annotations

from typing import Final

import orjson

from margin.usage import UsageError
from proxy.settings import Deployment
from proxy.upstream.dialects.dialect import Answered
from proxy.upstream.dialects.openai.chat import read_usage
from proxy.upstream.dialects.openai.embeddings import listed, request_path, stream
from proxy.wire import embeddings
from proxy.wire.embeddings import EmbeddingsRequest
from proxy.wire.errors import Malformed, UpstreamBroke

__all__ = ["read_answer", "request_body", "request_path", "stream", "uncarried"]

CARRIED: Final = frozenset({"input", "dimensions", "user"})
_LEFT_OUT: Final = frozenset({"model", "encoding_format"})
"""What is written anew, and what is the answer's business."""


def uncarried(ask: EmbeddingsRequest, deployment: Deployment) -> str | None:
    """Name the first field that does not go to LiteLLM; None when all do."""
    for name, value in ask.fields.items():
        if name not in CARRIED and name not in _LEFT_OUT and value is not None and value is not False:
            return name
    return None


def request_body(ask: EmbeddingsRequest, deployment: Deployment) -> bytes:
    """Return the arguments of the call, as JSON.

    Raises:
        Malformed: with `param` naming what does not go to LiteLLM.
    """
    name = uncarried(ask, deployment)
    if name is not None:
        raise Malformed(f"`{name}` cannot be carried over to this model's provider.", param=name)
    told = {name: value for name, value in ask.fields.items() if name in CARRIED and value is not None}
    return orjson.dumps({**told, "model": deployment.model, "input": ask.inputs})


def read_answer(body: bytes, ask: EmbeddingsRequest) -> Answered:
    """Return an answer as the caller reads it.

    Raises:
        UpstreamBroke: it is none.
    """
    found = listed(body, len(ask.inputs))
    try:
        usage = read_usage(found.get("usage"))
    except UsageError:
        usage = None
    try:
        vectors = [each["embedding"] for each in found["data"]]
        return None, usage, embeddings.answer(vectors, ask, ask.model, usage)
    except (TypeError, KeyError):
        raise UpstreamBroke("The provider's answer has no vectors.") from None
