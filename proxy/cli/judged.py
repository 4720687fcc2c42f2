"""How `penstock explain` shows a judgement: what was read, what it added up to, and what tier that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from classifiers import TIERS, Ask, Judgement
from classifiers.difficulty import TASK_WORDS
from classifiers.explaining import Part, explain
from classifiers.judging import CUTS
from proxy.settings import Classifier

PARTS_TOLD = 6
"""Of what speaks for each: enough to see why, few enough to read."""


def document(classifier: Classifier, ask: Ask, found: Judgement) -> dict[str, Any]:
    """Return a judgement as JSON values."""
    apart = explain(classifier.table, ask, found.task)
    return {
        "tier": found.tier,
        "task": found.task,
        "score": found.score,
        "confidence": found.confidence,
        "probabilities": dict(zip(TIERS, found.probabilities, strict=True)),
        "calibration": "uncalibrated" if found.cuts is None else "tuned",
        "classifier": found.version,
        "thresholds": None if found.cuts is None else found.cuts._asdict(),
        "features": dict(found.features),
        "heads": apart.heads,
        "signals": apart.signals,
        "parts": [part._asdict() for part in apart.parts],
    }


def in_words(found: dict[str, Any]) -> Iterator[str]:
    """Yield what was judged; the reasons follow."""
    shares = ", ".join(f"{tier} {share:.0%}" for tier, share in found["probabilities"].items())
    yield f"Judged {found['tier']} ({shares}; {found['calibration']}). Task: {found['task']}."


def apart_in_words(found: dict[str, Any]) -> Iterator[str]:
    """Yield what the judgement is made of, for who has never seen it."""
    yield f"How that came about, by the weights {found['classifier']}:"
    signals = ", ".join(f"{name} {value:,}" for name, value in found["signals"].items())
    yield f"  read: {signals or 'nothing'}"
    heads = found["heads"]
    yield (
        f"  a small model is good enough: {heads['cheap_enough']:.0%}; a middling one is clearly better: "
        f"{heads['mid_better']:.0%}; is good enough: {heads['mid_enough']:.0%}; a strong one is clearly better: "
        f"{heads['strong_better']:.0%} (as exams teach it)"
    )
    parts = [Part(**each) for each in found["parts"]]
    task = found["task"]
    if task in TASK_WORDS and task != "other":
        yield from _told(f"speaks for {TASK_WORDS[task]}", [(part.task, part) for part in parts])
        yield from _told(f"speaks against {TASK_WORDS[task]}", [(-part.task, part) for part in parts])
    yield from _told("speaks for a stronger model", [(part.stronger, part) for part in parts])
    yield from _told("speaks for a cheaper one", [(-part.stronger, part) for part in parts])
    yield f"  {_thresholds(found)}"


def _told(what: str, weighed: list[tuple[float, Part]]) -> Iterator[str]:
    """Yield a line with the heaviest of what speaks for something, if anything does."""
    heaviest = sorted(((weight, part) for weight, part in weighed if weight > 0), key=lambda each: -each[0])
    if heaviest:
        yield f"  {what}: " + ", ".join(f"{_named(part)} {weight:+.2f}" for weight, part in heaviest[:PARTS_TOLD])


def _named(part: Part) -> str:
    if part.kind == "count":
        name, _, bucket = part.key.partition("=")
        return f"the count of {name.replace('_', ' ')} (step {bucket})"
    return f'"{part.key}"' if part.kind != "opening" else f'beginning with "{part.key}"'


def _thresholds(found: dict[str, Any]) -> str:
    cuts = found["thresholds"]
    if cuts is None:
        return (
            f"score {found['score']:.3f}; no thresholds were tuned, so the tier is the likeliest: task and difficulty "
            f"against the shipped cut points, {CUTS[0]:g} and {CUTS[1]:g} on a line from simple 0 to complex 2"
        )
    said = f"medium from {cuts['medium']:g} on, complex from {cuts['complex']:g} on"
    return f"score {found['score']:.3f}; thresholds, as tuned: {said}"
