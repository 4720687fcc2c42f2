"""How near two texts are: vectors, and who makes them.

`letters` needs no service: words, pairs of them and pieces of four letters, hashed, each weighed by how rare it is in
the training prompts (`weights.json`, built by `make semantic-weights`). Vectors of different makers are never compared.
"""

from __future__ import annotations

import json
import math
from array import array
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Final, NamedTuple, Protocol
from zlib import crc32

from proxy.caching.semantic.lexicon import folded

SKETCH_BITS: Final = 512
PIECE: Final = 4
"""Letters of a piece of a word."""
BUCKETS: Final = 1 << 15
STEPS: Final = 16
"""A weight is kept as a whole number of this part of a natural logarithm."""


class Vector(Protocol):
    """A text's place. Two of one maker can be compared."""

    @property
    def sketch(self) -> int:
        """Some hundred bits, of which few differ between vectors that are near: what is looked through first."""
        ...

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        ...

    def near(self, other: Vector) -> float:
        """Return the cosine of the angle between two vectors of one maker, 1.0 for the same direction."""
        ...


class Sparse(NamedTuple):
    """A vector of length one that is zero nearly everywhere: the places, in order, and the values there."""

    places: array[int]
    values: array[float]
    sketch: int

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        return 8 * len(self.places) + 300

    def near(self, other: Vector) -> float:
        """Return the cosine."""
        assert isinstance(other, Sparse)
        mine = dict(zip(self.places, self.values, strict=True))
        return sum(
            value * mine[place] for place, value in zip(other.places, other.values, strict=True) if place in mine
        )


@cache
def _rarity() -> bytes:
    said = json.loads(resources.files(__package__).joinpath("weights.json").read_text("utf-8"))
    return b64decode("".join(said["rarity"]))


def letters(text: str, cut: Callable[[str], Iterable[str]] | None = None) -> Sparse | None:
    """Return the vector of a text by its letters; None if it has none. `cut`: into what, if not into `pieces`."""
    rarity = _rarity()
    weighed: dict[int, float] = {}
    total, sketch = 0.0, 0
    for piece, count in Counter((cut or pieces)(text)).items():
        place = crc32(piece.encode())
        weight = rarity[place % BUCKETS] / STEPS * math.sqrt(count)
        weighed[place] = weight
        total += weight * weight
        sketch |= 1 << place % SKETCH_BITS
    if not total:
        return None
    length = math.sqrt(total)
    places = sorted(weighed)
    return Sparse(array("I", places), array("f", [weighed[place] / length for place in places]), sketch)


def pieces(text: str) -> Iterator[str]:
    """Yield what a text is made of: its words, pairs of neighbours, and pieces of words with their ends marked."""
    before = ""
    for word in split(text):
        yield word
        if before:
            yield f"{before} {word}"
        before = word
        marked = f"_{word}_"
        for at in range(len(marked) - PIECE + 1):
            yield f"{marked[at : at + PIECE]}-"


def split(text: str) -> list[str]:
    """Return a text's words as they are hashed; of scripts without spaces, runs of signs."""
    return "".join(each if each.isalnum() else " " for each in folded(text)).split()
