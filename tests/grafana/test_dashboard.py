"""The dashboard: in step with its source, complete, and about metrics that exist."""

import re

import pytest

from grafana import build
from tests.grafana.expressions import DASHBOARD, exported, named, panels, queries

PANELS_MAX = 12


def test_the_file_is_in_step_with_its_source():
    """What is checked in is what the source builds; `python -m grafana.build` renews it."""
    assert DASHBOARD.read_text("utf-8") == build.rendered()


def test_it_fits_on_one_screen():
    """At most twelve panels, each with a title of its own, none over another, none beside the grid."""
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels())
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(panels()) <= PANELS_MAX
    assert len({panel["title"] for panel in panels()}) == len(panels())
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < build.COLUMNS


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_explains_itself(panel):
    """Each has a unit, a description that ends as a sentence does, the chosen source, and a letter for each query."""
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEFG")[: len(panel["targets"])]


def test_a_margin_without_revenue_is_not_a_number():
    """The panel says n/a, and the expression divides by revenue above zero only."""
    (margin,) = (panel for panel in panels() if panel["title"] == "Margin")

    assert margin["fieldConfig"]["defaults"]["noValue"] == "n/a"
    assert margin["targets"][0]["expr"].endswith("> 0)")


@pytest.mark.parametrize(("title", "expression"), queries())
def test_every_metric_exists(title, expression):
    """An expression names at least one metric, and none that /metrics does not have."""
    assert named(expression), title
    assert named(expression) <= exported(), title


@pytest.mark.parametrize(("title", "expression"), queries())
def test_counters_are_read_as_counters(title, expression):
    """What only grows stands in a rate or an increase."""
    counters = re.findall(r"(?:(rate|increase)\()?(penstock_\w+(?:_total|_bucket))", expression)

    assert [name for function, name in counters if not function] == [], title
