"""How customers stand this month: gauges that are a question to the books, not a sum of what happened.

A customer has no series. How margins lie is told by counts per bucket; a few names are shown where the operator asked
for them (docs/adr/0067).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily, Metric

from proxy.telemetry.routed import NUSD

MARGIN_BUCKETS = ("loss", "0_25", "25_50", "50_65", "65_80", "80p", "na")
"""Gross margin in percent, from the edge on; `na` has no revenue and no loss, `loss` also those without revenue."""
CREDIT_BUCKETS = ("0", "lt5", "lt20", "ok")
"""What is left, in percent, of the credits that a customer was given and that have not ended."""
NAMED_MAX = 50
"""Customers that are named at most, of either kind: every name is a series for as long as the store keeps it."""


@dataclass(frozen=True, slots=True)
class Named:
    """A customer that is named, and its month so far."""

    customer: str
    cost_nusd: int
    margin_nusd: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How all customers stand, by month to date in UTC. Ratios that nothing can be divided for are None."""

    margins: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Customers by plan and bucket of margin."""
    credits: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    segments: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Revenue and cost in nano-dollars."""
    members: Mapping[str, int] = field(default_factory=dict)
    costliest: Sequence[Named] = ()
    losing: Sequence[Named] = ()
    not_named: int = 0
    """Customers that cost something and are not among the costliest named."""
    power_users: int = 0
    power_cost_ratio: float | None = None
    top_revenue_ratio: float | None = None


def standing(found: Standing) -> Iterator[Metric]:
    """Yield the gauges."""
    margins = GaugeMetricFamily(
        "penstock_customer_margin_bucket", "Customers by plan and gross margin of this month so far.",
        labels=("plan", "bucket"),
    )  # fmt: skip
    for plan in sorted({plan for plan, _ in found.margins}):
        for bucket in MARGIN_BUCKETS:  # also those of nobody, so that a ratio of them is 0 and not missing
            margins.add_metric((plan, bucket), found.margins.get((plan, bucket), 0))
    left = GaugeMetricFamily(
        "penstock_customers_by_credit_left", "Customers with grants, by what is left of those that have not ended.",
        labels=("bucket",),
    )  # fmt: skip
    for bucket in CREDIT_BUCKETS:
        left.add_metric((bucket,), found.credits.get(bucket, 0))
    targets = GaugeMetricFamily("penstock_margin_target_ratio", "The margin that a plan aims at.", labels=("plan",))
    for plan, target in found.targets.items():
        targets.add_metric((plan,), target)
    members = GaugeMetricFamily("penstock_active_members", "Members served in the last 28 days.", labels=("plan",))
    for plan, count in found.members.items():
        members.add_metric((plan,), count)
    yield from (margins, left, targets, members)
    yield from _segments(found)
    yield from _named(found)
    yield from _spread(found)


def _segments(found: Standing) -> Iterator[Metric]:
    revenue = GaugeMetricFamily(
        "penstock_segment_revenue_usd", "Revenue of this month so far, by segment.", labels=("segment",)
    )
    cost = GaugeMetricFamily("penstock_segment_cost_usd", "Cost of this month so far, by segment.", labels=("segment",))
    for segment, (revenue_nusd, cost_nusd) in found.segments.items():
        revenue.add_metric((segment,), revenue_nusd / NUSD)
        cost.add_metric((segment,), cost_nusd / NUSD)
    yield from (revenue, cost)


def _named(found: Standing) -> Iterator[Metric]:
    cost = GaugeMetricFamily(
        "penstock_top_customer_cost_usd", "Cost of this month so far, of the customers that cost most.",
        labels=("customer",),
    )  # fmt: skip
    loss = GaugeMetricFamily(
        "penstock_top_customer_margin_usd", "Margin of this month so far, of the customers that lose most.",
        labels=("customer",),
    )  # fmt: skip
    for each in found.costliest:
        cost.add_metric((each.customer,), each.cost_nusd / NUSD)
    for each in found.losing:
        loss.add_metric((each.customer,), each.margin_nusd / NUSD)
    yield from (cost, loss)
    yield GaugeMetricFamily(
        "penstock_top_customers_left_out", "Customers that cost something this month and are not named.",
        value=found.not_named,
    )  # fmt: skip


def _spread(found: Standing) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "penstock_power_users", "Customers whose cost this month is over five times the average.",
        value=found.power_users,
    )  # fmt: skip
    for name, text, value in (
        ("penstock_power_users_cost_ratio", "Their share of this month's cost.", found.power_cost_ratio),
        ("penstock_top_tenth_revenue_ratio", "Share of this month's revenue of its top tenth of customers.",
         found.top_revenue_ratio),
    ):  # fmt: skip
        family = GaugeMetricFamily(name, text, labels=())
        if value is not None:
            family.add_metric((), value)
        yield family
