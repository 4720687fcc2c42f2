"""What a few own labels are worth on a family of asks that the weights have never seen: `penstock learn`, measured."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from classifiers.ask import Ask
from classifiers.featuring import Features
from classifiers.judging import judge_with
from classifiers.learning import Lesson, fit, odds_of, rows_of
from classifiers.reading import read_text
from classifiers.table import NAMED, Table, load
from classifiers.table import shipped as shipped_table
from classifiers.weights_file import write
from training import encoding
from training.holding_out import by_family
from training.measuring import area, interval
from training.rows import Row
from training.weighing import Fitted, calibrate, document, fit_heads, held_back

TESTED_MIN = 150  # left to test on, or a family is passed over
SEEDS = 3


class Ranked(NamedTuple):
    """One family: whether its tested prompts needed the strong model, and their scores before and after learning."""

    source: str
    needed: Any
    before: Any
    after: Any


def measured(rows: list[Row], labels: int) -> list[Ranked]:
    """Return each family that is large enough, ranked by weights without it, and by the same after some own labels."""
    chances, folds = calibrate(rows, held_back(rows)), by_family(rows)
    found: list[Ranked] = []
    for fold in sorted(set(folds)):
        table = _without(rows, folds, fold, chances)
        features = Features(table)
        sizes = Counter(row.family for row, each in zip(rows, folds, strict=True) if each == fold)
        for family in sorted(name for name, size in sizes.items() if size >= labels + TESTED_MIN):
            found.extend(_ranked(features, [row for row in rows if row.family == family], labels))
    return found


def _without(rows: list[Row], folds: Any, fold: int, chances: Any) -> Table:
    """Return weights that have seen no question of a fold's families; tasks are the shipped ones' business."""
    kept = {row.question for row, each in zip(rows, folds, strict=True) if each == fold}
    rest = [row for row, each in zip(rows, folds, strict=True) if each != fold and row.question not in kept]
    readings = [read_text(row.text) for row in rest]
    encoder = encoding.build(readings, [])
    fitted = Fitted(encoder, np.zeros((len(encoder.places) + 1, len(NAMED))), fit_heads(encoder, rest, readings))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.json"
        write(document(fitted, chances), path)
        return load(path)


def _ranked(features: Features, rows: list[Row], labels: int) -> Iterator[Ranked]:
    lessons = [_lesson(features, row) for row in rows]
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(rows))
        learnt = fit(rows_of(features, [lessons[at] for at in order[:labels]]))
        tested = rows_of(features, [lessons[at] for at in order[labels:]])
        needed = np.array([row.wanted > 0 for row in tested])
        if 0 < needed.sum() < len(needed):
            before = np.array([row.offset for row in tested])
            yield Ranked(rows[0].source, needed, before, np.array([odds_of(learnt, row) for row in tested]))


def _lesson(features: Features, row: Row) -> Lesson:
    judged = judge_with(shipped_table(), Ask(row.text, len(row.text)))
    _, medium, hard = judged.probabilities
    return Lesson(features.of(row.text), judged.task, medium, hard, row.needs_strong)


def summary(found: list[Ranked]) -> Iterator[tuple[str, str, str]]:
    """Yield for before and after: its name, the mean area over families, and its interval by resampling prompts."""
    for name in ("before", "after"):
        values = [(getattr(each, name), each.needed) for each in found]

        def mean(at: Any, values: Any = values) -> float:
            chance = np.random.default_rng(int(at[0]))
            drawn = [chance.integers(0, len(needed), len(needed)) for _, needed in values]
            areas = [area(scores[each], needed[each]) for (scores, needed), each in zip(values, drawn, strict=True)]
            return float(np.nanmean(areas))

        low, high = interval(mean, 10**6)
        yield name, f"{np.mean([area(*each) for each in values]):.3f}", f"{low:.3f} … {high:.3f}"
