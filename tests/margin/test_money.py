"""Money: exact, rounded once, never beyond 64 bits."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.money import (
    NUSD_MAX,
    NUSD_PER_USD,
    add_checked,
    format_usd,
    nusd_to_usd,
    round_half_even,
    usd_to_nusd,
)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [
        (5, 10, 0),
        (15, 10, 2),
        (25, 10, 2),
        (-5, 10, 0),
        (-15, 10, -2),
        (-25, 10, -2),
        (26, 10, 3),
        (-26, 10, -3),
        (2 * 2**63 + 1, 2, 2**63),
        (2**53 + 1, 1, 2**53 + 1),
    ],
)
def test_ties_go_to_the_even_neighbour(numerator, denominator, rounded):
    """Halves round to even on both sides of zero, and large integers lose nothing."""
    assert round_half_even(numerator, denominator) == rounded


@given(st.integers(), st.integers(min_value=1))
def test_rounding_agrees_with_fractions(numerator, denominator):
    """Python's own half-even rounding of the exact fraction is the reference."""
    assert round_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@pytest.mark.parametrize("denominator", [0, -1])
def test_a_denominator_must_be_positive(denominator):
    """A sign belongs in the numerator, and nothing is divided by zero."""
    with pytest.raises(ValueError, match="positive"):
        round_half_even(1, denominator)


@pytest.mark.parametrize(
    ("usd", "nusd"),
    [
        ("1", NUSD_PER_USD),
        (7, 7 * NUSD_PER_USD),
        (Decimal("-0.25"), -NUSD_PER_USD // 4),
        ("0.0000000005", 0),
        ("0.0000000015", 2),
        ("1e-30", 0),
        ("1e-999999", 0),
        ("0e999999", 0),
        ("9007199.254740993", 2**53 + 1),
        ("9223372036.854775807", 2**63 - 1),
    ],
)
def test_dollars_become_nano_dollars(usd, nusd):
    """Exact where nano-dollars can be, half-even where they cannot."""
    assert usd_to_nusd(usd) == nusd


@pytest.mark.parametrize("amount", [0.1, 1.0, True, None, b"1"])
def test_what_is_not_exact_is_refused(amount):
    """A float's digits are not the ones somebody typed; a bool is no amount."""
    with pytest.raises(TypeError, match="must be Decimal, int or str"):
        usd_to_nusd(amount)


@pytest.mark.parametrize("amount", ["nan", "sNaN", "inf", "-Infinity", "", "1,5", "a"])
def test_what_is_not_a_number_is_refused(amount):
    """Neither words nor infinities are money."""
    with pytest.raises(ValueError, match=r"finite|not a decimal"):
        usd_to_nusd(amount)


@pytest.mark.parametrize("amount", ["9223372036.854775808", "-9223372036.9", "1e30", "1e999999"])
def test_what_does_not_fit_64_bits_is_refused(amount):
    """An amount that a column cannot hold is an error where it arises, not in the store."""
    with pytest.raises(OverflowError):
        usd_to_nusd(amount)


@given(st.integers(min_value=-NUSD_MAX, max_value=NUSD_MAX))
def test_nano_dollars_survive_the_way_to_dollars_and_back(nusd):
    """The way out is exact even in a context that rounds to three digits."""
    with localcontext() as context:
        context.prec = 3

        assert usd_to_nusd(nusd_to_usd(nusd)) == nusd


def test_sums_are_checked():
    """The largest amount is allowed, one more either way is not."""
    assert add_checked() == 0
    assert add_checked(2**62, 2**62 - 1) == 2**63 - 1
    assert add_checked(-(2**62), -(2**62) + 1) == -(2**63) + 1

    with pytest.raises(OverflowError):
        add_checked(2**63 - 1, 1)
    with pytest.raises(OverflowError):
        add_checked(-(2**63) + 1, -1)


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (123_000, "$0.000123"),
        (123_456, "$0.000123"),
        (1, "$0.000000001"),
        (-1, "−$0.000000001"),
        (-1_200_000_000, "−$1.20"),
        (250_000_000, "$0.25"),
        (999_600_000, "$1.00"),
        (1_234_567_890_000, "$1,234.57"),
    ],
)
def test_amounts_are_written_for_people(nusd, text):
    """Cents from a dollar up, three digits below, and no amount but zero reads as zero."""
    assert format_usd(nusd) == text


@given(st.integers(min_value=1, max_value=NUSD_MAX))
def test_only_zero_is_written_as_zero(nusd):
    """Some digit of a nonzero amount is always shown."""
    assert any(digit in format_usd(nusd) for digit in "123456789")
