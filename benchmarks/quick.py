"""`make bench-quick`: under a minute, Penstock against nginx as a plain reverse proxy, side by side in one run.

Exits 1 when a bound is broken. Every bound is a ratio, taken in each round and then its median, as the machines are
noisy; a machine that others keep busy is named as such.
"""

from __future__ import annotations

import platform
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import conditions, load, meter, page, rows, streams
from benchmarks.compare import scraped, warm_up
from benchmarks.load import Load, Result
from benchmarks.process import ToolMissing
from benchmarks.rows import Row, middle, paired
from benchmarks.stage import LOAD_CORE, Target, quick_stage
from benchmarks.streams import Streams

ROUNDS = 3
BURSTS_AT_ONCE = 16


def plain(target: Target, connections: int, seconds: float) -> Result:
    """Load a target once."""
    return load.run(
        target.url("fast"), Load(load.body("fast"), target.key, connections, seconds, LOAD_CORE), target.pid
    )


def bursts(target: Target) -> Streams:
    """Have it pass streams on, a second long."""
    return streams.run(
        target.url("burst"), models=["burst"], key=target.key, count=BURSTS_AT_ONCE, seconds=1, pid=target.pid
    )


def measured(nginx: Target, ours: Target) -> list[Row]:
    """Measure both in turn, round by round, so that a noisy moment hits both."""
    warm_up(ours, 2)
    full, single, crowd, chunks = [], [], [], []
    for _ in range(ROUNDS):
        full.append((plain(nginx, 32, 2), plain(ours, 32, 3)))
        single.append((plain(nginx, 1, 1), plain(ours, 1, 1)))
        crowd.append(plain(ours, 256, 2))
        chunks.append((bursts(nginx), bursts(ours)))
    errors = sum(each.errors for each in [one for _, one in (*full, *single)] + crowd)
    failure = f"{errors} errors" if errors else None
    return [
        _beside("CPU per request at 32 connections", full, "cpu_us", "µs", rows.CPU, failure),
        _beside("requests per second at 32 connections", full, "rps", "/s", None, None),
        _beside("median latency at 1 connection", single, "p50_us", "µs", None, None),
        _tail(crowd, failure),
        _beside("CPU per streamed chunk, in bursts", chunks, "cpu_us", "µs", None, None),
    ]


def _beside(
    name: str, pairs: list[tuple[Result, Result]] | list[tuple[Streams, Streams]], what: str, unit: str,
    bound: rows.Bound | None, failure: str | None,
) -> Row:  # fmt: skip
    theirs, ours = [[getattr(pair[n], what) for pair in pairs] for n in (0, 1)]
    return Row(name, middle(ours, unit, 1), middle(theirs, unit, 1), paired(ours, theirs), bound, failure=failure)


def _tail(crowd: list[Result], failure: str | None) -> Row:
    p99, p50 = [each.p99_us for each in crowd], [each.p50_us for each in crowd]
    said = f"{statistics.median(p99) / 1000:,.0f} / {statistics.median(p50) / 1000:,.0f} ms"
    return Row("p99 ÷ p50 at 256 connections", said, "–", paired(p99, p50), rows.TAIL, failure=failure)


def main() -> int:
    """Measure, print, judge."""
    others = conditions.others_cores()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with quick_stage(Path(folder)) as (nginx, ours), scraped(ours):
                found = measured(nginx, ours)
                resident_mib = meter.resident_mib(ours.pid or 0)
        except ToolMissing as error:
            print(f"broken: {error}", file=sys.stderr)
            return 1
    print(f"Python {platform.python_version()}, one worker and the keeper on one core, load and provider on another;")
    print(f"credits enforced, metrics read once a second; resident memory under load {resident_mib:.0f} MiB")
    heads = (*rows.HEADS[:2], "nginx", *rows.HEADS[3:])
    print(page.table(heads, [row.cells() for row in found]))
    busy = conditions.warning(others)
    if busy:
        print(busy)
    broken = rows.is_broken(found)
    print("A BOUND IS BROKEN" if broken else "within the bounds")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
