"""`make bench`: Penstock beside LiteLLM, nginx and whoever else is here, everything in one run, in rounds.

Prints the table and writes it to docs/performance.md. Exits 1 when a must is broken or a tool that it needs is missing.
`--fast` is for development: short, and written nowhere.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import conditions, crowd, findings, load, meter, page, peers, rows, streams
from benchmarks.copies import Spread
from benchmarks.findings import (
    BESIDE_CROWD,
    CROWD,
    HITS,
    LITELLM,
    LITELLM_HITS,
    LONG_PAST,
    NO_PAST,
    ONE_WORKER,
    OPEN_PLAN,
    PENSTOCK,
    TWO_WORKERS,
    Findings,
)
from benchmarks.history import Past
from benchmarks.load import Load
from benchmarks.process import ToolMissing, need, open_files
from benchmarks.rows import Row
from benchmarks.stage import LOAD_CORE, SERVER_CORE, Penstock, Providers, Target, penstock, providers, reverse_proxy

BOTH_CORES = f"{SERVER_CORE},{LOAD_CORE}"
SCRAPE_S = 1.0
STREAMS_AT_ONCE = {"burst": 16, "paced": 20}
CUSTOMERS = 100_000
PAST, PAST_SPREAD = Past(26_000, CUSTOMERS // 5, 8, "prepaid", first=3), Spread(groups=5, stretches=10)
"""1.3 million exchanges in 80 days, eight rows each of entries, charges and cost lines. Two customers are older."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long everything takes. `unit_s` is one short run; LiteLLM, at 70 requests a second, gets more."""

    rounds: int
    starts: int
    slow_count: int
    unit_s: float


FULL = Lengths(rounds=5, starts=3, slow_count=500, unit_s=2)
"""About 18 minutes on a quiet machine; fetching LiteLLM, once, adds one."""
FAST = Lengths(rounds=2, starts=1, slow_count=100, unit_s=1)


class Run:
    """One comparison under way: measures, notes, and says where it is."""

    def __init__(self, folder: Path, behind: Providers, lengths: Lengths) -> None:
        self.folder, self.behind, self.lengths = folder, behind, lengths
        self.found = Findings(slow_count=lengths.slow_count)
        self._begun = time.monotonic()

    def say(self, what: str) -> None:
        """Print a line of progress."""
        print(f"[{time.monotonic() - self._begun:5.0f} s] {what}", file=sys.stderr, flush=True)

    def load(self, target: Target, connections: int, units: float, *, model: str = "fast", name: str | None = None,
             cores: str = LOAD_CORE, keys: Path | None = None) -> None:  # fmt: skip
        """Send plain requests once."""
        seconds = units * self.lengths.unit_s
        sent = Load(load.body(model), target.key, connections, seconds, cores, target.headers, keys)
        self.found.plain[name or target.name, model, connections].append(load.run(target.url(model), sent, target.pid))

    def stream(self, target: Target, model: str, units: float) -> None:
        """Keep streams going once."""
        self.found.streams[target.name, model].append(
            streams.run(target.url(model), models=[model], key=target.key, count=STREAMS_AT_ONCE[model],
                        seconds=units * self.lengths.unit_s, pid=target.pid)
        )  # fmt: skip

    # ---- each server by itself, from its start ------------------------------------------------------------------

    def starts(self) -> None:
        """Start each server anew, warm it up, and open many slow streams at once: start, wall, memory per stream."""
        for n in range(1, self.lengths.starts + 1):
            self.say(f"start {n} of {self.lengths.starts}: first answers, and {self.lengths.slow_count} slow streams")
            self._slow(self.behind.direct("slow"))
            folder = penstock(self.folder / f"start-{n}", self.behind)
            with folder.serve() as ours, scraped(ours):
                self._started(ours)
            with peers.litellm(self.folder, self.behind) as lite:
                self._started(lite)

    def _started(self, target: Target) -> None:
        self.found.started_s[target.name].append(target.started_s)
        warm_up(target, self.lengths.unit_s)
        self._slow(target)

    def _slow(self, target: Target) -> None:
        count = self.lengths.slow_count
        self.found.streams[target.name, "slow"].append(
            streams.run(target.url("slow"), models=["slow"], key=target.key, count=count, seconds=0, pid=target.pid)
        )

    # ---- all side by side ---------------------------------------------------------------------------------------

    def side_by_side(self, nginx: Target, ours: Target, lite: Target, open_plan: Target) -> None:
        """Measure everybody in turn, round by round, so that a noisy moment hits all."""
        for target in (ours, lite):
            warm_up(target, self.lengths.unit_s * 2)
        for n in range(1, self.lengths.rounds + 1):
            self.say(f"round {n} of {self.lengths.rounds}: plain requests, then streams")
            self._crowds(nginx, ours, lite, open_plan)
            for target, units in ((self.behind.direct("fast"), 1), (nginx, 1), (ours, 1), (lite, 1.5)):
                self.load(target, 1, units)
            for model in STREAMS_AT_ONCE:
                for target, units in ((nginx, 1), (ours, 1.5), (lite, 2)):
                    self.stream(target, model, units)

    def _crowds(self, nginx: Target, ours: Target, lite: Target, open_plan: Target) -> None:
        self.load(nginx, 32, 1)
        self.load(ours, 32, 2)
        self.found.resident_mib[PENSTOCK].append(meter.resident_mib(_pid(ours)))
        self.load(lite, 32, 3)
        self.found.resident_mib[LITELLM].append(meter.resident_mib(_pid(lite)))
        self.load(open_plan, 32, 1.5)
        self.load(nginx, 32, 1, model="tls")
        self.load(ours, 32, 1.5, model="tls")
        self.load(nginx, 256, 1)
        self.load(ours, 256, 2)

    # ---- parts of their own -------------------------------------------------------------------------------------

    def others(self) -> None:
        """Measure the peers that are here, plain requests only."""
        for name, start in peers.OTHERS.items():
            self.say(f"{name}, if it is here")
            try:
                with start(self.folder, self.behind) as target:
                    warm_up(target, self.lengths.unit_s)
                    for _ in range(min(3, self.lengths.rounds)):
                        self.load(target, 32, 1.5)
                        self.load(target, 1, 1)
                    self.found.resident_mib[name].append(meter.resident_mib(_pid(target)))
            except ToolMissing as error:
                self.found.absent[name] = str(error)

    def two_workers(self, one: Penstock) -> None:
        """Measure two workers on both cores, which the load shares, beside one on its own."""
        self.say("two workers on two cores, beside one on one")
        two = penstock(self.folder / "two", self.behind, workers=2)
        with one.serve() as single, two.serve(cores=BOTH_CORES) as double:
            for target in (single, double):
                warm_up(target, self.lengths.unit_s)
            for _ in range(min(3, self.lengths.rounds)):
                self.load(single, 32, 2, name=ONE_WORKER)
                self.load(double, 32, 2, name=TWO_WORKERS, cores=BOTH_CORES)

    def long_past(self) -> None:
        """Measure a server whose books have many customers and a long past beside one that begins."""
        self.say(f"books with {CUSTOMERS:,} customers and a long past, beside empty ones")
        full, empty = (penstock(self.folder / name, self.behind) for name in ("full", "empty"))
        keys = crowd.populate(full, CUSTOMERS)
        held = crowd.remember(full, PAST, PAST_SPREAD)
        self.found.past = f"{held / 1e6:.1f}M rows"
        for beside, name, asking in ((NO_PAST, LONG_PAST, None), (BESIDE_CROWD, CROWD, keys)):
            self.say(f"{self.found.past} are there: {name}")
            # Each time anew: a minute after its start a server has its books proved, which takes long with these.
            with empty.serve() as fresh, full.serve() as old, scraped(fresh), scraped(old):
                for target in (fresh, old):
                    self.found.started_s[NO_PAST if target is fresh else LONG_PAST].append(target.started_s)
                    warm_up(target, self.lengths.unit_s)
                for _ in range(min(3, self.lengths.rounds)):
                    self.load(fresh, 32, 2, name=beside)
                    self.load(old, 32, 2, name=name, keys=asking)

    def hits(self) -> None:
        """Measure answers from the response caches; without one of ours only LiteLLM's."""
        self.say("answers from response caches")
        ours = penstock(self.folder / "hits", self.behind, caching=True)
        with ours.serve() as mine, peers.litellm(self.folder, self.behind, cache=True) as lite:
            is_cached = answers_from_cache(mine)
            warm_up(lite, self.lengths.unit_s)
            for _ in range(min(3, self.lengths.rounds)):
                self.load(lite, 32, 3, name=LITELLM_HITS)
                if is_cached:
                    self.load(mine, 32, 2, name=HITS)


def _pid(target: Target) -> int:
    assert target.pid is not None, "only the providers themselves have none"
    return target.pid


def warm_up(target: Target, seconds: float) -> None:
    """Load a target without looking."""
    load.run(
        target.url("fast"), Load(load.body("fast"), target.key, 32, seconds, LOAD_CORE, target.headers), target.pid
    )


def answers_from_cache(target: Target) -> bool:
    """Ask the same twice; tell whether the second answer says that it came from the cache."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {target.key}"}
    said = ""
    for _ in range(2):
        request = urllib.request.Request(target.url("fast"), load.body("fast"), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            said = answer.headers.get("x-penstock-cache", "")
    return said == "hit"


@contextmanager
def scraped(target: Target) -> Iterator[None]:
    """Read a server's metrics once a second, as Prometheus would."""
    done = threading.Event()

    def scrape() -> None:
        while not done.wait(SCRAPE_S):
            with suppress(OSError), urllib.request.urlopen(target.metrics or "", timeout=5) as answer:
                answer.read()

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def compare(folder: Path, lengths: Lengths) -> Findings:
    """Run everything."""
    with providers(folder) as behind:
        run = Run(folder, behind, lengths)
        run.say("LiteLLM, fetched at first use")
        peers.fetch_litellm()
        run.starts()
        main = penstock(folder / "penstock", behind)
        with ExitStack() as stack:
            nginx = stack.enter_context(reverse_proxy(folder, behind))
            ours = stack.enter_context(main.serve())
            stack.enter_context(scraped(ours))
            lite = stack.enter_context(peers.litellm(folder, behind))
            open_plan = replace(ours, name=OPEN_PLAN, key=main.keys["open"])
            run.side_by_side(nginx, ours, lite, open_plan)
        run.others()
        run.two_workers(main)
        run.long_past()
        run.hits()
        return run.found


def past_only(folder: Path, lengths: Lengths) -> Findings:
    """Run the part about books with a long past."""
    with providers(folder) as behind:
        run = Run(folder, behind, lengths)
        run.long_past()
        return run.found


def report(found: Findings, measures: list[Row], taken: str) -> str:
    """Return what the page says."""
    absent = "".join(f"\n\n{name} is absent: {why}." for name, why in found.absent.items())
    return "\n\n".join(
        (
            taken,
            page.table(rows.HEADS, [row.cells() for row in measures]),
            "Server by server, medians; where nothing else is said, plain requests at 32 connections:",
            page.table(findings.SERVER_HEADS, found.servers()) + absent,
        )
    )


def main() -> int:
    """Measure, print, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="short, for development; written nowhere")
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--past", action="store_true", help="only the part about books with a long past; print only")
    asked = parser.parse_args()
    try:
        need("nginx", "wrk", "taskset", "openssl")
        open_files()
        others = conditions.others_cores()
        taken = conditions.taken(others, peers.versions())
        os.sched_setaffinity(0, {int(LOAD_CORE)})
        with tempfile.TemporaryDirectory() as folder:
            lengths = FAST if asked.fast else FULL
            found = past_only(Path(folder), lengths) if asked.past else compare(Path(folder), lengths)
    except ToolMissing as error:
        print(f"broken: {error}", file=sys.stderr)
        return 1
    measures = found.past_rows() if asked.past else found.table()
    text = report(found, measures, taken)
    print(text)
    if not (asked.fast or asked.no_write or asked.past):
        page.write("bench", text)
    broken = rows.is_broken(measures)
    print("\nA MUST IS BROKEN" if broken else "\nEvery must is met.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
