"""What is done besides serving: answers asked for again, what the margin guard does, and alerts of quotas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

NUSD = 1e9


class Routed:
    """Counters of what a decision says of its route, fed as exchanges are folded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._escalations = Counter(
            "penstock_escalations", "Answers that were not good enough and asked for again, by their tier and flaw.",
            ("tier", "flaw"), registry=registry,
        )  # fmt: skip

        self._hedges = Counter(
            "penstock_hedges", "Slow calls that had company, by who answered: the first of both, or the other.",
            ("answered",), registry=registry,
        )  # fmt: skip

        self._sessions = Counter(
            "penstock_session_turns", "Turns of conversations, by decision.", ("decided",), registry=registry
        )

        self._advice = Counter(
            "penstock_advice", "Requests between two tiers, by how a model's word came, and whether it moved them.",
            ("came", "moved"), registry=registry,
        )  # fmt: skip

    def settled(self, record: dict[str, Any]) -> None:
        """Observe one settled exchange."""
        decision, served = record["dec"], record["a"][-1:]
        if "hedged" in decision and served:
            self._hedges.labels("other" if served[0]["d"] == decision["hedged"] else "first").inc()
        if "advice" in decision:
            self._advice.labels(decision["advice"]["came"], "yes" if decision["advice"]["moved"] else "no").inc()
        if "session" in decision:
            self._sessions.labels(decision["session"]["decided"]).inc()
        for _, tier, flaw in decision.get("escalated", ()):
            self._escalations.labels(tier, flaw).inc()


class Guarded(Protocol):
    """The margin guard, as metrics see it."""

    @property
    def below(self) -> Mapping[str, int]:
        """Customers below their floor, by plan."""

    @property
    def short_nusd(self) -> Mapping[str, int]:
        """What is missing to their floors, by plan."""

    def stands(self) -> Mapping[tuple[str, str], int]:
        """How many customers of a plan have each step."""


def guarded(guarding: Guarded | None) -> Iterator[Metric]:
    """Yield the guard's gauges."""
    steps = GaugeMetricFamily(
        "penstock_margin_guard", "Customers that the margin guard has taken a step with.", labels=("plan", "step")
    )
    below = GaugeMetricFamily("penstock_margin_below_floor", "Customers below their margin floor.", labels=("plan",))
    short = GaugeMetricFamily(
        "penstock_margin_shortfall_usd", "What is missing to the margin floors of those below.", labels=("plan",)
    )
    if guarding is not None:
        for labels, count in guarding.stands().items():
            steps.add_metric(labels, count)
        for plan, count in guarding.below.items():
            below.add_metric((plan,), count)
        for plan, nusd in guarding.short_nusd.items():
            short.add_metric((plan,), nusd / NUSD)
    yield from (steps, below, short)


class Webhooks(Protocol):
    """What becomes of alerts that are sent."""

    @property
    def results(self) -> Mapping[str, int]:
        """Attempts by what they came to."""

    def __len__(self) -> int:
        """How many wait."""


class Alerted(Protocol):
    """What was told of quotas."""

    @property
    def counts(self) -> Mapping[tuple[str, str, int], int]:
        """Alerts by plan, what was used, and percentage."""

    @property
    def webhooks(self) -> Webhooks:
        """Where they are sent."""


def alerted(alerting: Alerted | None) -> Iterator[Metric]:
    """Yield the counters of alerts."""
    told = CounterMetricFamily(
        "penstock_quota_alerts", "Customers told of that used a plan's period up so far.",
        labels=("plan", "of", "percent"),
    )  # fmt: skip
    sent = CounterMetricFamily(
        "penstock_alert_webhooks", "What attempts to send alerts came to.", labels=("result",)
    )  # fmt: skip
    waiting = GaugeMetricFamily("penstock_alert_webhooks_waiting", "Alerts that wait to be sent.")
    if alerting is not None:
        for (plan, of, percent), count in alerting.counts.items():
            told.add_metric((plan, of, str(percent)), count)
        for result, count in alerting.webhooks.results.items():
            sent.add_metric((result,), count)
        waiting.add_metric((), len(alerting.webhooks))
    yield from (told, sent, waiting)
