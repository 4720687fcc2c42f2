"""Who says how near two texts are, and how it is to be taken: its floor, its guard, and what it is called."""

from __future__ import annotations

from typing import Final, NamedTuple

from proxy.caching.semantic.guards import Guard


class Embedder(NamedTuple):
    """A maker of vectors, as what it makes is used.

    Args:
        name: Vectors of one name can be compared: where and by which model they were made.
        floor: The cosine below which two texts are never taken for one.
        guard: How far its nearness is trusted.
    """

    name: str
    floor: float
    guard: Guard


LETTERS: Final = Embedder("letters", 0.5, "strict")
"""Hashed pieces of words. The floor and the guard are the tuning pairs': docs/caching.md has the curves."""
