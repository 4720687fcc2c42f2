"""What one run of the comparison found, and the tables made of it. Ratios are taken by round, then their median."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import rows
from benchmarks.load import Result
from benchmarks.rows import Row, middle, paired
from benchmarks.streams import Streams

PENSTOCK, LITELLM, NGINX, DIRECT = "Penstock", "LiteLLM", "nginx", "direct"
OPEN_PLAN, ONE_WORKER, TWO_WORKERS = "Penstock, plan open", "Penstock, one worker", "Penstock, two workers"
HITS, LITELLM_HITS = "Penstock, all hits", "LiteLLM, all hits"
NO_PAST, LONG_PAST = "Penstock, no past", "Penstock, a long past"
BESIDE_CROWD, CROWD = "Penstock, no past, beside the crowd", "Penstock, a long past, a crowd"
BESIDE = {ONE_WORKER, BESIDE_CROWD}
"""Servers that another's figures are compared with, and that have none of their own in the table of servers."""
BUSY_MIN = 0.9
"""Below this share of its core at 32 connections a server was not the limit: load or neighbours were."""


@dataclass(slots=True)
class Findings:
    """By server and by what was asked of it: a list with one entry for each round."""

    plain: dict[tuple[str, str, int], list[Result]] = field(default_factory=lambda: defaultdict(list))
    """By server, model and connections."""
    streams: dict[tuple[str, str], list[Streams]] = field(default_factory=lambda: defaultdict(list))
    """By server and model."""
    resident_mib: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    started_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    absent: dict[str, str] = field(default_factory=dict)
    """Peers that are not here, and why."""
    past: str = ""
    """What the books of the server with a long past hold."""
    slow_count: int = 0

    def figures(self, server: str, connections: int, what: str, model: str = "fast") -> list[float]:
        """Return one figure of all rounds."""
        return [getattr(each, what) for each in self.plain[server, model, connections]]

    def stream_figures(self, server: str, model: str, what: str) -> list[float]:
        """Return one figure of all rounds of streams."""
        return [getattr(each, what) for each in self.streams[server, model]]

    def table(self) -> list[Row]:
        """Return every measure that is promised, and those that are only reported."""
        return [
            _throughput(self), _cpu(self), _latency(self), _tail(self), _hits(self),
            _chunks(self, "paced", rows.CHUNK_PACED), _chunks(self, "burst", rows.CHUNK_BURST),
            _slow_wall(self), _slow_memory(self), _resident(self), _start(self), _two_workers(self),
            *self.past_rows(), _plan_open(self), _tls(self),
        ]  # fmt: skip

    def past_rows(self) -> list[Row]:
        """Return what a long past costs."""
        return [_long_past(self), _crowd(self)]

    def servers(self) -> list[list[str]]:
        """Return what was measured, server by server."""
        names = [name for name, model, count in self.plain if model == "fast" and count == 32]
        return [[name, *_figures(self, name)] for name in dict.fromkeys(names) if name not in BESIDE]


SERVER_HEADS = (
    "server", "requests/s", "CPU µs", "p50 ms", "core", "at 1: p50 ms", "at 256: p50 / p99 ms",
    "µs a paced chunk", "µs a burst chunk", "MiB",
)  # fmt: skip


def _figures(found: Findings, name: str) -> list[str]:
    def plain(connections: int, what: str, unit: float, digits: int) -> str:
        figures = found.figures(name, connections, what)
        return f"{statistics.median(figures) / unit:,.{digits}f}" if figures else "–"

    def chunk(model: str) -> str:
        figures = found.stream_figures(name, model, "cpu_us")
        return f"{statistics.median(figures):,.1f}" if figures else "–"

    tail = f"{plain(256, 'p50_us', 1e3, 1)} / {plain(256, 'p99_us', 1e3, 1)}"
    resident = found.resident_mib[name]
    return [
        plain(32, "rps", 1, 0), plain(32, "cpu_us", 1, 0), plain(32, "p50_us", 1e3, 1), plain(32, "busy", 1, 2),
        plain(1, "p50_us", 1e3, 2), tail, chunk("paced"), chunk("burst"),
        f"{statistics.median(resident):,.0f}" if resident else "–",
    ]  # fmt: skip


def _failed(results: Sequence[Result | Streams]) -> str | None:
    errors = sum(each.errors for each in results)
    return f"{errors} errors" if errors else None


def _throughput(found: Findings) -> Row:
    ours, theirs = found.figures(PENSTOCK, 32, "rps"), found.figures(LITELLM, 32, "rps")
    share = statistics.median(found.figures(PENSTOCK, 32, "busy"))
    note = "" if share >= BUSY_MIN else f"(it got {share:.2f} of its core: a lower bound)"
    return Row("requests/s at 32 connections ÷ LiteLLM", middle(ours, "/s"), middle(theirs, "/s"), paired(ours, theirs),
               rows.THROUGHPUT, note, _failed(found.plain[PENSTOCK, "fast", 32]))  # fmt: skip


def _cpu(found: Findings) -> Row:
    ours, theirs = found.figures(PENSTOCK, 32, "cpu_us"), found.figures(NGINX, 32, "cpu_us")
    return Row("CPU per request ÷ nginx", middle(ours, "µs"), middle(theirs, "µs", 1), paired(ours, theirs), rows.CPU,
               failure=_failed(found.plain[PENSTOCK, "fast", 32]))  # fmt: skip


def _latency(found: Findings) -> Row:
    direct = found.figures(DIRECT, 1, "p50_us")
    ours, theirs = (
        [one - base for one, base in zip(found.figures(name, 1, "p50_us"), direct, strict=True)]
        for name in (PENSTOCK, LITELLM)
    )
    return Row("added median latency at 1 connection ÷ LiteLLM", middle(ours, "µs"), middle(theirs, "µs"),
               paired(ours, theirs), rows.LATENCY, failure=_failed(found.plain[PENSTOCK, "fast", 1]))  # fmt: skip


def _tail(found: Findings) -> Row:
    p50, p99 = found.figures(PENSTOCK, 256, "p50_us"), found.figures(PENSTOCK, 256, "p99_us")
    both = [f"{statistics.median(each) / 1000:,.0f}" for each in (p99, p50)]
    return Row("p99 ÷ p50 at 256 connections", f"{' / '.join(both)} ms", "–", paired(p99, p50), rows.TAIL,
               failure=_failed(found.plain[PENSTOCK, "fast", 256]))  # fmt: skip


def _hits(found: Findings) -> Row:
    name, theirs = "response-cache hits/s ÷ LiteLLM, all hits", found.figures(LITELLM_HITS, 32, "rps")
    if (HITS, "fast", 32) not in found.plain:
        return Row(name, "–", middle(theirs, "/s"), (), rows.CACHE_HITS, "no response cache yet")
    ours = found.figures(HITS, 32, "rps")
    return Row(name, middle(ours, "/s"), middle(theirs, "/s"), paired(ours, theirs), rows.CACHE_HITS,
               failure=_failed(found.plain[HITS, "fast", 32]))  # fmt: skip


def _chunks(found: Findings, model: str, bound: rows.Bound) -> Row:
    ours, theirs = (found.stream_figures(name, model, "cpu_us") for name in (PENSTOCK, LITELLM))
    said = "in bursts" if model == "burst" else model
    return Row(f"CPU per streamed chunk, {said} ÷ LiteLLM", middle(ours, "µs", 1), middle(theirs, "µs"),
               paired(ours, theirs), bound, failure=_failed(found.streams[PENSTOCK, model]))  # fmt: skip


def _slow_wall(found: Findings) -> Row:
    ours, direct = (found.stream_figures(name, "slow", "wall_s") for name in (PENSTOCK, DIRECT))
    lite = found.stream_figures(LITELLM, "slow", "wall_s")
    return Row(f"{found.slow_count} slow streams: wall over direct", middle(ours, "s", 2), middle(direct, "s", 2),
               paired(ours, direct), rows.SLOW_WALL, f"(LiteLLM {middle(lite, 's', 1)})",
               _failed(found.streams[PENSTOCK, "slow"]))  # fmt: skip


def _slow_memory(found: Findings) -> Row:
    ours, theirs = (found.stream_figures(name, "slow", "growth_kib") for name in (PENSTOCK, LITELLM))
    name, bound = f"{found.slow_count} slow streams: memory per stream ÷ LiteLLM", rows.SLOW_MEMORY
    if min(theirs) <= 0:
        return Row(name, middle(ours, "KiB"), middle(theirs, "KiB"), (), bound, failure="LiteLLM's did not grow")
    return Row(name, middle(ours, "KiB"), middle(theirs, "KiB"), paired(ours, theirs), bound,
               failure=_failed(found.streams[PENSTOCK, "slow"]))  # fmt: skip


def _resident(found: Findings) -> Row:
    ours, theirs = found.resident_mib[PENSTOCK], found.resident_mib[LITELLM]
    return Row("resident memory under load ÷ LiteLLM", middle(ours, "MiB"), middle(theirs, "MiB"), paired(ours, theirs),
               rows.RESIDENT)  # fmt: skip


def _start(found: Findings) -> Row:
    ours, theirs = found.started_s[PENSTOCK], found.started_s[LITELLM]
    return Row("start to first answer ÷ LiteLLM", middle(ours, "s", 2), middle(theirs, "s", 2), paired(ours, theirs),
               rows.START)  # fmt: skip


def _two_workers(found: Findings) -> Row:
    two, one = found.figures(TWO_WORKERS, 32, "rps"), found.figures(ONE_WORKER, 32, "rps")
    share = statistics.median(found.figures(TWO_WORKERS, 32, "busy"))
    note = f"(the two had {share:.2f} of 2 cores, load and provider the rest)"
    return Row("two workers on two cores ÷ one", middle(two, "/s"), middle(one, "/s"), paired(two, one), None, note,
               _failed(found.plain[TWO_WORKERS, "fast", 32]))  # fmt: skip


def _long_past(found: Findings) -> Row:
    ours, empty = found.figures(LONG_PAST, 32, "rps"), found.figures(NO_PAST, 32, "rps")
    start, anew = (statistics.median(found.started_s[name]) for name in (LONG_PAST, NO_PAST))
    note = f"({found.past}; start to first answer {start:.1f} s, empty {anew:.1f} s)"
    return Row("throughput, 100,000 customers and 10M ledger rows ÷ empty", middle(ours, "/s"), middle(empty, "/s"),
               paired(ours, empty), rows.BOOKS, note,
               _failed([*found.plain[LONG_PAST, "fast", 32], *found.plain[NO_PAST, "fast", 32]]))  # fmt: skip


def _crowd(found: Findings) -> Row:
    ours, empty = found.figures(CROWD, 32, "rps"), found.figures(BESIDE_CROWD, 32, "rps")
    return Row("the same, each request another customer's ÷ empty, one customer", middle(ours, "/s"),
               middle(empty, "/s"), paired(ours, empty), None, "(each customer's first request asks for its credits)",
               _failed(found.plain[CROWD, "fast", 32]))  # fmt: skip


def _plan_open(found: Findings) -> Row:
    ours, strict = found.figures(OPEN_PLAN, 32, "cpu_us"), found.figures(PENSTOCK, 32, "cpu_us")
    return Row("CPU per request, plan open ÷ credits enforced", middle(ours, "µs"), middle(strict, "µs"),
               paired(ours, strict), None)  # fmt: skip


def _tls(found: Findings) -> Row:
    ours, plain = found.figures(PENSTOCK, 32, "cpu_us", "tls"), found.figures(PENSTOCK, 32, "cpu_us")
    nginx = middle(found.figures(NGINX, 32, "cpu_us", "tls"), "µs", 1)
    return Row("CPU per request, TLS to the provider ÷ without", middle(ours, "µs"), middle(plain, "µs"),
               paired(ours, plain), None, f"(nginx with TLS {nginx})",
               _failed(found.plain[PENSTOCK, "tls", 32]))  # fmt: skip
