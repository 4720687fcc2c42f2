"""What one worker remembers to answer by meaning: prompts, samples, hits that may be complained of, and counts."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from typing import Final, NamedTuple

from proxy.caching.semantic.embedders import Embedder
from proxy.caching.semantic.nearby import Nearby
from proxy.caching.semantic.proof import Proof
from proxy.caching.semantic.reading import Reading
from proxy.caching.semantic.vectors import Vector

HITS_MAX: Final = 8_192
"""Hits that a complaint is taken of, the latest: some 2 MB."""


class Meant(NamedTuple):
    """A request as it is compared by meaning, and the answer that its own is held against, if there is one."""

    partition: bytes
    of: bytes
    """The class whose samples count."""
    vector: Vector
    reading: Reading
    embedder: Embedder
    sample: Sample | None = None


class Sample(NamedTuple):
    """A would-be hit: the answer at hand, how near its prompt is, and in which band that is."""

    body: bytes
    exchange: str
    score: float
    band: int


class Memory:
    """All of it."""

    def __init__(self) -> None:
        self.nearby, self.proof = Nearby(), Proof()
        self.chance = random.Random().random  # noqa: S311 - it picks samples
        """What decides which would-be hits are asked of the provider all the same."""
        self.counts: Counter[str] = Counter()
        """What happened since it was last told, by a closed word."""
        self.spent_s = 0.0
        """CPU that look-ups took since it was last told."""
        self._hits: OrderedDict[str, tuple[int, bytes, int]] = OrderedDict()

    def served(self, exchange: str, customer: int, of: bytes, band: int) -> None:
        """Remember a hit, so that its customer may complain of it."""
        self._hits[exchange] = customer, of, band
        if len(self._hits) > HITS_MAX:
            self._hits.popitem(last=False)

    def complained(self, exchange: str, customer: int) -> None:
        """Count a hit of the customer's as wrong, once; of other exchanges it says nothing."""
        found = self._hits.get(exchange)
        if found is not None and found[0] == customer:
            del self._hits[exchange]
            self.proof.note(found[1], found[2], is_right=False)
            self.counts["complaint"] += 1
