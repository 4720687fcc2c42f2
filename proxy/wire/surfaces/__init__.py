"""The APIs that callers speak, by name. `surface` has the seam that each fulfils."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.wire.surfaces import chat, completions, embeddings, messages, responses
from proxy.wire.surfaces.surface import Conversation, Knobs, Surface, Writer

__all__ = ["CONVERSATIONS", "SURFACES", "Conversation", "Knobs", "Surface", "Writer"]

CONVERSATIONS: Final[Mapping[str, Conversation]] = {
    each.NAME: each for each in (chat, messages, responses, completions)
}
"""Those that the neutral form translates."""
SURFACES: Final[Mapping[str, Surface]] = {**CONVERSATIONS, embeddings.NAME: embeddings}
