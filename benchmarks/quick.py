"""`make bench-quick`: under a minute, Penstock against nginx as a plain reverse proxy, side by side in one run.

Exits 1 when a bound is broken. Every bound is a ratio within this run, as the machines are noisy.
"""

from __future__ import annotations

import platform
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import load, meter
from benchmarks.load import Result
from benchmarks.stage import LOAD_CORE, MODEL, Target, ToolMissing, stage

RUNS, SECONDS = 3, 3
CPU_RATIO_MUST, CPU_RATIO_AIM = 28, 15
TAIL_MUST, TAIL_AIM = 6, 2.5


def measure(target: Target, connections: int, seconds: int = SECONDS) -> Result:
    """Load a target once."""
    return load.run(target.url, model=MODEL, key=target.key, connections=connections, seconds=seconds,
                    pid=target.pid, core=LOAD_CORE)  # fmt: skip


def median(results: list[Result]) -> Result:
    """Return the run with the median CPU per request."""
    return sorted(results, key=lambda each: each.cpu_us)[len(results) // 2]


def main() -> int:
    """Measure, print, judge."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with stage(Path(folder)) as (nginx, ours):
                return judge(nginx, ours)
        except ToolMissing as error:
            print(f"broken: {error}", file=sys.stderr)
            return 1


def judge(nginx: Target, ours: Target) -> int:
    """Interleave the runs, so that a noisy moment hits both."""
    measure(ours, 32, 2)
    pairs = [(measure(nginx, 32, 2), measure(ours, 32)) for _ in range(RUNS)]
    theirs, mine = median([each for each, _ in pairs]), median([each for _, each in pairs])
    single_nginx, single = measure(nginx, 1, 2), measure(ours, 1, 2)
    crowd = measure(ours, 256)
    ratios = [one.cpu_us / other.cpu_us for other, one in pairs]
    cpu_ratio, tail = statistics.median(ratios), crowd.p99_us / crowd.p50_us
    errors = sum(each.errors for each in (mine, single, crowd))
    print(f"Python {platform.python_version()}, one worker and the keeper on one core, load and upstream on another")
    print(f"{'':<46}{'nginx':>10}{'penstock':>10}{'ratio':>8}  must")
    row("CPU per request at 32 connections, µs", theirs.cpu_us, mine.cpu_us, cpu_ratio, CPU_RATIO_MUST)
    print(f"{'':<46}spread of the ratio over {RUNS} runs: {min(ratios):.1f} to {max(ratios):.1f}")
    row("requests per second at 32 connections", theirs.rps, mine.rps, theirs.rps / mine.rps, None)
    row(
        "median latency at 1 connection, µs",
        single_nginx.p50_us,
        single.p50_us,
        single.p50_us / single_nginx.p50_us,
        None,
    )
    row("p99 ÷ p50 at 256 connections", None, crowd.p50_us, tail, TAIL_MUST)
    print(f"resident memory under load: {meter.resident_mib(ours.pid):.0f} MiB · share of the core: {mine.busy:.2f}")
    ok = cpu_ratio <= CPU_RATIO_MUST and tail <= TAIL_MUST and errors == 0
    print(f"errors: {errors} · {'within the bounds' if ok else 'A BOUND IS BROKEN'}")
    return 0 if ok else 1


def row(name: str, theirs: float | None, ours: float, ratio: float, must: float | None) -> None:
    """Print one line of the table."""
    left = "" if theirs is None else f"{theirs:,.1f}"
    bound = "" if must is None else f"≤ {must}"
    print(f"{name:<46}{left:>10}{ours:>10,.1f}{ratio:>8.1f}  {bound}")


if __name__ == "__main__":
    sys.exit(main())
