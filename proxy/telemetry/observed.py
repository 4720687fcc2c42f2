"""What is observed of each exchange as it is folded: how long it took, what it cost, and what came of its calls.

Of every exchange five figures are noted, so each is one look-up and two additions. The client library's instruments
take a lock and some microseconds for each; nothing races here, as the keeper's one loop both notes and renders.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from proxy.telemetry.routed import NUSD, Routed

# From half a millisecond (a cache hit) to ten minutes (a long reasoning stream).
DURATION_BUCKETS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
# What we add ourselves: tens of microseconds, unless something is wrong.
OVERHEAD_BUCKETS = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5)
# The brief's bands of dollars per request are the edges.
COST_BUCKETS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1)

US = 1e6
OVERLOADED = 529  # Anthropic's word for 503
NOT_THE_CALLER_S = frozenset({401, 402, 403, 404, 408})
"""Refusals that are about our account or address, not about the request."""


class Distribution:
    """The series of one histogram for one set of labels: how many values fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        """Count a value in the first bucket whose bound it does not exceed."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        """Add the series as they are exposed: each bucket counts those before it, too."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = [(name, float(count)) for name, count in zip(names, accumulate(self._counts), strict=True)]
        family.add_metric(labels, buckets, self._sum)


class Observed(Collector):
    """Everything observed since the process began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._routed = Routed(registry)
        self._overhead, self._head = Distribution(OVERHEAD_BUCKETS), Distribution(DURATION_BUCKETS)
        self._of_tier: dict[str, tuple[Distribution, Distribution]] = {}
        """By charge tier: durations and costs."""
        self._attempts: Counter[tuple[str, str, str]] = Counter()
        registry.register(self)

    def settled(self, record: dict[str, Any]) -> None:
        """Observe one folded record; only settlements of live exchanges have timings."""
        kind = record["k"]
        if kind != "settled" and kind != "void":
            return
        cost: int | None = 0
        for line in record["a"]:
            self._attempts[line["p"], line["d"], result_of(line)] += 1
            cost = None if cost is None or line["cost"] is None else cost + line["cost"]
        decision = record.get("dec")
        if decision is None or "total_us" not in decision:
            return
        if "session" in decision or "escalated" in decision or "hedged" in decision or "advice" in decision:
            self._routed.settled(record)
        tier = self._of_tier.get(decision["charge_tier"])
        if tier is None:
            tier = Distribution(DURATION_BUCKETS), Distribution(COST_BUCKETS)
            self._of_tier[decision["charge_tier"]] = tier
        tier[0].observe(decision["total_us"] / US)
        self._overhead.observe(decision["overhead_us"] / US)
        self._head.observe(decision["head_us"] / US)
        if record["a"] and cost is not None:
            tier[1].observe(cost / NUSD)

    def describe(self) -> Iterable[Metric]:
        """Name nothing at registration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        durations = HistogramMetricFamily(
            "penstock_request_duration_seconds", "Whole exchanges, by charge tier.", labels=("tier",)
        )
        costs = HistogramMetricFamily(
            "penstock_cost_per_request_usd", "Cost of one exchange, by charge tier.", labels=("tier",)
        )
        for tier, (duration, cost) in self._of_tier.items():
            duration.add_to(durations, (tier,))
            cost.add_to(costs, (tier,))
        overhead = HistogramMetricFamily(
            "penstock_overhead_seconds", "What a caller waited for the proxy and not for the provider.", labels=()
        )
        self._overhead.add_to(overhead, ())
        head = HistogramMetricFamily(
            "penstock_ttft_seconds", "From the call to the first byte of the provider's answer.", labels=()
        )
        self._head.add_to(head, ())
        attempts = CounterMetricFamily(
            "penstock_attempts", "Calls to providers, each try of an exchange on its own.",
            labels=("provider", "deployment", "result"),
        )  # fmt: skip
        for labels, count in self._attempts.items():
            attempts.add_metric(labels, count)
        yield from (durations, overhead, head, costs, attempts)


def result_of(line: Mapping[str, Any]) -> str:
    """Return a closed word for what came of one call: answered, refused, busy, error, lost or unsent."""
    status: int | None = line["st"]
    if status is None:
        return "unsent" if line["u"] is None else "lost"
    if status < 300:
        return "answered"
    if status in {429, OVERLOADED}:
        return "busy"
    return "refused" if 400 <= status < 500 and status not in NOT_THE_CALLER_S else "error"
