"""Metered credits: tokens times rates, one rounding, and a ceiling that no usage within it exceeds."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.meter import Meter
from margin.plan_error import PlanError
from margin.sellbook import CreditTerms
from margin.usage import Usage

METER = Meter(Decimal(1), Decimal(4), cache_read=Decimal("0.1"))
tokens = st.integers(0, 200_000)
rates = st.decimals(0, 1000, places=6, allow_nan=False, allow_infinity=False)


def test_a_rate_is_credits_per_thousand_tokens():
    """1,000 tokens in at 1, 2,000 read at 0.1, 500 out at 4: 1 + 0.2 + 2 credits."""
    charge = METER.charge_milli(Usage(input=1_000, cache_read=2_000, output=300, reasoning=200))

    assert charge == 1_000 + 200 + 2_000


def test_it_is_rounded_once_half_even():
    """Five tokens at 0.1 milli-credits are half a milli-credit; fifteen are one and a half."""
    assert METER.charge_milli(Usage(cache_read=5)) == 0
    assert METER.charge_milli(Usage(cache_read=15)) == 2
    assert METER.charge_milli(Usage(input=1, cache_read=5)) == 2  # 1.5, rounded once


def test_a_rate_that_is_not_stated_is_that_of_input():
    """Writing to a cache is charged as fresh input where the plan says nothing."""
    assert METER.charge_milli(Usage(cache_write_5m=700, cache_write_1h=300)) == 1_000


@given(st.tuples(rates, rates, rates, rates), st.lists(tokens, min_size=9, max_size=9))
def test_no_usage_within_the_ceiling_is_charged_more(found, counts):
    """However the input falls into buckets, and whatever the rates."""
    fresh, read, write, out = found
    meter = Meter(fresh, out, cache_read=read, cache_write=write)
    usage = Usage(*counts)

    ceiling = meter.ceiling_milli(input_tokens_max=usage.input_total, output_tokens_max=usage.output_total)

    assert 0 <= meter.charge_milli(usage) <= ceiling


def test_equal_rates_are_one_version():
    """1 and 1.000 are the same price; a rate that is too fine is none."""
    same = Meter(Decimal("1.000"), Decimal("4.0"), cache_read=Decimal("0.10"))

    assert CreditTerms(metered=same).terms() == CreditTerms(metered=METER).terms()
    assert "schedule_milli" not in CreditTerms(metered=METER).terms()
    with pytest.raises(ValueError, match="at most 6 places"):
        Meter(Decimal("0.0000001"), Decimal(1))


@pytest.mark.parametrize(
    ("terms", "field"),
    [({"holds": "statistical"}, "credits.holds"), ({"hold_quantile": Decimal(1)}, "credits.hold_quantile")],
)
def test_terms_of_holds_that_make_no_sense_are_refused(terms, field):
    """A schedule's charge is known before; a quantile lies between 0 and 1."""
    with pytest.raises(PlanError) as refused:
        CreditTerms(**terms)

    assert refused.value.field == field
