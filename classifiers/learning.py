"""Refits the need for a stronger model on a deployment's own labels, in seconds and plain Python.

A logistic regression whose offset is the score as it was: it may stretch and shift that, and give what the weights know
weights of its own, each drawn to nothing. Fitted by coordinates, with a Newton step each (Yuan et al. 2010, CDN).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import exp
from random import Random
from typing import Any, NamedTuple

from classifiers.featuring import Features, read
from classifiers.kinds import Task
from classifiers.reading import MEASURES
from classifiers.table import FIELDS, UNIT
from classifiers.weights_file import versioned

LABELS_MIN, KIND_MIN = 100, 10
"""Fewer labels, or of one kind, teach noise."""
PASSES = 12
TERM_SCALE, COUNT_SCALE, STRETCH_PENALTY, START_PENALTY = 2.0, 0.4, 0.5, 1e-3
"""How much each kind may say under one penalty: chosen on families that the weights had not seen, 300 labels each."""
SEEN_MIN = 2  # a term of one label says nothing of the next
STRETCH_MIN = -0.9
HELD_SHARE = 0.3
ROUNDS = 200
_STRONG = 1 + FIELDS.index("strong_better")  # in a row of the file, after the key

Column = tuple[str, Any]


class Lesson(NamedTuple):
    """One label to learn from.

    Attributes:
        features: Of the ask.
        task: As judged; `medium` and `hard` are the probabilities of medium and complex, as judged.
        is_needed: Whether it needed a stronger model.
        weight: How much it counts.
        key: The same for the same exchange: it decides what is held back.
    """

    features: bytes
    task: Task
    medium: float
    hard: float
    is_needed: bool
    weight: float = 1.0
    key: str = ""


class Fit(NamedTuple):
    """What was learnt: how the score is stretched and shifted, and the log-odds that each column adds."""

    stretch: float
    start: float
    columns: Mapping[Column, float]


class Comparison(NamedTuple):
    """How weights that were learnt rank labels that they have not seen; each area with the interval of the gain."""

    held: int
    before: float
    after: float
    low: float
    high: float


class _Row(NamedTuple):
    offset: float
    columns: dict[Column, float]
    wanted: float
    weight: float


def rows_of(features: Features, lessons: Sequence[Lesson]) -> list[_Row]:
    """Return the lessons as they are fitted."""
    return [
        _Row(features.score(each.features, each.task, each.medium, each.hard)[1], _columns(features, each.features),
             float(each.is_needed), each.weight)
        for each in lessons
    ]  # fmt: skip


def _columns(features: Features, of: bytes) -> dict[Column, float]:
    found: dict[Column, float] = {("term", term): TERM_SCALE * share for term, share in features.shares(of).items()}
    found.update({("count", pair): COUNT_SCALE for pair in enumerate(read(of)[0])})
    return found


def fit(rows: Sequence[_Row]) -> Fit:
    """Return what the rows teach."""
    columns: dict[Column, list[tuple[int, float]]] = defaultdict(list)
    for at, row in enumerate(rows):
        columns["all", "stretch"].append((at, row.offset))
        columns["all", "start"].append((at, 1.0))
        for column, value in row.columns.items():
            columns[column].append((at, value))
    penalties = {("all", "stretch"): STRETCH_PENALTY, ("all", "start"): START_PENALTY}
    kept = {column: found for column, found in columns.items() if len(found) >= SEEN_MIN}
    weights = dict.fromkeys(kept, 0.0)
    odds = [row.offset for row in rows]
    for _ in range(PASSES):
        for column, found in kept.items():
            step = _step(rows, odds, found, weights[column], penalties.get(column, 1.0))
            weights[column] += step
            for at, value in found:
                odds[at] += step * value
    stretch = max(STRETCH_MIN, weights.pop(("all", "stretch"), 0.0))
    return Fit(stretch, weights.pop(("all", "start"), 0.0), weights)


def _step(
    rows: Sequence[_Row], odds: list[float], found: list[tuple[int, float]], weight: float, penalty: float
) -> float:
    """Return the Newton step of one column."""
    slope, bend = penalty * weight, penalty
    for at, value in found:
        share = _share(odds[at])
        slope += rows[at].weight * (share - rows[at].wanted) * value
        bend += rows[at].weight * max(share * (1 - share), 0.05) * value * value
    return -slope / bend


def _share(odds: float) -> float:
    return 1 / (1 + exp(-odds)) if odds > -700 else 0.0


def odds_of(found: Fit, row: _Row) -> float:
    """Return the log-odds that a row needs a stronger model, as learnt."""
    learnt = sum(found.columns.get(column, 0.0) * value for column, value in row.columns.items())
    return (1 + found.stretch) * row.offset + found.start + learnt


def compare(features: Features, lessons: Sequence[Lesson]) -> Comparison:
    """Learn from most of the lessons, and rank the others by it, beside the weights as they were."""
    order = sorted(lessons, key=lambda each: each.key)
    Random(len(order)).shuffle(order)  # noqa: S311 - which are held back is no secret
    many = round(HELD_SHARE * len(order))
    found, held = fit(rows_of(features, order[many:])), rows_of(features, order[:many])
    wanted = [row.wanted > 0 for row in held]
    before, after = [row.offset for row in held], [odds_of(found, row) for row in held]
    chance, gains = Random(1), list[float]()  # noqa: S311 - resampling
    for _ in range(ROUNDS):
        drawn = chance.choices(range(len(held)), k=len(held))
        again = [wanted[at] for at in drawn]
        if 0 < sum(again) < len(again):
            gains.append(area([after[at] for at in drawn], again) - area([before[at] for at in drawn], again))
    gains.sort()
    low, high = (gains[int(0.025 * len(gains))], gains[int(0.975 * len(gains))]) if gains else (-1.0, 1.0)
    return Comparison(len(held), area(before, wanted), area(after, wanted), low, high)


def area(scores: Sequence[float], wanted: Sequence[bool]) -> float:
    """Return the area under the curve: how often one that needs more ranks above one that does not; a tie is a half."""
    order = sorted(range(len(scores)), key=scores.__getitem__)
    ranks, at, count = 0.0, 0, sum(wanted)
    while at < len(order):
        end = at
        while end < len(order) and scores[order[end]] == scores[order[at]]:
            end += 1
        ranks += sum(wanted[place] for place in order[at:end]) * (at + end + 1) / 2
        at = end
    rest = len(scores) - count
    return (ranks - count * (count + 1) / 2) / (count * rest) if count and rest else 0.5


def why_not(lessons: Sequence[Lesson]) -> str | None:
    """Say why nothing can be learnt yet; None when something can."""
    needed = sum(each.is_needed for each in lessons)
    if len(lessons) < LABELS_MIN or min(needed, len(lessons) - needed) < KIND_MIN:
        return (
            f"{len(lessons)} labels, {needed} of which needed a stronger model, are too few: "
            f"{LABELS_MIN} are the least, and {KIND_MIN} of either kind"
        )
    return None


def taught(document: Mapping[str, Any], features: Features, found: Fit, labels: int) -> dict[str, Any]:
    """Return a file of weights with what was learnt added to the strong model's head, and its own version."""
    new = json.loads(json.dumps(document))
    slope, start = document["chances"]["score"]
    stretched = slope * (1 + found.stretch)
    new["chances"]["score"] = [round(stretched, 4), round(start * (1 + found.stretch) + found.start, 4)]
    terms = {features.key_of[key]: odds for (kind, key), odds in found.columns.items() if kind == "term"}
    for row in (*new["words"], *new["pairs"]):
        key = tuple(row[0].split("\t")) if "\t" in row[0] else row[0]
        if key in terms and row[1]:
            _add(row, _STRONG, terms[key] * TERM_SCALE * (row[1] / UNIT) ** 0.5 / stretched)
    for (kind, pair), odds in found.columns.items():
        if kind == "count":
            place, bucket = pair
            _add(new["measures"][MEASURES[place]][bucket], _STRONG - 1, odds * COUNT_SCALE / stretched)
    new["learnt"] = {"from": document["version"], "labels": labels}
    return versioned(new)


def _add(row: list[Any], at: int, value: float) -> None:
    row.extend([0] * (at + 1 - len(row)))
    row[at] += round(value * UNIT)
