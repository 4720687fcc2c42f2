"""`make bench-growth`: what a request costs as prompts, customers and streams grow, with pictures.

Renews docs/growth-*.svg and the section of docs/performance.md that shows them; about six minutes. `--fast` is for
development: smaller, and written nowhere but in the folder that is named.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import conditions, crowd, load, meter, page, peers, plot, streams
from benchmarks.compare import scraped, warm_up
from benchmarks.load import Load
from benchmarks.plot import Panel, Series
from benchmarks.process import ToolMissing, need, open_files
from benchmarks.stage import LOAD_CORE, Providers, Target, penstock, providers, reverse_proxy

PROMPTS = (100, 1_000, 10_000, 100_000)
CUSTOMERS = (1, 10, 100, 1_000, 10_000, 100_000)
STREAMS = (1, 10, 100, 1_000)
CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Sizes:
    """How far it grows, and how often and how long each point is taken."""

    prompts: Sequence[int] = PROMPTS
    customers: Sequence[int] = CUSTOMERS
    streams: Sequence[int] = STREAMS
    rounds: int = 3
    seconds: int = 2


FAST = Sizes(PROMPTS[:3], CUSTOMERS[:3], STREAMS[:3], rounds=1, seconds=1)
Points = list[tuple[float, float]]


def say(what: str) -> None:
    """Print a line of progress."""
    print(what, file=sys.stderr, flush=True)


def cpu_us(target: Target, body: bytes, sizes: Sizes, keys: Path | None = None) -> float:
    """Return the median CPU of a request; raises `ToolMissing` when not every answer is one."""
    sent = Load(body, target.key, CONNECTIONS, sizes.seconds, LOAD_CORE, keys=keys)
    found = [load.run(target.url("fast"), sent, target.pid) for _ in range(sizes.rounds)]
    if any(each.errors for each in found):
        raise ToolMissing(f"{target.name} answered with errors")
    return statistics.median(each.cpu_us for each in found)


def prompts(folder: Path, behind: Providers, sizes: Sizes) -> list[Panel]:
    """Grow the prompt."""
    lines: dict[str, Points] = {"Penstock": [], "nginx": []}
    with reverse_proxy(folder, behind) as nginx, penstock(folder / "prompts", behind).serve() as ours, scraped(ours):
        warm_up(ours, sizes.seconds)
        for size in sizes.prompts:
            say(f"prompts of {size:,} characters")
            body = load.body("fast", ask=load.prompt(size))
            for target in (nginx, ours):
                lines[target.name].append((size, cpu_us(target, body, sizes)))
    series = [Series(name, points) for name, points in lines.items()]
    return [Panel("As prompts grow", "characters of the prompt", "CPU per request, µs", series, is_log=True)]


def customers(folder: Path, behind: Providers, sizes: Sizes) -> list[Panel]:
    """Grow the number of customers; their requests come in turn, so of many each comes once."""
    cost: Points = []
    memory: Points = []
    for count in sizes.customers:
        say(f"{count:,} customers")
        made = penstock(folder / f"customers-{count}", behind)
        keys = crowd.populate(made, count)
        with made.serve() as ours, scraped(ours):
            warm_up(ours, sizes.seconds)
            cost.append((count, cpu_us(ours, load.body("fast"), sizes, keys)))
            memory.append((count, meter.resident_mib(ours.pid or 0)))
    return [
        Panel("As customers grow", "customers", "CPU per request, µs", [Series("Penstock", cost)]),
        Panel("", "customers", "resident memory, MiB", [Series("Penstock", memory)]),
    ]


def many_streams(folder: Path, behind: Providers, sizes: Sizes) -> list[Panel]:
    """Grow the number of streams open at once, each with an event every half second, at two providers."""
    cost: dict[str, Points] = {"Penstock": [], "nginx": []}
    first: dict[str, Points] = {"Penstock": [], "nginx": []}
    with reverse_proxy(folder, behind) as nginx, penstock(folder / "streams", behind).serve() as ours, scraped(ours):
        warm_up(ours, sizes.seconds)
        for count in sizes.streams:
            say(f"{count:,} streams at once")
            for target in (nginx, ours):
                models = ("slow",) if target.by_path else ("slow", "slow2")
                found = streams.run(target.url("slow"), models=models, key=target.key, count=count, seconds=0,
                                    pid=target.pid)  # fmt: skip
                if found.errors:
                    raise ToolMissing(f"{target.name} broke {found.errors} of {count} streams")
                cost[target.name].append((count, found.cpu_us * found.chunks / found.wall_s / 1e4))
                first[target.name].append((count, found.first_p50_us / 1000))
    return [
        Panel("As streams grow", "streams at once", "CPU, % of one core", [Series(*each) for each in cost.items()]),
        Panel("", "streams at once", "median to the first event, ms", [Series(*each) for each in first.items()]),
    ]


PICTURES: dict[str, Callable[[Path, Providers, Sizes], list[Panel]]] = {
    "prompts": prompts,
    "customers": customers,
    "streams": many_streams,
}


def figures(panels: Sequence[Panel]) -> str:
    """Return a picture's points as a table."""
    x_values = [x for x, _ in panels[0].lines[0].points]
    columns = [(f"{line.name}: {panel.y_label}", dict(line.points)) for panel in panels for line in panel.lines]
    heads = [panels[0].x_label, *(name for name, _ in columns)]
    return page.table(heads, [[f"{x:,.0f}", *(f"{points[x]:,.1f}" for _, points in columns)] for x in x_values])


def main() -> int:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", type=Path, metavar="FOLDER", help="smaller; pictures go to FOLDER")
    parser.add_argument("--only", choices=list(PICTURES), help="one picture; the page is left alone")
    asked = parser.parse_args()
    docs: Path = page.PERFORMANCE.parent if asked.fast is None else asked.fast
    parts = [conditions.taken(conditions.others_cores(), peers.versions("nginx", "wrk"))]
    say(parts[0])
    try:
        need("nginx", "wrk", "taskset", "openssl")
        open_files()
        with tempfile.TemporaryDirectory() as folder, providers(Path(folder)) as behind:
            for name, measured in PICTURES.items():
                if asked.only in (None, name):
                    panels = measured(Path(folder), behind, FAST if asked.fast else Sizes())
                    (docs / f"growth-{name}.svg").write_text(plot.svg(panels), "utf-8")
                    parts.append(f"![{panels[0].title}](growth-{name}.svg)\n\n{figures(panels)}")
    except ToolMissing as error:
        print(f"broken: {error}", file=sys.stderr)
        return 1
    print("\n\n".join(parts))
    if asked.fast is None and asked.only is None:
        page.write("growth", "\n\n".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
