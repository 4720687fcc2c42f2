"""The margin dashboard as code. `python -m grafana.build` writes `dashboards/margin.json`; a test holds it in step.

Money comes from counters that are the ledger's own sums. A figure over a time range is an increase of such a counter,
which Prometheus extrapolates and which misses what happened before its first scrape: the books are
`penstock report margin`, and the dashboard is how they move.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DynamicConfigValue,
    VariableOption,
    VariableRefresh,
)

PATH: Final = Path(__file__).with_name("dashboards") / "margin.json"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
COLUMNS: Final = 24  # of Grafana's grid
STAT_ROWS, SERIES_ROWS = 4, 8

_PLANS: Final = '{plan=~"$plan"}'
_COST: Final = f"sum(increase(penstock_cogs_usd_total{_PLANS}[$__range]))"
_REVENUE: Final = f"sum(increase(penstock_revenue_recognized_usd_total{_PLANS}[$__range]))"
_SAVED: Final = "sum(increase(penstock_savings_usd_total[$__range]))"
_LOST: Final = "sum(increase(penstock_savings_negative_usd_total[$__range]))"


@dataclass(frozen=True, slots=True)
class Panel:
    """What one panel shows.

    Args:
        title: What it is, in a few words.
        text: What the figure means, and what to do about it where something is to be done.
        unit: One of Grafana's units.
        queries: Legend and PromQL of each line, in order.
        other_units: Units of the lines that have another, by legend.
    """

    title: str
    text: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    other_units: tuple[tuple[str, str], ...] = ()


def _rate(metric: str, by: str, labels: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{labels}[$__rate_interval]))"


def _quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    buckets = _rate(f"{metric}_bucket", "le")
    return tuple((f"p{share * 100:g}", f"histogram_quantile({share:g}, {buckets})") for share in (0.5, 0.99))


STATS: Final = (
    Panel(
        "Revenue", "Recognised in the time range, of the plans chosen: credits burnt, usage, fees by time, breakage.",
        "currencyUSD", (("revenue", _REVENUE),),
    ),
    Panel(
        "Cost", "What providers bill for the time range, of the plans chosen; estimates and failed calls included.",
        "currencyUSD", (("cost", _COST),),
    ),
    Panel(
        "Margin", "(Revenue - cost) / revenue in the time range, of the plans chosen; n/a where there is no revenue. "
        "A request whose cost is not known has none here: see the ledger's health.",
        "percentunit", (("margin", f"1 - ({_COST} or vector(0)) / ({_REVENUE} > 0)"),),
    ),
    Panel(
        "Savings against the baseline", "What the same tokens would have cost at the baseline, less what they did "
        "cost; below zero where routing made them dearer. All plans.",
        "currencyUSD", (("savings", f"{_SAVED} - {_LOST}"),),
    ),
)  # fmt: skip

SERIES: Final = (
    Panel(
        "Requests by tier", "Exchanges called, by the tier that is charged, of the plans chosen.",
        "reqps", (("{{tier}}", _rate("penstock_requests_total", "tier", _PLANS)),),
    ),
    Panel(
        "Spend by tier", "Cost per hour at the present pace, by the tier that is charged, of the plans chosen.",
        "currencyUSD", (("{{tier}}, per hour", f"3600 * {_rate('penstock_cogs_usd_total', 'tier', _PLANS)}"),),
    ),
    Panel(
        "Tokens", "Tokens per second by bucket, all models; no token is in two buckets.",
        "short", (("{{bucket}}", _rate("penstock_tokens_total", "bucket")),),
    ),
    Panel(
        "Credits consumed", "Credits charged per hour at the present pace, by tier, of the plans chosen.",
        "short", (("{{tier}}, per hour", f"3600 * {_rate('penstock_credits_consumed_total', 'tier', _PLANS)}"),),
    ),
    Panel(
        "Latency", "Whole exchanges, the provider's time included; half are faster than p50. All plans.",
        "s", _quantiles("penstock_request_duration_seconds"),
    ),
    Panel(
        "Overhead", "What callers waited for the proxy and not for the provider. A rise with a flat latency is ours.",
        "s", _quantiles("penstock_overhead_seconds"),
    ),
    Panel(
        "Refusals", "Requests refused before they reached the books, by reason: bad keys, bad bodies, spent credit.",
        "reqps", (("{{reason}}", _rate("penstock_refused_total", "reason")),),
    ),
    Panel(
        "Ledger health", "All but the workers should be zero: records without effect, holds past their deadline, "
        "unknown costs in the time range, a refused configuration, and the age of the oldest record not yet booked.",
        "short",
        (
            ("refused records", "sum(penstock_ledger_refused_records)"),
            ("stale holds", "sum(penstock_reservations_stale)"),
            ("unknown costs", "sum(increase(penstock_unpriced_requests_total[$__range])) or vector(0)"),
            ("refused configuration", "1 - min(penstock_config_last_reload_successful)"),
            ("lag", "max(penstock_ledger_lag_seconds)"),
            ("workers", "sum(penstock_workers)"),
        ),
        (("lag", "s"),),
    ),
)  # fmt: skip

_ByPanel = stat.Panel | timeseries.Panel


def _common(built: _ByPanel, panel: Panel, *, width: int, height: int, instant: bool) -> _ByPanel:
    built.title(panel.title).description(panel.text).unit(panel.unit).datasource(SOURCE).span(width).height(height)
    for index, (legend, expression) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + index))
        built.with_target(query.instant() if instant else query.range())
    for legend, unit in panel.other_units:
        built.override_by_name(legend, [DynamicConfigValue(id_val="unit", value=unit)])
    return built


def _panels() -> Iterator[_ByPanel]:
    for panel in STATS:
        latest = options.ReduceDataOptions().calcs(["lastNotNull"])
        made = stat.Panel().no_value("n/a").graph_mode(common.BigValueGraphMode.NONE).reduce_options(latest)
        yield _common(made, panel, width=COLUMNS // len(STATS), height=STAT_ROWS, instant=True)
    for panel in SERIES:
        made = timeseries.Panel().min(0).fill_opacity(10).line_width(1).show_points(common.VisibilityMode.NEVER)
        yield _common(made, panel, width=COLUMNS // 3, height=SERIES_ROWS, instant=False)


def _plan() -> dashboard.QueryVariable:
    everything = VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        dashboard.QueryVariable("plan")
        .label("Plan").description("Where a metric has a plan.").datasource(SOURCE)
        .query("label_values(penstock_revenue_recognized_usd_total, plan)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True).include_all(True).current(everything)
    )  # fmt: skip


def rendered() -> str:
    """Return the dashboard as Grafana reads it, the same text each time."""
    built = (
        dashboard.Dashboard("Penstock: margin")
        .uid("penstock-margin").tags(["penstock"]).readonly().timezone("browser")
        .description("Both sides of the books, and the health of what keeps them.")
        .time("now-1h", "now").refresh("30s").tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_plan())
    )  # fmt: skip
    for panel in _panels():
        built.with_panel(panel)
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def main() -> None:
    """Write the dashboard."""
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(rendered(), "utf-8")


if __name__ == "__main__":
    main()
