"""What the benchmark promises, how it judges, and how it writes it down."""

from fractions import Fraction

import pytest

from benchmarks import page, rows
from benchmarks.rows import Row, Verdict, paired, written


def row(*ratios, bound, **more):
    """Return a measure with a ratio for each round."""
    return Row("measure", "ours", "theirs", ratios, bound, **more)


@pytest.mark.parametrize(
    ("bound", "ratio", "verdict"),
    [
        (rows.THROUGHPUT, 60.0, Verdict.AIM),
        (rows.THROUGHPUT, 30.0, Verdict.MUST),
        (rows.THROUGHPUT, 29.9, Verdict.BROKEN),
        (rows.CPU, 15.0, Verdict.AIM),
        (rows.CPU, 28.0, Verdict.MUST),
        (rows.CPU, 28.1, Verdict.BROKEN),
        (rows.LATENCY, 1 / 51, Verdict.AIM),
        (rows.LATENCY, 1 / 21, Verdict.MUST),
        (rows.LATENCY, 1 / 19, Verdict.BROKEN),
        (rows.SLOW_WALL, 1.03, Verdict.AIM),
        (rows.SLOW_WALL, 1.06, Verdict.BROKEN),
        (None, 1.0, Verdict.UNBOUND),
    ],
)
def test_a_ratio_is_judged_on_the_right_side(bound, ratio, verdict):
    """At a limit it holds; past it, it does not, whichever way the measure goes."""
    assert row(ratio, bound=bound).verdict is verdict


def test_the_median_of_the_rounds_is_judged():
    """One bad round of three breaks nothing, two do."""
    assert row(14.0, 15.0, 90.0, bound=rows.CPU).verdict is Verdict.AIM
    assert row(14.0, 90.0, 91.0, bound=rows.CPU).verdict is Verdict.BROKEN


def test_a_measure_without_its_feature_is_open():
    """Nothing was measured, so nothing is broken."""
    found = row(bound=rows.CACHE_HITS, note="no response cache yet")

    assert found.verdict is Verdict.OPEN
    assert found.cells()[-1] == "open no response cache yet"
    assert not rows.is_broken([found])


def test_errors_break_even_a_good_ratio():
    """A server that answers with errors is fast; that counts for nothing."""
    found = row(99.0, bound=rows.THROUGHPUT, failure="3 errors")

    assert found.verdict is Verdict.BROKEN
    assert rows.is_broken([row(99.0, bound=rows.THROUGHPUT), found])


@pytest.mark.parametrize(
    ("ratio", "style", "text"),
    [
        (45.26, "×", "45.3×"),
        (0.974, "×", "0.97×"),
        (133.3, "×", "133×"),
        (30.0, "×", "30×"),
        (1 / 20, "1/", "1/20"),
        (1 / 33.25, "1/", "1/33.2"),
        (0.0, "1/", "0"),
        (1.05, "%", "+5.0 %"),
        (0.99, "%", "-1.0 %"),
    ],
)
def test_ratios_are_written_as_the_bounds_are(ratio, style, text):
    """Times, parts and percents."""
    assert written(ratio, style) == text


def test_a_row_shows_figures_spread_and_limits():
    """Lowest and highest round stand beside the median."""
    cells = row(1 / 40, 1 / 25, 1 / 50, bound=rows.LATENCY).cells()

    assert cells == ["measure", "ours", "theirs", "1/40 (1/50 … 1/25)", "≤ 1/20", "≤ 1/50", "must met"]


def test_rounds_are_compared_with_their_own_round():
    """What was measured close together is divided; rounds of different number are a mistake."""
    assert paired([10.0, 30.0], [5.0, 10.0]) == (2.0, 3.0)
    with pytest.raises(ValueError, match="zip"):
        paired([1.0], [1.0, 2.0])


def test_bounds_are_the_promised_ones():
    """Must and aim of each measure, as they were set."""
    promised = {
        rows.THROUGHPUT: (30, 60), rows.CPU: (28, 15), rows.LATENCY: (Fraction(1, 20), Fraction(1, 50)),
        rows.TAIL: (6, 2.5), rows.CACHE_HITS: (60, 130), rows.CHUNK_PACED: (Fraction(1, 8), Fraction(1, 13)),
        rows.CHUNK_BURST: (Fraction(1, 40), Fraction(1, 120)), rows.SLOW_WALL: (Fraction("1.05"), Fraction("1.03")),
        rows.SLOW_MEMORY: (Fraction(1, 2), Fraction(1, 5)), rows.RESIDENT: (Fraction(1, 2), Fraction(1, 4)),
        rows.START: (Fraction(1, 4), Fraction(1, 10)), rows.BOOKS: (Fraction("0.9"), Fraction("0.97")),
    }  # fmt: skip

    for bound, (must, aim) in promised.items():
        assert (bound.must, bound.aim) == (must, aim)
        assert bound.holds(float(bound.aim), bound.must), "an aim is stricter than its must"


def test_a_table_lines_up():
    """Every line of it is as long as the others."""
    lines = page.table(["a", "measure"], [["1", "x"], ["22", "yyyyyyyyyy"]]).splitlines()

    assert lines[0] == "| a  | measure    |"
    assert lines[1] == "| -- | ---------- |"
    assert {len(line) for line in lines} == {len(lines[0])}


def test_only_what_is_between_the_markers_is_replaced():
    """The rest of the page stays byte for byte, and a second time changes nothing."""
    text = "before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n"

    once = page.replaced(text, "bench", "new\n")

    assert once == "before\n<!-- bench: begin -->\n\nnew\n\n<!-- bench: end -->\nafter\n"
    assert page.replaced(once, "bench", "new") == once


@pytest.mark.parametrize("text", ["", "<!-- bench: begin -->", "<!-- bench: end --><!-- bench: begin -->"])
def test_a_page_without_its_markers_is_refused(text):
    """Rather than writing anywhere else."""
    with pytest.raises(ValueError, match="must have one line"):
        page.replaced(text, "bench", "new")


@pytest.mark.parametrize("section", ["bench", "growth"])
def test_the_page_has_its_markers(section):
    """The sections that commands fill."""
    assert page.replaced(page.PERFORMANCE.read_text("utf-8"), section, "new")
