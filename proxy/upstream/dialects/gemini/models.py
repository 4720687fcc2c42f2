"""What a model's name says of the parameters it takes.

A name that says no version (a gateway's own, `gemini-flash-latest`) is taken for one of today's, and the provider is
left to judge. Source: Google's pages "Thinking", "Structured outputs", "Thought signatures" and "What's new in Gemini 4
Argon".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_NAME: Final = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?!\d)")
_TODAY: Final = (3, 0)

_LEVELS: Final = (3, 0)
"""From here on thinking has levels, and no off; calls are signed; tools and a schema go together."""
_THINKING: Final = (2, 5)
"""From here on there is thinking, with a budget of tokens."""
_WITHOUT_SAMPLING: Final = (4, 0)
"""From here on `temperature` and `topP` are ignored."""


@lru_cache(maxsize=1024)
def _version(model: str) -> tuple[int, int]:
    found = _NAME.search(model)
    return _TODAY if found is None else (int(found[1]), int(found[2] or 0))


def samples(model: str) -> bool:
    """Tell whether it heeds a temperature."""
    return _version(model) < _WITHOUT_SAMPLING


def thinks(model: str) -> bool:
    """Tell whether it can be told how much to think."""
    return _version(model) >= _THINKING


def thinks_by_level(model: str) -> bool:
    """Tell whether it takes a level of thinking, where others take a budget."""
    return _version(model) >= _LEVELS


def can_rest(model: str) -> bool:
    """Tell whether it can be told not to think at all: the models with a budget, but for Pro."""
    return not thinks_by_level(model) and "-pro" not in model


def thinks_minimally(model: str) -> bool:
    """Tell whether its least level is minimal, where others have low: Flash."""
    return "flash" in model


def signs(model: str) -> bool:
    """Tell whether it takes no tool call back that is not signed."""
    return _version(model) >= _LEVELS


def shapes_beside_tools(model: str) -> bool:
    """Tell whether it takes a schema for its answer together with tools."""
    return _version(model) >= _LEVELS
