"""Pictures of growth: well-formed, with every point inside its panel, and axes that cover the figures."""

import re
from xml.etree import ElementTree as ET

import pytest

from benchmarks import growth, plot
from benchmarks.plot import Panel, Series

LINES = [Series("Penstock", [(1, 5.0), (1000, 90.0)]), Series("a < b", [(1, 1.0), (1000, 2.0)])]


@pytest.mark.parametrize("is_log", [True, False])
def test_a_picture_shows_every_point(is_log):
    """It is XML, names escaped, and no circle lies outside."""
    drawn = plot.svg([Panel("title & more", "streams", "ms", LINES, is_log=is_log)] * 2)

    ET.fromstring(drawn)
    points = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    assert len(points) == 2 * (4 + 2)  # the points, and one beside each name
    assert all(0 < x < plot.PANEL_W and 0 < y <= plot.FLOOR for x, y in points)
    assert {"title &amp; more", "streams", "ms", "a &lt; b"} <= set(re.findall(r">([^<>]+)</text>", drawn))


@pytest.mark.parametrize(
    ("ticks", "found"),
    [
        (plot.decades(1, 1000), [1, 10, 100, 1000]),
        (plot.decades(45, 2000), [10, 100, 1000, 10_000]),
        (plot.decades(10, 10), [10, 100]),
        (plot.steps(1650), [0, 500, 1000, 1500, 2000]),
        (plot.steps(0.9), [0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_axes_cover_the_figures(ticks, found):
    """Round ticks from below the least to above the greatest."""
    assert ticks == pytest.approx(found)


def test_figures_stand_beside_the_picture():
    """A row for each step, a column for each line."""
    lines = growth.figures([Panel("t", "streams", "ms", LINES)]).splitlines()

    assert lines[0].split(" | ") == ["| streams", "Penstock: ms", "a < b: ms |"]
    assert [line.split() for line in lines[2:]] == [
        ["|", "1", "|", "5.0", "|", "1.0", "|"],
        ["|", "1,000", "|", "90.0", "|", "2.0", "|"],
    ]
