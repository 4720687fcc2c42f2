"""Overheads and payment fees: shared out by what each customer had, and adding up to what is paid."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from margin.overheads import MonthUse, OtherCosts, Overhead, shared_out

USD = 10**9


@given(st.integers(0, 10**15), st.dictionaries(st.integers(1, 9), st.integers(0, 10**12), max_size=9))
def test_the_parts_are_the_whole(nusd, weights):
    """To the last nano-dollar, no part more than one off its exact share, and nobody without weight pays."""
    parts = shared_out(nusd, weights)

    whole = sum(weights.values())
    assert sum(parts.values()) == (nusd if whole else 0)
    assert all(abs(part - Fraction(nusd * weights[name], whole)) < 1 for name, part in parts.items())
    assert set(parts) == ({name for name, weight in weights.items() if weight} if whole else set())


def test_each_overhead_by_its_own_key():
    """$300 by requests at 1 : 2, $100 by tokens at 3 : 1, $40 by revenue that only one brought; half of December."""
    costs = OtherCosts({"hosting": Overhead(300 * USD, "requests"), "support": Overhead(100 * USD, "tokens"),
                        "sales": Overhead(40 * USD, "revenue")})  # fmt: skip
    november = [MonthUse(1, "2026-11", 10, 3_000, -5), MonthUse(2, "2026-11", 20, 1_000, 7)]

    shares, nobodys = costs.overheads_nusd(november, {"2026-11": Fraction(1), "2026-12": Fraction(1, 2)})

    assert shares == {1: (100 + 75) * USD, 2: (200 + 25 + 40) * USD}
    assert nobodys == (300 + 100 + 40) * USD // 2


def test_a_payment_costs_a_percentage_and_a_fixed_part():
    """2.9 % and $0.30 of $100; a month that was charged nothing, or gave back, has no payment."""
    costs = OtherCosts({}, Decimal("2.9"), 3 * USD // 10)
    uses = [MonthUse(1, "2026-11", 5, 5, 100 * USD), MonthUse(1, "2026-12", 5, 5, 0), MonthUse(2, "2026-11", 1, 1, -1)]

    assert costs.fees_nusd(uses) == {1: 3_200_000_000}
