"""The dashboards: in step with their source, complete, and about metrics that exist."""

import re

import pytest

from grafana import build, panels
from grafana.boards import BOARDS
from tests.grafana.expressions import DASHBOARDS, board, exported, named, queries, recorded, rules
from tests.grafana.expressions import panels as all_panels

PANELS_MAX = 15
NO_COUNTERS = {"penstock_customer_margin_bucket"}
"""Gauges with a counter's ending."""


def test_the_files_are_in_step_with_their_source():
    """What is checked in is what the source builds, and nothing else; `python -m grafana.build` renews it."""
    assert {path: path.read_text("utf-8") for path in DASHBOARDS} == {
        build.path_of(each): build.rendered(each) for each in BOARDS
    }


def test_all_that_were_asked_for_are_there():
    """Each with an address of its own that stays, and links to the others."""
    found = [board(path) for path in DASHBOARDS]

    assert {each["uid"] for each in found} == {
        f"penstock-{name}" for name in ("margin", "customers", "routing", "caching", "credits", "economics", "prices",
                                        "service", "ledger")
    }  # fmt: skip
    assert all(each["links"][0]["tags"] == each["tags"] == ["penstock"] for each in found)
    assert all(each["description"].endswith(".") for each in found)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_each_fits_on_a_screen_or_two(path):
    """At most fifteen panels, each with a title of its own, none over another, none beside the grid."""
    found = board(path)["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in found)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(found) <= PANELS_MAX
    assert len({panel["title"] for panel in found}) == len(found)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < panels.COLUMNS


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_variables_are_those_that_are_used(path):
    """A choice of plans that no panel listens to would lie; one that is missing breaks a query."""
    found, text = board(path), path.read_text("utf-8")
    variables = {each["name"] for each in found["templating"]["list"]}

    assert variables == {
        name for name in ("datasource", "plan", "page") if f"${name}" in text or f"${{{name}}}" in text
    }


@pytest.mark.parametrize(
    ("name", "panel"), all_panels(), ids=lambda each: each if isinstance(each, str) else each["title"]
)
def test_every_panel_explains_itself(name, panel):
    """Each has a unit, a description that ends as a sentence does, the chosen source, and a letter for each query."""
    assert panel["fieldConfig"]["defaults"]["unit"], name
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEFG")[: len(panel["targets"])]


def test_a_ratio_of_nothing_is_not_a_number():
    """Figures say n/a, and every division is by what is above zero, or by something that is."""
    figures = [panel for _, panel in all_panels() if panel["type"] == "stat"]

    assert all(panel["fieldConfig"]["defaults"]["noValue"] == "n/a" for panel in figures)
    divided = [expression for _, expression in queries() if " / " in expression]
    assert divided
    assert [expression for expression in divided if "> 0)" not in expression.partition(" / ")[2]] == []


@pytest.mark.parametrize(("title", "expression"), queries())
def test_every_metric_exists(title, expression):
    """An expression names at least one metric, none that /metrics does not have, and no series that no rule records."""
    assert named(expression) | recorded(expression), title
    assert named(expression) <= exported(), title
    assert recorded(expression) <= {rule.get("record") for rule in rules()}, title


@pytest.mark.parametrize(("title", "expression"), queries())
def test_counters_are_read_as_counters(title, expression):
    """What only grows stands in a rate or an increase."""
    counters = re.findall(r"(?:(rate|increase)\()?(penstock_\w+(?:_total|_bucket))", expression)

    assert [name for function, name in counters if not function and name not in NO_COUNTERS] == [], title
