"""The APIs that callers speak, by name. `surface` has the seam that each fulfils."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.wire.surfaces import chat, messages, responses
from proxy.wire.surfaces.surface import Knobs, Surface, Writer

__all__ = ["SURFACES", "Knobs", "Surface", "Writer"]

SURFACES: Final[Mapping[str, Surface]] = {each.NAME: each for each in (chat, messages, responses)}
