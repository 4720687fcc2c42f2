"""The arithmetic of unit economics, at its edges and on figures worked out by hand."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin import economics
from margin.sellbook import Plan


@pytest.mark.parametrize(
    ("percent", "stage"),
    [
        (-5, "below early"), (24, "below early"), (25, "early"), (40, "early"), (41, "between early and growth"),
        (49, "between early and growth"), (50, "growth"), (65, "growth"), (66, "mature"), (75, "mature"),
        (76, "between mature and classic SaaS"), (80, "classic SaaS"), (90, "classic SaaS"),
        (91, "above classic SaaS"),
    ],
)  # fmt: skip
def test_stages_have_edges(percent, stage):
    """Row 30: both ends of a band are in it; what lies between two is said to."""
    assert economics.stage(Fraction(percent, 100)) == stage


def test_no_revenue_has_no_stage():
    """A margin of nothing is no margin of 0 %."""
    assert economics.stage(economics.share(-5, 0)) is None
    assert economics.share(1, -1) is None


@pytest.mark.parametrize(
    ("archetype", "low", "high"), [("copilot", 70, 80), ("agent", 50, 65), ("service", 60, 75)]
)  # fmt: skip
def test_what_is_aimed_at_follows_from_the_archetype(archetype, low, high):
    """Row 11: a plan that states no target aims at the least of its archetype's; a stated target goes before."""
    assert economics.ARCHETYPES[archetype] == (archetype, Fraction(low, 100), Fraction(high, 100))
    assert Plan("p", archetype=archetype).aim == Fraction(low, 100)
    assert Plan("p", archetype=archetype, target_margin=Decimal("0.9")).aim == Decimal("0.9")
    assert Plan("p").aim is None


def test_the_same_margin_is_well_for_an_agent_and_not_for_a_copilot():
    """Row 11: 60 % is within one band and below the other."""
    sixty = Fraction(60, 100)

    assert economics.against(Fraction(Plan("p", archetype="agent").aim), sixty) == "met"
    assert economics.against(Fraction(Plan("p", archetype="copilot").aim), sixty) == "below"
    assert economics.against(None, sixty) is economics.against(sixty, None) is None


def test_an_archetype_is_no_term():
    """What kind of product it is changes no charge, so the plan keeps its version."""
    assert Plan("p", archetype="agent").version == Plan("p").version


def test_gini_and_the_top_tenth_of_known_figures():
    """Row 58: 1, 2, 3, 4 lie at 1/4; of ten the top tenth is one, which has 91 of 100 here."""
    assert economics.gini([4, 2, 1, 3]) == Fraction(2 * (1 + 4 + 9 + 16), 4 * 10) - Fraction(5, 4) == Fraction(1, 4)
    assert economics.gini([7, 7, 7]) == 0
    assert economics.gini([0, 0, 0, 5]) == Fraction(3, 4)
    assert economics.top_share([91] + [1] * 9) == (1, Fraction(91, 100))
    assert economics.top_share([5]) == (1, 1)
    assert economics.top_share([]) == (0, None)
    assert economics.gini([]) is economics.gini([0, 0]) is None


@given(st.lists(st.integers(0, 10**12), min_size=1))
def test_gini_is_the_mean_difference(values):
    """The formula by ranks is the one by pairs: Σ|a - b| / (2 n Σ x), between 0 and 1 - 1/n."""
    count, total = len(values), sum(values)
    pairs = sum(abs(a - b) for a in values for b in values)

    found = economics.gini(values)

    assert found == (None if total == 0 else Fraction(pairs, 2 * count * total))
    assert found is None or 0 <= found <= 1 - Fraction(1, count)


@given(st.integers(0, 200))
def test_parts_are_even_and_leave_nobody_out(count):
    """Deciles of any number: at most ten, none empty, sizes that differ by one at most."""
    parts = economics.parts_of(count)
    sizes = [end - first for first, end in parts]

    assert len(parts) == min(count, 10)
    assert sum(sizes) == count
    assert not sizes or (max(sizes) - min(sizes) <= 1 and min(sizes) >= 1)


def test_ranks_are_values_that_were_there():
    """Nearest rank: the median of four is the second."""
    assert economics.rank([40, 10, 30, 20], 50) == 20
    assert economics.rank([40, 10, 30, 20], 95) == 40
    assert economics.rank([7], 95) == 7
    assert economics.rank([], 50) is None
