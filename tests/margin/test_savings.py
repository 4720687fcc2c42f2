"""Savings add up to the bill, signed, and are unknown where they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.savings import LEVERS, saved_nusd, saving_nusd, waterfall

amounts = st.integers(-(10**18), 10**18)


@pytest.mark.parametrize(
    ("baseline", "actual", "saving"), [(1000, 300, 700), (300, 1000, -700), (5, 5, 0), (None, 5, None), (5, None, None)]
)
def test_a_saving_is_the_baseline_minus_the_bill(baseline, actual, saving):
    """It may be negative, and without either side it is unknown."""
    assert saving_nusd(baseline, actual) == saving


@given(amounts, amounts, amounts, amounts, amounts, amounts)
def test_the_waterfall_telescopes(baseline, actual, spared, marks, overhead, trims):
    """From the baseline, the steps lead to the actual bill, to the nano, whatever was spared or spent on the way."""
    saved = saved_nusd(baseline, actual, spared_nusd=spared, marks_nusd=marks, overhead_nusd=overhead,
                       trims_nusd=trims)  # fmt: skip

    steps = waterfall(baseline, saved._asdict(), actual)

    assert steps[0] == ("baseline", baseline)
    assert steps[-1] == ("actual", actual)
    assert sum(amount for _, amount in steps[:-1]) == actual
    assert [name for name, _ in steps[1:-1]] == list(LEVERS)


@pytest.mark.parametrize(
    ("baseline", "actual", "spared", "marks"), [(None, 5, 0, 0), (5, None, 0, 0), (5, 0, None, 0), (5, 4, 0, None)]
)
def test_what_is_not_known_is_not_split(baseline, actual, spared, marks):
    """Without the price of the call that was spared, or of plain input, nobody knows what routing saved."""
    assert saved_nusd(baseline, actual, spared_nusd=spared, marks_nusd=marks) is None


@given(amounts, amounts, st.integers(1, 10**6))
def test_levers_that_do_not_lead_to_the_bill_are_refused(baseline, actual, error):
    """A nano-dollar too much is too much."""
    with pytest.raises(ValueError, match="add up"):
        waterfall(baseline, {"routing": baseline - actual + error}, actual)
