"""The weights, and the one sum that asks them all.

A key's weights for all outputs are the digits of one large integer, so that adding up a text is one `sum` in C whatever
the number of outputs. `training` writes `weights.json`; a newer file is a newer judge.
"""

import json
from array import array
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import sqrt, tanh
from operator import getitem
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

from classifiers.kinds import TASKS
from classifiers.reading import MEASURES, OPENING_WORDS, STEM_CHARS, Key, Reading, paired_words

WEIGHTS = Path(__file__).with_name("weights.json")
NAMED = TASKS[:-1]  # no text speaks for `other`
HEADS = ("cheap_enough", "mid_better", "mid_enough", "strong_better")
"""Is the cheap model good enough, the mid one better? Is the mid one good enough, the strong one better?"""
SIGNS = ("constraint", "step", "proof", "rigour", "stakes", "light", "tiny", "heavy_code", "long_work")
FIELDS = ("square", *HEADS, *NAMED, "signs")
"""What a key says: the square of its weight as a term, its weight for each head and task, which signs it is."""
UNIT = 256  # weights are this fraction, squares too
TASKS_AT, SIGNS_AT = 1 + len(HEADS), len(FIELDS) - 1
KNOWN_WORDS = 40  # of the opening, to tell whether a text is known at all
SIGN_BITS = 10  # of the last field, for each sign: a bounded text has at most a thousand words

_BITS = 32
_DIGITS = Struct(f"<{SIGNS_AT}i")
_SIZE = SIGNS_AT * _BITS
_BYTES, _ALL = _SIZE // 8, (1 << _SIZE) - 1
_SQUARE = (1 << _BITS) - 1
_ZERO = sum(1 << (_BITS * place + _BITS - 1) for place in range(SIGNS_AT))
_SHARE_BITS = 14  # of the fixed-point factor by which a text's terms are divided by their norm


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that was trained.

    Attributes:
        version: Which weights these are; recorded with each decision.
        words: The words it knows, and `pairs` of words or signs.
        packed: The weights of each, all outputs in one integer.
        stems: The same for beginnings of the first words.
        measures: The same for each bucket of each measure.
        start: The same for every text.
        chances: Slope and intercept of each head's probability, and of the score's.
        cheap_share: How much the first head counts in the score.
    """

    version: str
    words: frozenset[str]
    pairs: frozenset[Key]
    packed: Mapping[Key, int]
    stems: Mapping[str, int]
    measures: tuple[tuple[int, ...], ...]
    start: int
    chances: Mapping[str, tuple[float, float]]
    cheap_share: float


class Sums(NamedTuple):
    """What the weights say of one text.

    Attributes:
        fields: A number for each of `FIELDS` but the last, in units of `ONE`; the first says nothing here.
        signs: How many words are each sign, `SIGN_BITS` apiece.
        known: The share of its opening that the weights know.
    """

    fields: tuple[int, ...]
    signs: int
    known: float


ONE = UNIT << _SHARE_BITS
"""What stands for 1.0 in `Sums.fields`."""
_NORMED = sqrt(UNIT) * (1 << _SHARE_BITS)


def add_up(table: Table, reading: Reading) -> Sums:
    """Return what the weights say of a text. Terms count by their share, as a long text has more; openings in full."""
    words = reading.words
    weight = table.packed.__getitem__
    known = table.words & set(words)  # a text repeats its words: each is looked up once
    terms = sum(map(weight, known))
    terms += sum(map(weight, table.pairs.intersection(pairwise(paired_words(words)))))
    if reading.wide:
        terms += sum(map(weight, table.pairs.intersection(pairwise(reading.wide))))
    square = terms & _SQUARE
    share = int(_NORMED / sqrt(square)) if square else 0
    opening = {word[:STEM_CHARS] for word in words[:OPENING_WORDS]}
    rest = table.start + sum(map(getitem, table.measures, reading.measures))
    rest += sum(filter(None, map(table.stems.get, opening)))
    total = terms * share + (rest << _SHARE_BITS) + _ZERO
    fields = _DIGITS.unpack(((total & _ALL) ^ _ZERO).to_bytes(_BYTES, "little"))
    share_known = len(known) / (len(words) or 1) if len(words) <= KNOWN_WORDS else _known(known, words)
    return Sums(fields, (terms + _ZERO) >> _SIZE, share_known)


def chance(of: tuple[float, float], value: float) -> float:
    """Return a calibrated probability: by the slope and the intercept of one of `Table.chances`."""
    return 0.5 + 0.5 * tanh((of[0] * value + of[1]) / 2)


def fields_of(packed: int) -> tuple[int, ...]:
    """Return the weights that one integer holds, a number for each of `FIELDS` but the last, in units of `1/UNIT`."""
    return _DIGITS.unpack((((packed + _ZERO) & _ALL) ^ _ZERO).to_bytes(_BYTES, "little"))


def _known(known: AbstractSet[str], words: list[str]) -> float:
    opening = set(words[:KNOWN_WORDS])
    return len(opening & known) / (len(opening) or 1)


@cache
def shipped() -> Table:
    """Return the weights of the package, read once."""
    return load(WEIGHTS)


def load(path: Path) -> Table:
    """Read a file of weights.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a file of weights, or of other fields than this version reads.
    """
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict) or tuple(found.get("fields", ())) != FIELDS:
        raise ValueError(f"{path} holds no weights for this version of Penstock.")
    words = _rows(found["words"])
    pairs = {_pair(key): value for key, value in _rows(found["pairs"]).items()}
    packed: dict[Key, int] = dict[Key, int]()
    for rows in (words, pairs):
        packed.update(rows.items())
    measures = tuple(tuple(_packed(found["measures"][name])) for name in MEASURES)
    return Table(
        version=found["version"],
        words=frozenset(words),
        pairs=frozenset(pairs),
        packed=packed,
        stems=_rows(found["stems"]),
        measures=measures,
        start=next(_packed([found["start"]])),
        chances={name: (slope, start) for name, (slope, start) in found["chances"].items()},
        cheap_share=found["cheap_share"],
    )


def _pair(key: str) -> tuple[str, str]:
    first, second = key.split("\t")
    return first, second


def _rows(rows: list[list[Any]]) -> dict[str, int]:
    return dict(zip([row[0] for row in rows], _packed([row[1:] for row in rows]), strict=True))


def _packed(rows: list[list[int]]) -> Iterator[int]:
    """Yield each row as one integer whose digits are its numbers, negative ones borrowing from the next."""
    width = len(FIELDS) - 1
    for row in rows:
        signs = row.pop() if len(row) > width else 0
        raw = array("i", row + [0] * (width - len(row))).tobytes()
        yield (int.from_bytes(raw, "little") ^ _ZERO) - _ZERO + (signs << _SIZE)
