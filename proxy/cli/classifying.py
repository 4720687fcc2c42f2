"""`penstock classify`: judges requests as they come in, a line a line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import click
import orjson

from classifiers import TIERS, read_ask
from proxy.cli.frame import USAGE, fail, load, shared_options
from proxy.settings import Classifier

BLOCK_BYTES = 1 << 16
"""Read and written at once: what a pipe holds. Whoever sends a line and waits gets its judgement all the same."""


@click.command()
@shared_options
def classify(config: Path, as_json: bool) -> None:
    """Judge JSONL from stdin, one {"id", "prompt"} or {"id", "messages"} per line; JSONL to stdout, in order.

    By the weights and the thresholds of the configuration.
    """
    del as_json  # it is JSON in any case
    classifier, number, out = load(config, quiet=True).classifier, 0, sys.stdout.buffer
    for block in _blocks():
        for line in block:
            number += 1
            if line.strip():
                out.write(orjson.dumps(_judged(classifier, number, line), option=orjson.OPT_APPEND_NEWLINE))
        out.flush()


def _blocks() -> Iterator[list[bytes]]:
    """Yield the lines that are there, whenever some are whole."""
    rest, source = b"", cast("BufferedReader", sys.stdin.buffer)
    while block := source.read1(BLOCK_BYTES):
        if b"\n" not in block:
            rest += block
            continue
        *lines, rest = (rest + block).split(b"\n")
        yield lines
    yield [rest]


def _judged(classifier: Classifier, number: int, line: bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        fail(f"line {number} is not JSON: {error}", USAGE)
    if not isinstance(given, dict) or not isinstance(given.get("prompt", given.get("messages")), str | list):
        fail(f'line {number} must be an object with "prompt" (text) or "messages" (array)', USAGE)
    messages = given["messages"] if "messages" in given else [{"role": "user", "content": given["prompt"]}]
    found = classifier.judge(read_ask(messages))
    probabilities = dict(zip(TIERS, found.probabilities, strict=True))
    return {
        "id": given.get("id"),
        "score": found.score,
        "tier": found.tier,
        "probabilities": probabilities,
        "task": found.task,
    }
