"""The dashboards as code. `python -m grafana.build` writes `dashboards/*.json`; a test holds them in step.

Money comes from counters that are the ledger's own sums. A figure over a time range is an increase of such a counter,
which Prometheus extrapolates and which misses what happened before its first scrape: the books are `penstock report`,
and the dashboards are how they move.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
)

from grafana.boards import BOARDS
from grafana.panels import SOURCE, Board, drawn

FOLDER: Final = Path(__file__).with_name("dashboards")


def path_of(board: Board) -> Path:
    """Return where a dashboard is checked in."""
    return FOLDER / f"{board.name}.json"


def _plan() -> dashboard.QueryVariable:
    everything = VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        dashboard.QueryVariable("plan")
        .label("Plan").description("Where a metric has a plan.").datasource(SOURCE)
        .query("label_values(penstock_revenue_recognized_usd_total, plan)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True).include_all(True).current(everything)
    )  # fmt: skip


def rendered(board: Board) -> str:
    """Return a dashboard as Grafana reads it, the same text each time."""
    others = dashboard.DashboardLink("Penstock").type(DashboardLinkType.DASHBOARDS).tags(["penstock"])
    built = (
        dashboard.Dashboard(f"Penstock: {board.title}")
        .uid(f"penstock-{board.name}").tags(["penstock"]).readonly().timezone("browser").description(board.text)
        .time(board.since, "now").refresh("30s").tooltip(DashboardCursorSync.CROSSHAIR)
        .link(others.as_dropdown(True).keep_time(True).include_vars(True))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )  # fmt: skip
    if board.has_plan:
        built.with_variable(_plan())
    if board.has_page:
        page = dashboard.TextBoxVariable("page").label("Page").default_value("http://127.0.0.1:8080/")
        built.with_variable(page)
    for panel in drawn(board.panels):
        built.with_panel(panel)
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def main() -> None:
    """Write the dashboards."""
    FOLDER.mkdir(exist_ok=True)
    for board in BOARDS:
        path_of(board).write_text(rendered(board), "utf-8")


if __name__ == "__main__":
    main()
