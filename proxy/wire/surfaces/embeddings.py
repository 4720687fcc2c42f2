"""OpenAI's embeddings, as a surface: no conversation, so a provider makes them in its own words or not at all."""

from __future__ import annotations

from typing import Final

from proxy.wire.embeddings import read
from proxy.wire.errors import openai_body as error_body

__all__ = ["NAME", "error_body", "read"]

NAME: Final = "embeddings"
