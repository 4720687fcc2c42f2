"""The prompts of one worker that were answered, by what may share answers; the nearest is found by looking through.

A partition is a customer with everything but the last ask's text that decides an answer. Within one, prompts are told
apart by sketches first, some hundred bits each, then the nearest few by their vectors, then by the guards: a look-up
costs a tenth of a microsecond for each prompt, and some tens for each that is near. Answers are not here: an entry has
the key that its answer is kept under.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import nsmallest
from typing import Final, NamedTuple

from proxy.caching.semantic.embedders import Embedder
from proxy.caching.semantic.guards import differs
from proxy.caching.semantic.reading import Reading
from proxy.caching.semantic.vectors import Vector

PARTITION_MAX: Final = 2_048
"""Prompts of a partition: looking through them takes a third of a millisecond. The oldest go."""
NEAREST: Final = 12
"""How many of them are looked at closely."""
WORD_BYTES: Final = 160
ENTRY_BYTES: Final = 600
PARTITION_BYTES: Final = 400
"""What Python's objects take, measured with tracemalloc and rounded up: a word of a reading, an entry, a partition."""


class Entry(NamedTuple):
    """A prompt that was answered: whose, where its answer is kept, what is compared, when (ns)."""

    customer: int
    key: bytes
    vector: Vector
    reading: Reading
    t: int

    @property
    def size_bytes(self) -> int:
        """What it takes, about."""
        verbatim = 0 if self.reading.verbatim is None else len(self.reading.verbatim)
        return (
            ENTRY_BYTES + self.vector.size_bytes + verbatim
            + WORD_BYTES * (len(self.reading.words) + len(self.reading.tail))
        )  # fmt: skip


class Near(NamedTuple):
    """The nearest prompt that no guard speaks against, and the cosine."""

    entry: Entry
    score: float


class _Partition:
    """Prompts in the order in which they came, and their sketches in the same order: those alone are looked through."""

    __slots__ = ("entries", "sketches")

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.sketches: dict[bytes, int] = {}

    def nearest(self, sketch: int) -> list[Entry]:
        """Return the few whose sketches differ least."""
        distances = [(each ^ sketch).bit_count() for each in self.sketches.values()]
        return [self.entries[key] for _, key in nsmallest(NEAREST, zip(distances, self.sketches, strict=True))]


class Nearby:
    """All partitions, in the order of last use."""

    def __init__(self) -> None:
        self._partitions: OrderedDict[bytes, _Partition] = OrderedDict()
        self._count = 0
        self.used_bytes = 0

    def __len__(self) -> int:
        return self._count

    def find(
        self, partition: bytes, customer: int, vector: Vector, reading: Reading, embedder: Embedder
    ) -> Near | None:
        """Return the nearest prompt of a partition; None where none is near, or all that are ask something else."""
        found = self._partitions.get(partition)
        if found is None:
            return None
        self._partitions.move_to_end(partition)
        nearest = found.nearest(vector.sketch)
        told = [Near(each, vector.near(each.vector)) for each in nearest if each.customer == customer]
        told.sort(key=lambda each: each.score, reverse=True)
        for each in told:
            if each.score < embedder.floor:
                return None
            if differs(reading, each.entry.reading, embedder.guard) is None:
                return each
        return None

    def add(self, partition: bytes, entry: Entry, bytes_max: int) -> None:
        """Remember a prompt, and make room: the oldest of its partition go, and the partition used longest ago."""
        place = self._partitions.get(partition)
        if place is None:
            place = self._partitions[partition] = _Partition()
            self.used_bytes += PARTITION_BYTES
        self._partitions.move_to_end(partition)
        self._drop(place, entry.key)
        place.entries[entry.key], place.sketches[entry.key] = entry, entry.vector.sketch
        self._count += 1
        self.used_bytes += entry.size_bytes
        if len(place.entries) > PARTITION_MAX:
            self._drop(place, next(iter(place.entries)))
        while self.used_bytes > bytes_max and self._partitions:
            name, first = next(iter(self._partitions.items()))
            self._drop(first, next(iter(first.entries)))
            if not first.entries:
                self._end(name)

    def forget(self, partition: bytes, key: bytes) -> None:
        """Forget a prompt: its answer is gone."""
        place = self._partitions.get(partition)
        if place is not None:
            self._drop(place, key)
            if not place.entries:
                self._end(partition)

    def _drop(self, place: _Partition, key: bytes) -> None:
        old = place.entries.pop(key, None)
        if old is not None:
            del place.sketches[key]
            self._count -= 1
            self.used_bytes -= old.size_bytes

    def _end(self, partition: bytes) -> None:
        del self._partitions[partition]
        self.used_bytes -= PARTITION_BYTES
