"""What a model's name says of the parameters it takes: Anthropic answers 400 to those that a model no longer has.

A name that says no version (a gateway's own) takes everything here, and the provider is left to judge. Source: the
migration guides of Opus 4.7, Haiku 5.5 and Opus 5.5, and the pages "Adaptive thinking" and "Models overview".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_NAME: Final = re.compile(r"claude-(?:([a-z]+)-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
"""`claude-haiku-5-5`, `claude-3-5-sonnet-20241022`, `claude-opus-4-20250514`: a date is no minor version."""

_WITHOUT_SAMPLING: Final = (4, 7)
"""From here on a `temperature` or `top_p` other than 1 is refused."""
_WITH_EFFORT: Final = (4, 6)
"""From here on there are `effort` and adaptive thinking."""
_ALWAYS_THINKS: Final = {"opus": (5, 5), "fable": (5, 0), "mythos": (5, 0)}
"""From here on thinking cannot be turned off, and so no tool can be made a must."""
_CACHED_FROM: Final = {
    ("opus", (4, 5)): 4096, ("haiku", (4, 5)): 4096, ("sonnet", (4, 6)): 2048,
    ("opus", (0, 0)): 1024, ("sonnet", (0, 0)): 1024, ("haiku", (0, 0)): 2048,
}  # fmt: skip
"""The shortest prompt that is cached, by family, from which version on ("Prompt caching")."""
_CACHED_FROM_MOST: Final = 4096


@lru_cache(maxsize=1024)
def _version(model: str) -> tuple[str, tuple[int, int]] | None:
    """Return a model's family (if its name begins with it) and version."""
    found = _NAME.search(model)
    return None if found is None else (found[1] or "", (int(found[2]), int(found[3] or 0)))


def samples(model: str) -> bool:
    """Tell whether it takes a temperature."""
    found = _version(model)
    return found is None or found[1] < _WITHOUT_SAMPLING


def takes_effort(model: str) -> bool:
    """Tell whether it can be told how much to think."""
    found = _version(model)
    return found is None or found[1] >= _WITH_EFFORT


def always_thinks(model: str) -> bool:
    """Tell whether it thinks whatever it is told."""
    found = _version(model)
    return found is not None and found[0] in _ALWAYS_THINKS and found[1] >= _ALWAYS_THINKS[found[0]]


@lru_cache(maxsize=1024)
def cached_from_tokens(model: str) -> int:
    """Return the shortest prompt that the provider caches. Of a model it says nothing of: the longest of these."""
    found = _version(model)
    if found is None:
        return _CACHED_FROM_MOST
    # Claude 3's names have the family behind the version.
    family = found[0] or next((each for each in ("opus", "sonnet", "haiku") if each in model), "")
    stated = [(since, tokens) for (name, since), tokens in _CACHED_FROM.items() if name == family and since <= found[1]]
    return max(stated, default=((0, 0), _CACHED_FROM_MOST))[1]
