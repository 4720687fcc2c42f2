"""OpenAI's embeddings in Gemini's words: one call of `batchEmbedContents`, vectors back in the caller's own format.

Texts only: token ids are of OpenAI's tokenizers, which nobody here speaks back. Models before `gemini-embedding-2` give
vectors of less than their full length that are not scaled to length 1; they are passed on as they are. Source: Google's
API reference ("Embeddings") and its page "Embeddings".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import quote

import orjson

from margin.usage import Usage, UsageError
from proxy.settings import Deployment
from proxy.upstream.dialects.dialect import Answered
from proxy.upstream.dialects.gemini.counts import read_usage
from proxy.wire import embeddings, lenient
from proxy.wire.embeddings import EmbeddingsRequest
from proxy.wire.errors import Malformed, UpstreamBroke

BATCH_MAX: Final = 100
"""Texts of one call: the API's own bound."""
_CARRIED: Final = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
"""Fields that have a word here, are the answer's business, or are labels that change nothing."""


def request_path(deployment: Deployment, *, stream: bool) -> str:
    """Return what is appended to a provider's base URL."""
    return f"/{quote(_name(deployment))}:batchEmbedContents"


def uncarried(ask: EmbeddingsRequest, deployment: Deployment) -> str | None:
    """Name a field that has no word here."""
    for name, value in ask.fields.items():
        if name not in _CARRIED and value is not None and value is not False:
            return name
    return None if isinstance(ask.inputs[0], str) and len(ask.inputs) <= BATCH_MAX else "input"


def request_body(ask: EmbeddingsRequest, deployment: Deployment) -> bytes:
    """Return the body: a request for each text.

    Raises:
        Malformed: with `param` naming what has no word here.
    """
    if not isinstance(ask.inputs[0], str):
        raise Malformed("This model's provider takes no token ids; send texts.", param="input")
    if len(ask.inputs) > BATCH_MAX:
        raise Malformed(f"This model's provider takes {BATCH_MAX} inputs at most.", param="input")
    name = uncarried(ask, deployment)
    if name is not None:
        raise Malformed(f"`{name}` cannot be carried over to this model's provider.", param=name)
    said: dict[str, Any] = {"model": _name(deployment)}
    if ask.dimensions is not None:
        said["outputDimensionality"] = ask.dimensions
    return orjson.dumps({"requests": [{**said, "content": {"parts": [{"text": text}]}} for text in ask.inputs]})


def read_answer(body: bytes, ask: EmbeddingsRequest) -> Answered:
    """Return an answer as the caller reads it. It has no id, and of older models no usage.

    Raises:
        UpstreamBroke: it is none.
    """
    try:
        found = lenient.loads(body)
        usage = _usage(found.get("usageMetadata"))
        vectors = [each["values"] for each in found["embeddings"]]
        told = embeddings.answer(vectors, ask, ask.model, usage)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UpstreamBroke("The provider's answer has no embeddings.") from None
    if len(vectors) != len(ask.inputs):
        raise UpstreamBroke(f"The provider's answer has no embedding for each of {len(ask.inputs)} inputs.")
    return None, usage, told


def _usage(reported: Any) -> Usage | None:
    try:
        return read_usage(reported) if isinstance(reported, Mapping) else None
    except UsageError:
        return None


def _name(deployment: Deployment) -> str:
    return deployment.model if "/" in deployment.model else f"models/{deployment.model}"


def stream(ask: EmbeddingsRequest) -> NoReturn:
    """Never asked for: a request that wants a stream was refused."""
    raise AssertionError("embeddings are not streamed")
