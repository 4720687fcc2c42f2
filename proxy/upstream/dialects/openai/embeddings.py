"""OpenAI's embeddings: the request field for field, the answer's bytes untouched. Read are its usage and its length.

Source: OpenAI's API reference, "Create embeddings".
"""

from __future__ import annotations

from typing import Any, NoReturn

from margin.usage import UsageError
from proxy.settings import Deployment
from proxy.upstream.dialects import foreign
from proxy.upstream.dialects.dialect import Answered
from proxy.upstream.dialects.openai.chat import read_usage
from proxy.wire import lenient
from proxy.wire.embeddings import EmbeddingsRequest
from proxy.wire.errors import UpstreamBroke


def request_path(deployment: Deployment, *, stream: bool) -> str:
    """Return what is appended to a provider's base URL."""
    return "/embeddings"


def uncarried(ask: EmbeddingsRequest, deployment: Deployment) -> str | None:
    """Return None: each provider knows best which of its own fields it takes."""
    return None


def request_body(ask: EmbeddingsRequest, deployment: Deployment) -> bytes:
    """Serialise what was read, field for field."""
    return ask.body_for(deployment.model)


def read_answer(body: bytes, ask: EmbeddingsRequest) -> Answered:
    """Return an answer's id, where its provider gives one, its usage, and its own bytes.

    Raises:
        UpstreamBroke: not an answer, or one with more or fewer vectors than were asked for.
    """
    found = listed(body, len(ask.inputs))
    try:
        usage = read_usage(found.get("usage"))
    except UsageError:
        usage = None
    return foreign.text(found.get("id")), foreign.tiered(usage, found.get("service_tier")), body


def listed(body: bytes, many: int) -> dict[str, Any]:
    """Return an answer that lists as many vectors as were asked for.

    Raises:
        UpstreamBroke: it does not.
    """
    try:
        found = lenient.loads(body)
    except (ValueError, RecursionError):
        raise UpstreamBroke("The provider's answer is not JSON.") from None
    data = found.get("data") if isinstance(found, dict) else None
    if not isinstance(data, list) or len(data) != many:
        raise UpstreamBroke(f"The provider's answer has no embedding for each of {many} inputs.")
    return found  # type: ignore[no-any-return]  # it has `data`, so it is an object


def stream(ask: EmbeddingsRequest) -> NoReturn:
    """Never asked for: a request that wants a stream was refused."""
    raise AssertionError("embeddings are not streamed")
