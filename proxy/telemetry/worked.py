"""Tasks and their outcomes, how long providers worked, answers that nobody got: counters that are the ledger's sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric

from proxy.telemetry.routed import NUSD

ENDS = ("opened", "done", "idle", "abandoned")
OUTCOMES = ("pending", "assumed", "confirmed", "failed", "handed_off", "reversed")
UNUSED = {"escalation": "cost_escalated_nusd", "hedge": "cost_hedged_nusd"}
"""What answers were asked for that nobody got: a better one was needed, or another was faster."""


def tasks(totals: Iterable[tuple[str, str, int, int]]) -> Iterator[Metric]:
    """Yield what happened to tasks, of (type, event, count, cost in nano-dollars)."""
    ended = CounterMetricFamily(
        "penstock_tasks", "Tasks, by type and what happened: opened, or closed as done, idle or abandoned.",
        labels=("type", "event"),
    )  # fmt: skip
    outcomes = CounterMetricFamily(
        "penstock_outcomes", "Outcomes of tasks, by type and each state they reached.", labels=("type", "state")
    )
    calls = CounterMetricFamily("penstock_task_calls", "Requests of tasks, by type.", labels=("type",))
    cost = CounterMetricFamily("penstock_task_cogs_usd", "Cost of the calls of tasks, by type.", labels=("type",))
    for type_, event, count, cost_nusd in totals:
        if event in ENDS:
            ended.add_metric((type_, event), count)
        elif event in OUTCOMES:
            outcomes.add_metric((type_, event), count)
        else:
            calls.add_metric((type_,), count)
            cost.add_metric((type_,), cost_nusd / NUSD)
    yield from (ended, outcomes, calls, cost)


def unused(sums: list[tuple[Any, ...]]) -> Iterator[Metric]:
    """Yield what answers cost that nobody got; `sums` is one row of them, behind a constant, or none."""
    family = CounterMetricFamily(
        "penstock_unused_cogs_usd", "Cost of answers that nobody got, by what they were asked for.", labels=("sake",)
    )
    for sake, nusd in zip(UNUSED, sums[0][1:] if sums else (), strict=False):
        family.add_metric((sake,), nusd / NUSD)
    yield family
