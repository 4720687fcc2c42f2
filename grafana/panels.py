"""What a panel and a dashboard are, and how they are drawn; what is asked of Prometheus again and again.

Counters stand in a rate or an increase only, and what corrections and reversals took out is taken off: a counter never
falls, so those are counters of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from grafana_foundation_sdk.builders import bargauge, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig, DynamicConfigValue
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
COLUMNS: Final = 24  # of Grafana's grid
STAT_ROWS, SERIES_ROWS = 4, 8

Kind = Literal["stat", "series", "bars", "table", "heatmap"]
RANGE, RATE = "$__range", "$__rate_interval"
PLANS: Final = '{plan=~"$plan"}'
USD, PERCENT, COUNT, PER_S, SECONDS = "currencyUSD", "percentunit", "short", "reqps", "s"
"""Grafana's units."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What one panel shows.

    Args:
        title: What it is, in a few words.
        text: What the figure means, and what to do about it where something is to be done.
        unit: One of Grafana's units.
        queries: Legend and PromQL of each line, in order.
        kind: A `stat` and `bars` show how it stands at the end of the range, the others how it went; a `table` has one
            row a series.
        other_units: Units of the lines that have another, by legend.
        link: Where a value leads, as a URL with Grafana's variables; empty for nowhere.
    """

    title: str
    text: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: Kind = "series"
    other_units: tuple[tuple[str, str], ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `has_plan`: it can be narrowed to plans; `has_page`: its customers lead to the page."""

    name: str
    title: str
    text: str
    panels: tuple[Panel, ...]
    since: str = "now-6h"
    has_plan: bool = False
    has_page: bool = False


def stat_of(title: str, text: str, unit: str, expression: str) -> Panel:
    """Return one figure of the time range."""
    return Panel(title, text, unit, ((title.lower(), expression),), "stat")


# ---- expressions ----------------------------------------------------------------------------------------------------


def rate(metric: str, by: str, labels: str = "") -> str:
    """Return how much a counter grows per second, by labels."""
    return f"sum by ({by}) (rate({metric}{labels}[{RATE}]))"


def grown(metric: str, labels: str = "", by: str = "") -> str:
    """Return what a counter grew by in the time range."""
    over = f" by ({by})" if by else ""
    return f"sum{over} (increase({metric}{labels}[{RANGE}]))"


def less(amount: str, taken: str) -> str:
    """Return an amount less what was taken out of it again, which nothing may have been."""
    return f"({amount} - ({taken} or 0 * {amount}))"


def cost(labels: str = "", by: str = "") -> str:
    """Return the cost of the time range as it stands."""
    return less(grown("penstock_cogs_usd_total", labels, by), grown("penstock_cogs_corrected_usd_total", labels, by))


def revenue(labels: str = "", by: str = "") -> str:
    """Return the revenue of the time range as it stands."""
    return less(grown("penstock_revenue_recognized_usd_total", labels, by),
                grown("penstock_revenue_reversed_usd_total", labels, by))  # fmt: skip


def ratio(part: str, whole: str) -> str:
    """Return a share, which there is only of what is above zero."""
    return f"{part} / ({whole} > 0)"


def saved() -> str:
    """Return what was saved of the baseline in the time range, net."""
    return f"({grown('penstock_savings_usd_total')} - {grown('penstock_savings_negative_usd_total')})"


def quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    """Return a histogram's median and its slowest hundredth."""
    buckets = rate(f"{metric}_bucket", "le")
    return tuple((f"p{share * 100:g}", f"histogram_quantile({share:g}, {buckets})") for share in (0.5, 0.99))


# ---- drawing --------------------------------------------------------------------------------------------------------

_FORMATS: Final = {"table": PromQueryFormat.TABLE, "heatmap": PromQueryFormat.HEATMAP}
_HIDDEN: Final = {"Time": True, "__name__": True, "instance": True, "job": True}
"""Columns of a table that say where a figure is from, and nothing of it."""

_Built = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel | heatmap.Panel


def drawn(panels: Sequence[Panel]) -> Iterator[_Built]:
    """Yield panels as Grafana reads them: figures first, then three in a row."""
    figures = sum(panel.kind == "stat" for panel in panels)
    for panel in panels:
        is_figure = panel.kind == "stat"
        width = COLUMNS // min(figures, 6) if is_figure else COLUMNS // 3
        yield _filled(_kind(panel), panel, width, STAT_ROWS if is_figure else SERIES_ROWS)


def _kind(panel: Panel) -> _Built:
    latest = options.ReduceDataOptions().calcs(["lastNotNull"])
    if panel.kind == "stat":
        return stat.Panel().no_value("n/a").graph_mode(common.BigValueGraphMode.NONE).reduce_options(latest)
    if panel.kind == "bars":
        bars = bargauge.Panel().no_value("n/a").min(0).reduce_options(latest)
        return bars.orientation(common.VizOrientation.HORIZONTAL)
    if panel.kind == "table":
        return table.Panel().no_value("n/a").show_header(True)
    if panel.kind == "heatmap":
        return heatmap.Panel()
    return timeseries.Panel().fill_opacity(10).line_width(1).show_points(common.VisibilityMode.NEVER)


def _filled(built: _Built, panel: Panel, width: int, height: int) -> _Built:
    built.title(panel.title).description(panel.text).unit(panel.unit).datasource(SOURCE).span(width).height(height)
    is_instant = panel.kind in {"stat", "bars", "table"}
    for index, (legend, expression) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + index))
        if panel.kind in _FORMATS:
            query.format(_FORMATS[panel.kind])
        built.with_target(query.instant() if is_instant else query.range())
    if panel.kind == "table":
        built.with_transformation(DataTransformerConfig("merge", options={}))
        built.with_transformation(DataTransformerConfig("organize", options={"excludeByName": _HIDDEN}))
    for legend, unit in panel.other_units:
        built.override_by_name(legend, [DynamicConfigValue(id_val="unit", value=unit)])
    if panel.link:
        links = [{"title": "Show on the page", "url": panel.link, "targetBlank": True}]
        built.override_by_name("customer", [DynamicConfigValue(id_val="links", value=links)])
    return built
