"""Takes a judgement apart for people: the signals beside the text, and what each word, pair and count added.

Slow beside judging, and apart from it: nothing here runs for a request.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from classifiers.ask import Ask
from classifiers.kinds import Task
from classifiers.reading import MEASURES, Reading, keys, read_text, stems
from classifiers.table import FIELDS, HEADS, NAMED, ONE, UNIT, Table, add_up, chance, fields_of

_CHEAP, _STRONG = FIELDS.index("cheap_enough"), FIELDS.index("strong_better")
_SEEN_MIN = 0.005  # less is not worth a line


class Part(NamedTuple):
    """What one key added.

    Attributes:
        key: A word, two neighbours, `abcde…` for how a word of the opening begins, or `name=bucket` for a count.
        kind: `word`, `pair`, `opening` or `count`.
        stronger: What it added to the need for a stronger model, in log-odds before calibration; negative: took away.
        task: What it added to the task that was judged, likewise.
    """

    key: str
    kind: str
    stronger: float
    task: float


class Explanation(NamedTuple):
    """One judgement, taken apart.

    Attributes:
        heads: The probability of each of `HEADS`.
        parts: What was found in the text, the largest first.
        signals: What stands beside the text, by name, as far as there is any.
    """

    heads: dict[str, float]
    parts: tuple[Part, ...]
    signals: dict[str, int]


def explain(table: Table, ask: Ask, task: Task) -> Explanation:
    """Take the judgement of an ask apart, which was judged to be of that task."""
    reading = read_text(ask.text)
    fields = add_up(table, reading).fields
    heads = {name: chance(table.chances[name], fields[FIELDS.index(name)] / ONE) for name in HEADS}
    found = [part for part in _parts(table, reading, task) if max(abs(part.stronger), abs(part.task)) >= _SEEN_MIN]
    found.sort(key=lambda part: (-abs(part.stronger) - abs(part.task), part.key))
    return Explanation(heads, tuple(found), _signals(ask))


def _parts(table: Table, reading: Reading, task: Task) -> Iterator[Part]:
    terms = {key: fields_of(table.packed[key]) for key in keys(reading) if key in table.packed}
    norm = sqrt(sum(fields[0] for fields in terms.values()) / UNIT) or 1.0
    for key, fields in terms.items():
        wide = isinstance(key, tuple) and key in set(pairwise(reading.wide))
        shown = key if isinstance(key, str) else ("" if wide else " ").join(key)
        yield _part(table, shown, "word" if isinstance(key, str) else "pair", fields, norm, task)
    for stem in sorted(set(stems(reading.words))):
        if stem in table.stems:
            yield _part(table, f"{stem}…", "opening", fields_of(table.stems[stem]), 1.0, task)
    for name, buckets, bucket in zip(MEASURES, table.measures, reading.measures, strict=True):
        yield _part(table, f"{name}={bucket}", "count", fields_of(buckets[bucket]), 1.0, task)


def _part(table: Table, key: str, kind: str, fields: tuple[int, ...], norm: float, task: Task) -> Part:
    stronger = (fields[_STRONG] - table.cheap_share * fields[_CHEAP]) / UNIT / norm
    speaks = fields[FIELDS.index(task)] / UNIT / norm if task in NAMED else 0.0
    return Part(key, kind, stronger, speaks)


def _signals(ask: Ask) -> dict[str, int]:
    found = {
        "characters": ask.text_chars,
        "characters left out": ask.text_chars - len(ask.text),
        "characters of system prompt": ask.system_chars,
        "earlier turns": ask.history_turns,
        "images": ask.images,
        "tools": ask.tools,
        "tool's result after it": int(ask.tool_turn),
        "schema demanded": int(ask.wants_schema),
        "earlier answer failed": int(ask.failed_before),
    }
    return {name: value for name, value in found.items() if value}
