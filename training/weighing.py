"""Fits everything the judge looks up, and writes it as plain numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from classifiers.reading import BUCKETS_MAX, MEASURES, Reading, read_text
from classifiers.table import FIELDS, HEADS, NAMED, SIGN_BITS, SIGNS, UNIT
from classifiers.weights_file import versioned
from training import encoding
from training.encoding import Encoder
from training.fitting import fit_logistic, fit_platt, fit_softmax
from training.lexicon import sign_cues, stem_cues, task_cues
from training.rows import Everyday, Row, number_of

EXAM_PENALTY = 3.3  # by five-fold cross-validation over questions, and over families
TASK_PENALTY, CUE_PENALTY, CUE_STRENGTH = 0.3, 0.3, 0.3
CHEAP_SHARE = 0.5  # of what the cheap model fails at in the score: ranks new kinds of task better, known ones no worse
LUCK_SHARE = 0.5  # of the label that is the mean of several models: one answer is part luck
FOLDS = 3
TASK_OF_EXAM = {
    "gsm8k": "mathematics",
    "gsm": "mathematics",
    "mbpp": "code",
    "trivia_qa": "faq",
    "agentverse-logicgrid": "reasoning",
    "mmlu_pro/math": "mathematics",
}
EXAM_TASK_ROWS, EXAM_TASK_WEIGHT = 60, 0.3
"""Of each exam whose task is beyond doubt, so many rows teach the task, lightly: their form is not everyday's."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights per column: of the tasks (the last row is the start), and of each head."""

    encoder: Encoder
    tasks: Any
    heads: Mapping[str, Any]


def labels(rows: list[Row]) -> dict[str, tuple[list[int], Any]]:
    """Return for each head the rows that have a label for it, and the labels, 0 to 1."""
    middle = [at for at, row in enumerate(rows) if row.mid is not None]
    every = list(range(len(rows)))
    gap = np.array([LUCK_SHARE * min(1.0, max(0.0, row.strong_mean - row.weak_mean)) for row in rows])
    cheap = np.array([(1 - LUCK_SHARE) * (row.cheap >= 0.5) + LUCK_SHARE * row.weak_mean for row in rows])
    strong = gap + (1 - LUCK_SHARE) * np.array([row.needs_strong for row in rows])
    better = np.array([row.mid is not None and row.mid - row.cheap >= 0.5 for row in rows], float)
    enough = np.array([row.mid is not None and row.mid >= 0.5 for row in rows], float)
    return {
        "cheap_enough": (every, cheap),
        "mid_better": (middle, better[middle]),
        "mid_enough": (middle, enough[middle]),
        "strong_better": (every, strong),
    }


def fit_heads(
    encoder: Encoder, rows: list[Row], readings: list[Reading], names: tuple[str, ...] = HEADS
) -> dict[str, Any]:
    """Fit the difficulty heads on exam outcomes; a source counts by the root of its size."""
    matrix = encoder.encode(readings)[:, : encoder.exam_count]
    sizes = Counter(row.source for row in rows)
    weights = np.array([(len(rows) / len(sizes) / sizes[row.source]) ** 0.5 for row in rows])
    found: dict[str, Any] = {}
    for name, (which, wanted) in labels(rows).items():
        if name in names:
            groups = [rows[at].source for at in which]
            found[name] = fit_logistic(matrix[which], wanted, weights[which], groups, EXAM_PENALTY)
    return found


def fit_tasks(
    encoder: Encoder, ordinary: list[Everyday], readings: list[Reading], rows: list[Row], exam: list[Reading]
) -> Any:
    """Fit the tasks on everyday prompts, and lightly on exams that are of one task."""
    chosen = _exam_tasks(rows)
    matrix = encoder.encode([*readings, *(exam[at] for at, _ in chosen)])
    classes = np.array([NAMED.index(each.task) for each in ordinary] + [NAMED.index(task) for _, task in chosen])
    weights = np.array([1.0] * len(ordinary) + [EXAM_TASK_WEIGHT] * len(chosen))
    penalties, prior = encoding.cue_penalties(encoder, TASK_PENALTY, CUE_PENALTY, CUE_STRENGTH)
    return fit_softmax(matrix, classes, weights, penalties, prior)


def _exam_tasks(rows: list[Row]) -> list[tuple[int, Any]]:
    taken: Counter[str] = Counter()
    chosen: list[tuple[int, Any]] = []
    for at in sorted(range(len(rows)), key=lambda at: number_of(rows[at].text)):
        task = TASK_OF_EXAM.get(rows[at].task)
        if task is not None and taken[rows[at].task] < EXAM_TASK_ROWS:
            taken[rows[at].task] += 1
            chosen.append((at, task))
    return chosen


def fit(rows: list[Row], ordinary: list[Everyday]) -> Fitted:
    """Fit everything."""
    exam, spoken = [read_text(row.text) for row in rows], [read_text(each.text) for each in ordinary]
    encoder = encoding.build(exam, spoken)
    return Fitted(encoder, fit_tasks(encoder, ordinary, spoken, rows, exam), fit_heads(encoder, rows, exam))


def held_back(rows: list[Row]) -> dict[str, Any]:
    """Return each head's values of each row, by weights that have not seen its question."""
    values: dict[str, Any] = {name: np.zeros(len(rows)) for name in HEADS}
    readings = [read_text(row.text) for row in rows]
    for fold in range(FOLDS):
        kept = [at for at, row in enumerate(rows) if row.question % FOLDS == fold]
        rest = [at for at, row in enumerate(rows) if row.question % FOLDS != fold]
        encoder = encoding.build([readings[at] for at in rest], [])
        found = fit_heads(encoder, [rows[at] for at in rest], [readings[at] for at in rest])
        matrix = encoder.encode([readings[at] for at in kept])[:, : encoder.exam_count]
        for name, weights in found.items():
            values[name][kept] = matrix @ weights
    return values


def calibrate(rows: list[Row], held: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return slope and start of each head's probability, from values by weights that have not seen the rows."""
    values = {**held, "score": held["strong_better"] - CHEAP_SHARE * held["cheap_enough"]}
    chances: dict[str, list[float]] = {}
    for name, (which, _) in {**labels(rows), "score": (list(range(len(rows))), None)}.items():
        outcome = np.array([OUTCOMES[name](rows[at]) for at in which], float)
        slope, start = fit_platt(values[name][which], outcome, [rows[at].source for at in which])
        chances[name] = [round(slope, 4), round(start, 4)]
    return chances


OUTCOMES: Mapping[str, Any] = {
    "cheap_enough": lambda row: row.cheap >= 0.5,
    "mid_better": lambda row: row.mid - row.cheap >= 0.5,
    "mid_enough": lambda row: row.mid >= 0.5,
    "strong_better": lambda row: row.needs_strong,
    "score": lambda row: row.needs_strong,
}
"""What each head's probability is the probability of."""


def document(fitted: Fitted, chances: Mapping[str, list[float]]) -> dict[str, Any]:
    """Return the weights as plain numbers, all sums of cues already made."""
    encoder = fitted.encoder
    found: dict[str, Any] = {"fields": list(FIELDS), "chances": dict(chances), "cheap_share": CHEAP_SHARE}
    terms = {key: _term(fitted, key) for kind, key in encoder.places if kind == "term"}
    found["words"] = [[key, *row] for key, row in terms.items() if isinstance(key, str)]
    found["pairs"] = [["\t".join(key), *row] for key, row in terms.items() if not isinstance(key, str)]
    found["stems"] = [[key, *_stem(fitted, key)] for kind, key in encoder.places if kind == "stem"]
    found["measures"] = {name: [_measure(fitted, (name, bucket)) for bucket in range(BUCKETS_MAX)] for name in MEASURES}
    found["start"] = [0, *_no_heads(), *_whole(fitted.tasks[-1])]
    return versioned(found)


def _term(fitted: Fitted, key: Any) -> list[int]:
    encoder = fitted.encoder
    place, rarity = encoder.places["term", key], encoder.rarities[key]
    tasks = fitted.tasks[place] * rarity * encoding.TERM_SCALE
    for task, weight in task_cues().get(key, {}).items():
        tasks = tasks + fitted.tasks[encoder.places["cue term", task]] * weight * encoding.CUE_SCALE
    heads = [fitted.heads[name][place] * rarity * encoding.TERM_SCALE for name in HEADS]
    signs = sum(1 << (SIGN_BITS * SIGNS.index(sign)) for sign in sign_cues().get(key, ()))
    return _shortened([round(rarity * rarity * UNIT), *_whole([*heads, *tasks]), signs])


def _stem(fitted: Fitted, stem: str) -> list[int]:
    places = fitted.encoder.places
    tasks = fitted.tasks[places["stem", stem]] * encoding.STEM_SCALE
    for task, weight in stem_cues().get(stem, {}).items():
        tasks = tasks + fitted.tasks[places["cue stem", task]] * weight
    return _shortened([0, *_no_heads(), *_whole(tasks)])


def _measure(fitted: Fitted, measure: tuple[str, int]) -> list[int]:
    place = fitted.encoder.places.get(("measure", measure))
    if place is None:
        return []
    heads = [fitted.heads[name][place] for name in HEADS]
    return _shortened([0, *_whole([encoding.MEASURE_SCALE * weight for weight in (*heads, *fitted.tasks[place])])])


def _no_heads() -> list[int]:
    return [0] * len(HEADS)


def _shortened(row: list[int]) -> list[int]:
    """Leave out the zeros at the end: most terms of exams say nothing of the task."""
    while row and row[-1] == 0:
        row.pop()
    return row


def _whole(weights: Any) -> list[int]:
    return [round(float(weight) * UNIT) for weight in weights]
