"""Turns readings into the columns that are fitted: terms, openings, measures, and what the cue lists say of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np
from scipy import sparse

from classifiers.reading import MEASURES, Key, Reading, keys, stems
from classifiers.table import NAMED
from training.lexicon import sign_cues, stem_cues, task_cues

TERMS_MAX = 12_000  # of exam questions; 60,000 rank as well on known kinds of task and cost five times the memory
EXAM_COUNT_MIN, EVERYDAY_PAIR_MIN, SHAPE_COUNT_MIN = 4, 2, 1
EVERYDAY_WORTH = 20  # an everyday prompt counts so often when the rareness of a term is measured
TERM_SCALE, CUE_SCALE, STEM_SCALE, MEASURE_SCALE = 4.0, 20.0, 1.0, 0.4
"""How much a column of each kind may say under one penalty."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Which column is what.

    Attributes:
        rarities: Each term's inverse document frequency.
        places: Each column, by kind and key.
        term_count: Terms come first, then measures; only those are fitted to exam questions.
        exam_count: How many columns those are.
    """

    rarities: Mapping[Key, float]
    places: Mapping[tuple[str, Any], int]
    term_count: int
    exam_count: int

    def encode(self, readings: Iterable[Reading]) -> Any:
        """Return a row per reading."""
        ends, columns = [0], list[int]()
        values = list[float]()
        for reading in readings:
            found = self._row(reading)
            columns.extend(found)
            values.extend(found.values())
            ends.append(len(columns))
        return sparse.csr_matrix((values, columns, ends), shape=(len(ends) - 1, len(self.places)))

    def _row(self, reading: Reading) -> dict[int, float]:
        known = sorted(keys(reading) & self.rarities.keys(), key=repr)
        norm = sqrt(sum(self.rarities[key] ** 2 for key in known)) or 1.0
        row: dict[int, float] = Counter()  # type: ignore[assignment]
        for key in known:
            row[self.places["term", key]] = self.rarities[key] * TERM_SCALE / norm
            for task, weight in task_cues().get(key, {}).items():
                row[self.places["cue term", task]] += weight * CUE_SCALE / norm
        opening = stems(reading.words)
        for stem in sorted(set(opening)):
            if ("stem", stem) in self.places:
                row[self.places["stem", stem]] = STEM_SCALE
                for task, weight in stem_cues().get(stem, {}).items():
                    row[self.places["cue stem", task]] += weight
        for measure in zip(MEASURES, reading.measures, strict=True):
            if ("measure", measure) in self.places:
                row[self.places["measure", measure]] = MEASURE_SCALE
        return row


def build(exam: list[Reading], ordinary: list[Reading]) -> Encoder:
    """Choose the terms and number the columns."""
    in_exam = Counter(key for reading in exam for key in keys(reading))
    in_ordinary = Counter(key for reading in ordinary for key in keys(reading))
    terms = {key for key, count in _commonest(in_exam) if count >= EXAM_COUNT_MIN}
    terms |= {key for key, count in in_ordinary.items() if isinstance(key, str) or count >= EVERYDAY_PAIR_MIN}
    terms |= task_cues().keys() | sign_cues().keys()
    total = len(exam) + EVERYDAY_WORTH * len(ordinary)
    rarities = {key: _rarity(total, in_exam[key] + EVERYDAY_WORTH * in_ordinary[key]) for key in terms}
    places: dict[tuple[str, Any], int] = {("term", key): at for at, key in enumerate(sorted(terms, key=repr))}
    measures = {each for reading in (*exam, *ordinary) for each in zip(MEASURES, reading.measures, strict=True)}
    for measure in sorted(measures):
        places["measure", measure] = len(places)
    exam_count = len(places)
    opening = {stem for reading in ordinary for stem in stems(reading.words)} | stem_cues().keys()
    for stem in sorted(opening):
        places["stem", stem] = len(places)
    for kind in ("cue term", "cue stem"):
        for task in NAMED:
            places[kind, task] = len(places)
    return Encoder(rarities, places, len(terms), exam_count)


def _commonest(counts: Counter[Key]) -> list[tuple[Key, int]]:
    """Return the most frequent terms, of equals in the order of their spelling."""
    return sorted(counts.items(), key=lambda each: (-each[1], repr(each[0])))[:TERMS_MAX]


def _rarity(total: int, count: int) -> float:
    return round(log(total / (1 + count)) + 1, 3)


def cue_penalties(encoder: Encoder, other: float, cue: float, strength: float) -> tuple[Any, Any]:
    """Return penalty and prior of every weight: a cue is drawn to its own task, all else to nothing."""
    shape = (len(encoder.places), len(NAMED))
    penalties, prior = np.full(shape, other), np.zeros(shape)
    for (kind, key), place in encoder.places.items():
        if kind.startswith("cue "):
            penalties[place] = cue
            prior[place, NAMED.index(key)] = strength
    return penalties, prior
