"""Labels: what is known of how well the models of each tier did at asks of a score.

A label file is JSONL. Each line has the ask (`prompt` or `messages`; or `score` and `task`, if it was judged before),
and what is known of it: `tier`, the lowest that does; or `cheap`, `mid` and `strong`, the outcomes of the three tiers'
models, 0..1; or `good` with `served`, a word about one answer. `weight` and `propensity` (how likely the served tier
was) are optional.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from classifiers.ask import read_ask
from classifiers.judging import judge_with
from classifiers.kinds import TASKS, TIERS, Task, Tier
from classifiers.table import Table

SHIPPED = Path(__file__).with_name("held_out.jsonl.gz")
LINE_CHARS_MAX = 1 << 20
PROPENSITY_MIN = 0.01  # a rarer choice would weigh more than a hundred others


class LabelError(ValueError):
    """A line of a label file says nothing, or what it cannot; the text says which and why."""


class Label(NamedTuple):
    """One ask with what each tier's model makes of it.

    Attributes:
        score: Of the judge, 0..1.
        task: As judged.
        judged: The tier without cut points; None when it is not known.
        outcomes: How well simple, medium and complex did, 0..1. What is not known is taken for the worse: a lower
            tier failed where nobody saw it, a higher one would have done.
        weight: How much it counts.
    """

    score: float
    task: Task
    judged: Tier | None
    outcomes: tuple[float, float, float]
    weight: float = 1.0


def shipped() -> list[Label]:
    """Return the labels of the package: exams, and everyday prompts; each source counts alike."""
    rows = [json.loads(line) for line in gzip.decompress(SHIPPED.read_bytes()).splitlines()]
    sizes = Counter(row["source"] for row in rows)
    return [label_of(row | {"weight": 1 / sizes[row["source"]]}) for row in rows]


def read(lines: Iterable[bytes], table: Table) -> Iterator[Label]:
    """Yield the label of each line that is not empty.

    Raises:
        LabelError: a line is no label.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield label_of(_judged(json.loads(line), table))
        except (LabelError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise LabelError(f"line {number} {error}") from None


def _judged(given: Any, table: Table) -> Mapping[str, Any]:
    """Judge the ask of a line, unless it was."""
    if not isinstance(given, dict):
        raise LabelError("is no object")
    if "score" in given:
        return given
    messages = [{"role": "user", "content": given["prompt"]}] if "prompt" in given else given.get("messages")
    if not isinstance(messages, list):
        raise LabelError('needs "prompt", "messages", or "score" and "task"')
    found = judge_with(table, read_ask(messages))
    return {**given, "score": found.score, "task": found.task, "judged": found.tier}


def label_of(given: Mapping[str, Any]) -> Label:
    """Return the label of an ask that was judged.

    Raises:
        LabelError: it says nothing of how well any tier did, or what cannot be.
    """
    task = given.get("task")
    if task not in TASKS:
        raise LabelError(f'has no "task" of {", ".join(TASKS)}')
    weight = _number(given, "weight", 1.0, most=1e9) / max(PROPENSITY_MIN, _number(given, "propensity", 1.0))
    return Label(_number(given, "score"), task, given.get("judged"), _outcomes(given), weight)


def _outcomes(given: Mapping[str, Any]) -> tuple[float, float, float]:
    if "tier" in given:
        lowest = _tier(given, "tier")
        return (float(lowest < 1), float(lowest < 2), 1.0)
    if "good" in given:
        if not isinstance(given["good"], bool):
            raise LabelError('says "good", which is true or false')
        served = _tier(given, "served")
        if given["good"]:
            return (float(served < 1), float(served < 2), 1.0)
        return (0.0, float(served < 1), float(served < 2))
    if "strong" not in given:
        raise LabelError('says neither "tier", nor "good" and "served", nor "cheap", "mid" and "strong"')
    strong, cheap = _number(given, "strong"), _number(given, "cheap", 0.0)
    return cheap, _number(given, "mid", min(cheap, strong)), strong


def _tier(given: Mapping[str, Any], name: str) -> int:
    if given.get(name) not in TIERS:
        raise LabelError(f'has no "{name}" of {", ".join(TIERS)}')
    return TIERS.index(given[name])


def _number(given: Mapping[str, Any], name: str, default: float | None = None, most: float = 1.0) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise LabelError(f'has no "{name}" from 0 to {most:g}')
    return float(value)
