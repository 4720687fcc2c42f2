"""How `penstock explain` shows a judgement: what was read, what it added up to, and what tier that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from classifiers.difficulty import TASK_WORDS
from classifiers.explaining import Part
from classifiers.judging import CUTS

_HEADS = (("cheap_enough", "mid_enough"), ("mid_better", "strong_better"))
PARTS_TOLD = 5
"""Of what speaks for each: enough to see why, few enough to read."""


def in_words(found: dict[str, Any]) -> Iterator[str]:
    """Yield what was judged; the reasons follow."""
    shares = ", ".join(f"{tier} {share:.0%}" for tier, share in found["probabilities"].items())
    yield f"Judged {found['tier']} ({shares}; {found['calibration']}). Task: {found['task']}."


def apart_in_words(found: dict[str, Any]) -> Iterator[str]:
    """Yield what the judgement is made of, for who has never seen it."""
    yield f"How that came about, by the weights {found['classifier']}:"
    yield f"  read: {', '.join(f'{value:,} {name}' for name, value in found['signals'].items()) or 'nothing'}"
    parts = [Part(**each) for each in found["parts"]]
    task = found["task"]
    if task in TASK_WORDS and task != "other":
        yield from _told(f"for {TASK_WORDS[task]}", [(part.task, part) for part in parts])
        yield from _told(f"against {TASK_WORDS[task]}", [(-part.task, part) for part in parts])
    yield from _told("for a stronger model", [(part.stronger, part) for part in parts])
    yield from _told("for a cheaper one", [(-part.stronger, part) for part in parts])
    heads = found["heads"]
    enough, better = (tuple(f"{heads[name]:.0%}" for name in names) for names in _HEADS)
    yield f"  as exams teach it, a small model is good enough: {enough[0]}, a middling one: {enough[1]};"
    yield f"    a middling one is clearly better: {better[0]}, a strong one: {better[1]}"
    yield from (f"  {line}" for line in _thresholds(found))


def _told(what: str, weighed: list[tuple[float, Part]]) -> Iterator[str]:
    """Yield a line with the heaviest of what speaks for something, if anything does."""
    heaviest = sorted(((weight, part) for weight, part in weighed if weight > 0), key=lambda each: -each[0])
    if heaviest:
        yield f"  {what}: " + ", ".join(f"{_named(part)} {weight:+.2f}" for weight, part in heaviest[:PARTS_TOLD])


def _named(part: Part) -> str:
    if part.kind == "count":
        name, _, bucket = part.key.partition("=")
        return f"{name.replace('_', ' ')} (step {bucket})"
    return f'"{part.key}"' if part.kind != "opening" else f'beginning "{part.key}"'


def _thresholds(found: dict[str, Any]) -> Iterator[str]:
    cuts = found["thresholds"]
    if cuts is None:
        yield f"score {found['score']:.3f}; no thresholds are tuned, so task and difficulty place it:"
        yield f"  the shipped cut points are {CUTS[0]:g} and {CUTS[1]:g}, between simple 0, medium 1 and complex 2"
    else:
        said = f"medium from {cuts['medium']:g} on, complex from {cuts['complex']:g} on"
        yield f"score {found['score']:.3f}; thresholds, as tuned: {said}"
