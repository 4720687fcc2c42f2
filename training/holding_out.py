"""Scores each published prompt by weights that have not seen it: nor its question, nor, the harder way, its family."""

from collections import Counter
from typing import Any

import numpy as np

from classifiers.reading import read_text
from training import encoding
from training.rows import Row, number_of
from training.weighing import fit_heads

FOLDS = 5
HEADS_HELD = ("cheap_enough", "strong_better")


def by_question(rows: list[Row]) -> Any:
    """Return a fold per row; copies of one question share it."""
    return np.array([row.question % FOLDS for row in rows])


def by_family(rows: list[Row]) -> Any:
    """Return a fold per row; a family shares it, and each source is spread over the folds."""
    sizes = Counter(row.family for row in rows)
    taken: dict[tuple[str, int], int] = Counter()
    fold_of: dict[str, int] = {}
    for family, size in sorted(sizes.items(), key=lambda each: (-each[1], each[0])):
        source = family.split("/")[0]
        fold = min(range(FOLDS), key=lambda at: (taken[source, at], number_of(f"{family}{at}")))
        taken[source, fold] += size
        fold_of[family] = fold
    return np.array([fold_of[row.family] for row in rows])


def held_out(rows: list[Row], folds: Any) -> dict[str, Any]:
    """Return the heads' values of each row, by weights fitted without its fold."""
    readings = [read_text(row.text) for row in rows]
    questions = np.array([row.question for row in rows])
    found = {name: np.zeros(len(rows)) for name in HEADS_HELD}
    for fold in range(FOLDS):
        kept = np.flatnonzero(folds == fold)
        rest = np.flatnonzero((folds != fold) & ~np.isin(questions, questions[kept]))
        encoder = encoding.build([readings[at] for at in rest], [])
        heads = fit_heads(encoder, [rows[at] for at in rest], [readings[at] for at in rest], HEADS_HELD)
        matrix = encoder.encode([readings[at] for at in kept])[:, : encoder.exam_count]
        for name in HEADS_HELD:
            found[name][kept] = matrix @ heads[name]
    return found
