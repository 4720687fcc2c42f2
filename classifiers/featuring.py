"""What is kept of an ask to learn from it later: which of the weights' own keys it has, as numbers, and its counts.

No prompt can be made of it: words that the weights do not know leave no trace, and order is lost. Numbers are the same
for all weights, so that labels outlive the weights they were given under.
"""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import pairwise
from math import sqrt
from struct import Struct, error, pack

from classifiers.judging import CHAT_SHARE, PLACED_SHARE
from classifiers.kinds import Task
from classifiers.reading import MEASURES, Key, Reading, paired_words, read_text
from classifiers.table import FIELDS, UNIT, Table, chance, fields_of

TERMS_MAX = 400
"""Of one ask: more than all but the longest have, and less than two kilobytes."""
_COUNTS = Struct(f"<{len(MEASURES)}B")
_CHEAP, _STRONG = FIELDS.index("cheap_enough"), FIELDS.index("strong_better")

Terms = tuple[int, ...]
Counts = tuple[int, ...]


def number_of(key: Key) -> int:
    """Return the number of a key: 32 bits, so that two of some 16,000 share one in one table of thirty."""
    text = key if isinstance(key, str) else "\t".join(key)
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little")


class Features:
    """Reads asks into features, and features by what some weights know."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._number = {key: number_of(key) for key in table.packed}
        self.key_of = {number: key for key, number in self._number.items()}
        """The key behind each number; of two that share one, the later."""

    def of(self, text: str) -> bytes:
        """Return the features of a text that is already bounded."""
        reading = read_text(text)
        terms = sorted(self._number[key] for key in self._known(reading))[:TERMS_MAX]
        return _COUNTS.pack(*reading.measures) + pack(f"<{len(terms)}I", *terms)

    def _known(self, reading: Reading) -> set[Key]:
        pairs: Iterable[Key] = (*pairwise(paired_words(reading.words)), *pairwise(reading.wide))
        return {*self.table.words.intersection(reading.words), *self.table.pairs.intersection(pairs)}

    def shares(self, features: bytes) -> dict[int, float]:
        """Return how much each term that these weights know counts in a text: its rarity, by the norm of all."""
        squares = {
            term: fields_of(self.table.packed[self.key_of[term]])[0]
            for term in read(features)[1]
            if term in self.key_of
        }
        norm = sqrt(sum(squares.values()))
        return {term: sqrt(square) / norm for term, square in squares.items() if square} if norm else {}

    def score(self, features: bytes, task: Task, medium: float, hard: float) -> tuple[float, float]:
        """Return the score that these weights give an ask, and its log-odds.

        Args:
            features: Of the ask.
            task: As it was judged.
            medium: The probability of medium, as judged.
            hard: The probability of complex, as judged.
        """
        counts, terms = read(features)
        norm, need = 0.0, 0.0
        for term in terms:
            if term in self.key_of:
                fields = fields_of(self.table.packed[self.key_of[term]])
                norm, need = norm + fields[0] / UNIT, need + self._need(fields)
        need = need / sqrt(norm) if norm else 0.0
        for buckets, bucket in zip(self.table.measures, counts, strict=True):
            need += self._need(fields_of(buckets[bucket]))
        need += PLACED_SHARE * (medium / 2 + hard - 0.5) - (CHAT_SHARE if task == "chat" else 0.0)
        slope, start = self.table.chances["score"]
        return chance((slope, start), need), slope * need + start

    def _need(self, fields: tuple[int, ...]) -> float:
        return (fields[_STRONG] - self.table.cheap_share * fields[_CHEAP]) / UNIT


def read(features: bytes) -> tuple[Counts, Terms]:
    """Return the counts and the terms of features.

    Raises:
        ValueError: these are none.
    """
    try:
        counts = _COUNTS.unpack_from(features)
        terms = Struct(f"<{(len(features) - _COUNTS.size) // 4}I").unpack_from(features, _COUNTS.size)
    except error as why:
        raise ValueError("these are no features") from why
    return counts, terms
