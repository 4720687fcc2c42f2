"""`make check-perf`: how many instructions a request takes, against the figures in benchmarks/instructions.json.

Callgrind counts them, in one process without a socket (`benchmarks.inside`), so a busy machine changes nothing. Figures
are multiples of a yardstick of plain Python that is counted in the same process, as interpreters are built differently.
`--record` writes the figures anew: on purpose, in the change that explains them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.inside import CHUNKS, Worker, worker
from benchmarks.process import ToolMissing, need

FIGURES = Path(__file__).with_suffix(".json")
MARGIN = 0.10
"""Repeated counts differ by well under 1 %; a tenth is a change that somebody made."""
WARM, PLAIN, STREAMED = 20, 100, 10
COUNT_S_MAX = 600
POLL_S = 0.02
TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)
PARTS = ("yardstick", "plain", "streamed")


@dataclass(frozen=True, slots=True)
class Counts:
    """Instructions of the yardstick, of a plain request, and of a streamed event."""

    yardstick: int
    plain: int
    event: int

    @property
    def figures(self) -> dict[str, float]:
        """What is compared: multiples of the yardstick."""
        return {
            "plain request": round(self.plain / self.yardstick, 6),
            "streamed event": round(self.event / self.yardstick, 6),
        }


# ---- in the process that is counted ---------------------------------------------------------------------------------


def yardstick() -> int:
    """Do a fixed piece of plain Python: about what the interpreter does for a request, and nothing of ours."""
    found: dict[str, int] = {}
    for n in range(2000):
        word = f"word-{n % 97}"
        found[word] = found.get(word, 0) + len(word.split("-"))
    return sum(found.values())


async def _serve(one: Worker, count: int, *, stream: bool) -> None:
    for _ in range(count):
        await one.ask(stream=stream)


def _control(*args: str) -> None:
    """Tell callgrind something about this process. Sleeping between looks costs few instructions."""
    asked = subprocess.Popen(["callgrind_control", *args, str(os.getpid())], stdout=subprocess.DEVNULL)
    while asked.poll() is None:
        time.sleep(POLL_S)


def counted() -> None:
    """Do each part, with a dump of the count after it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        worker(Path(folder)) as one,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        for stream in (False, True):
            runner.run(_serve(one, WARM, stream=stream))
        yardstick()
        gc.collect()
        gc.disable()
        _control("-i", "on")
        yardstick()
        _control("-d", "yardstick")
        runner.run(_serve(one, PLAIN, stream=False))
        _control("-d", "plain")
        runner.run(_serve(one, STREAMED, stream=True))
        _control("-d", "streamed")


# ---- around it ------------------------------------------------------------------------------------------------------


def count() -> Counts:
    """Run it under callgrind; raises `ToolMissing` when that is not there or tells nothing."""
    need("valgrind", "callgrind_control")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "counts")
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--vgdb-poll=500",
                   f"--callgrind-out-file={out}",
                   sys.executable, "-m", "benchmarks.instructions", "--counted"]  # fmt: skip
        done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True,
                              timeout=COUNT_S_MAX, check=False)  # fmt: skip
        if done.returncode != 0:
            raise ToolMissing(f"callgrind counted nothing: {done.stderr.strip().splitlines()[-1]}")
        return counts_of([Path(f"{out}.{n}").read_text() for n in range(1, len(PARTS) + 1)])


def counts_of(dumps: list[str]) -> Counts:
    """Return the counts that callgrind's dumps state, one for each part; raises `ToolMissing` when one states none."""
    totals = []
    for name, dump in zip(PARTS, dumps, strict=True):
        found = TOTAL.search(dump)
        if found is None:
            raise ToolMissing(f"callgrind's dump of {name} states no total")
        totals.append(int(found[1]))
    return Counts(totals[0], totals[1] // PLAIN, totals[2] // (STREAMED * (CHUNKS + 1)))


def complaints(now: dict[str, float], then: dict[str, float]) -> list[str]:
    """Return what grew beyond the margin, and what shrank so far that the record no longer guards anything."""
    found = []
    for name, figure in now.items():
        change = figure / then[name] - 1
        if change > MARGIN:
            found.append(f"a {name} takes {change:+.1%} instructions: make it cheaper, or record it and say why")
        elif change < -MARGIN:
            found.append(f"a {name} takes {change:+.1%} instructions: record it, so that the gate holds what was won")
    return found


def main() -> int:
    """Count, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the figures anew")
    parser.add_argument("--counted", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.counted:
        counted()
        return 0
    try:
        found = count()
    except ToolMissing as error:
        print(f"broken: {error}", file=sys.stderr)
        return 1
    print(f"a plain request: {found.plain:,} instructions; a streamed event: {found.event:,}; "
          f"the yardstick: {found.yardstick:,}")  # fmt: skip
    if asked.record:
        FIGURES.write_text(json.dumps(found.figures, indent=2) + "\n")
        print(f"recorded in {FIGURES.name}: {found.figures}")
        return 0
    then = json.loads(FIGURES.read_text())
    for name, figure in found.figures.items():
        print(f"{name}: {figure:.3f} yardsticks, recorded {then[name]:.3f} ({figure / then[name] - 1:+.1%})")
    said = complaints(found.figures, then)
    print("\n".join(said) or f"within {MARGIN:.0%} of the record")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
