"""What routing did besides serving: answers that were asked for again. Fed as exchanges are folded."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter


class Routed:
    """Counters of what a decision says of its route."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._escalations = Counter(
            "penstock_escalations", "Answers that were not good enough and asked for again, by their tier and flaw.",
            ("tier", "flaw"), registry=registry,
        )  # fmt: skip

    def settled(self, decision: dict[str, Any]) -> None:
        """Observe the decision of one settled exchange."""
        for _, tier, flaw in decision.get("escalated", ()):
            self._escalations.labels(tier, flaw).inc()
