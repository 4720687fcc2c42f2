"""The labels that are shipped to tune on: outcomes of three models, and everyday prompts, as they are scored unseen."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from classifiers.ask import Ask, read_ask
from classifiers.judgement import Judgement
from classifiers.judging import judge_sums
from classifiers.reading import read_text
from classifiers.table import FIELDS, ONE, Table, add_up
from training.rows import Everyday, Row


def labels(
    table: Table, rows: list[Row], held: Mapping[str, Any], ordinary: Iterable[Everyday]
) -> Iterator[dict[str, Any]]:
    """Yield a label per published outcome of three models, and per everyday prompt that was kept from training."""
    for at, row in enumerate(rows):
        if row.mid is not None:
            found = unseen(table, row.text, {name: float(values[at]) for name, values in held.items()})
            yield {**_said(found), "cheap": row.cheap, "mid": row.mid, "strong": row.strong, "source": row.source}
    for each in ordinary:
        if each.is_kept:
            yield {**_said(unseen(table, each.text, {})), "tier": each.tiers[0], "source": "everyday"}


def unseen(table: Table, text: str, heads: Mapping[str, float]) -> Judgement:
    """Judge a text as the weights would if their heads were those of weights that have not seen it."""
    ask: Ask = read_ask([{"role": "user", "content": text}])
    reading = read_text(ask.text)
    sums = add_up(table, reading)
    fields = list(sums.fields)
    for name, value in heads.items():
        fields[FIELDS.index(name)] = round(value * ONE)
    return judge_sums(table, ask, reading, sums._replace(fields=tuple(fields)))


def _said(found: Judgement) -> dict[str, Any]:
    return {"score": round(found.score, 4), "task": found.task, "judged": found.tier}


def write_labels(found: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write a label a line; the same labels make the same file, byte for byte. Return how many."""
    lines = [json.dumps(each, separators=(",", ":")) for each in found]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))
    return len(lines)
