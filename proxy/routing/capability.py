"""What a deployment can take, before anything else is asked of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from proxy.settings import Deployment
from proxy.wire.ask import Ask, input_estimate
from proxy.wire.errors import Malformed

OUTPUT_RESERVE_TOKENS = 1_024
"""Kept free in a context window for the answer when the caller states no `max_tokens`."""
OUTPUT_BEYOND_TOKENS = 10_000_000
"""No model's window: whoever asks for more is not told of windows, but of what it would cost, or by the provider."""

_CHAT: Final = frozenset({"chat"})
NEEDED: Final[Mapping[str, frozenset[str]]] = {
    "chat": _CHAT, "messages": _CHAT, "responses": _CHAT, "completions": _CHAT | {"completions"},
    "embeddings": frozenset({"embeddings"}),
}  # fmt: skip
"""What a model must serve, one of these, to answer on a surface."""

Uncarried = Callable[[Deployment, Ask], str | None]
"""Names the field of a request that a deployment's wire format has no word for; None when it has one for all."""


def carries_all(deployment: Deployment, ask: Ask) -> str | None:
    """Return None: every deployment speaks the caller's own format."""
    return None


def lacking(deployment: Deployment, ask: Ask, uncarried: Uncarried = carries_all) -> str | None:
    """Return what a deployment lacks for this request, in words; None when it can take it."""
    if deployment.serves.isdisjoint(NEEDED[ask.surface]):
        return f"serves {' and '.join(sorted(deployment.serves))}, and no {_asked(ask)}"
    if ask.has_images and not deployment.vision:
        return "reads no images"
    if ask.tools and not deployment.tools:
        return "calls no tools"
    if ask.wants_schema and not deployment.schema:
        return "has no JSON schema mode"
    if not deployment.audio and (ask.has_audio or "audio" in _modalities(ask)):
        return "has no audio"
    if not deployment.reasoning and ask.fields.get("reasoning_effort") not in {None, "none"}:
        return "takes no `reasoning_effort`"
    window = deployment.context_window
    if window is not None and input_estimate(ask) // ask.prompts + _reserve(ask) > window:
        return f"has a window of {window} tokens"
    unsayable = uncarried(deployment, ask)
    return None if unsayable is None else f"is of a provider whose API has no `{unsayable}`"


def _modalities(ask: Ask) -> list[object]:
    """Return in what the answer is to come, beside text."""
    found = ask.fields.get("modalities")
    return found if isinstance(found, list) else []


def _asked(ask: Ask) -> str:
    return "embeddings" if ask.surface == "embeddings" else "chat"


def require(deployment: Deployment, ask: Ask, uncarried: Uncarried) -> None:
    """Check that a deployment can take a request.

    Raises:
        Malformed: it cannot.
    """
    lack = lacking(deployment, ask, uncarried)
    if lack is not None:
        param = uncarried(deployment, ask)
        raise Malformed(f"The model {deployment.name} {lack}.", param="model" if param is None else param)


def _reserve(ask: Ask) -> int:
    if ask.output_max is None or ask.output_max > OUTPUT_BEYOND_TOKENS:
        return OUTPUT_RESERVE_TOKENS
    return ask.output_max
