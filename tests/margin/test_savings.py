"""Savings add up to the bill, signed, and are unknown where they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.savings import LEVERS, routing_saving_nusd, waterfall

amounts = st.integers(-(10**18), 10**18)


@pytest.mark.parametrize(
    ("baseline", "actual", "saving"), [(1000, 300, 700), (300, 1000, -700), (5, 5, 0), (None, 5, None), (5, None, None)]
)
def test_a_saving_is_the_baseline_minus_the_bill(baseline, actual, saving):
    """It may be negative, and without either side it is unknown."""
    assert routing_saving_nusd(baseline, actual) == saving


@given(amounts, amounts)
def test_the_waterfall_telescopes(baseline, actual):
    """From the baseline, the steps lead to the actual bill, to the nano."""
    saving = routing_saving_nusd(baseline, actual)

    steps = waterfall(baseline, {"routing": saving}, actual)

    assert steps[0] == ("baseline", baseline)
    assert steps[-1] == ("actual", actual)
    assert sum(amount for _, amount in steps[:-1]) == actual
    assert [name for name, _ in steps[1:-1]] == list(LEVERS)


@given(amounts, amounts, st.integers(1, 10**6))
def test_levers_that_do_not_lead_to_the_bill_are_refused(baseline, actual, error):
    """A nano-dollar too much is too much."""
    with pytest.raises(ValueError, match="add up"):
        waterfall(baseline, {"routing": baseline - actual + error}, actual)
