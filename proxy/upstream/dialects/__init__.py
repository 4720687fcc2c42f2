"""One file or package per provider family, pure: requests and answers to and from what the exchange understands.

`dialect` has the seam that each fulfils; a provider's `dialect:` chooses among them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.settings import Deployment
from proxy.upstream.dialects import anthropic, gemini, litellm, openai
from proxy.upstream.dialects.dialect import Answered, Dialect, Stream
from proxy.wire.chat import ChatRequest

__all__ = ["DIALECTS", "Answered", "Dialect", "Stream", "uncarried"]

DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "litellm": litellm,
}
"""Every dialect that is built, by its name in the YAML; `proxy.settings` checks names against the same list."""


def uncarried(deployment: Deployment, ask: ChatRequest) -> str | None:
    """Name the field of a request that a deployment's wire format has no word for."""
    return DIALECTS[deployment.provider.dialect].uncarried(ask, deployment)
