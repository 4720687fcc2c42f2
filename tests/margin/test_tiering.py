"""Prices by quantity: the brief's sums, bounds that overlap nowhere, and parts that add up however they are split."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.money import NUSD_PER_USD, usd_to_nusd
from margin.plan_error import PlanError
from margin.tiering import BANDS_MAX, QUANTITY_MAX, Band, Fall, TierLine, Tiers, flat

BRIEF = (Band(500, Decimal("0.99")), Band(2_000, Decimal("0.79")), Band(None, Decimal("0.59")))
prices = st.decimals(0, 100, places=6, allow_nan=False, allow_infinity=False)


@st.composite
def tiers(draw, mode=None):
    """Draw prices of one to five bands."""
    ends = sorted(draw(st.sets(st.integers(1, 5_000), max_size=4)))
    bands = tuple(Band(end, draw(prices)) for end in [*ends, None])
    found = draw(st.sampled_from(["graduated", "volume"])) if mode is None else mode
    included, per = draw(st.integers(0, 1_000)), draw(st.sampled_from([1, 7, 1_000]))
    return Tiers(bands, found, included, per, draw(st.sampled_from([1, 1_000])))


@pytest.mark.parametrize(
    ("count", "usd"),
    [
        (0, "0"),
        (500, "495.00"),  # 500 × 0.99
        (501, "495.79"),  # + 0.79
        (2_000, "1680.00"),  # 495 + 1,500 × 0.79
        (2_001, "1680.59"),  # + 0.59
        (3_000, "2270.00"),  # 1,680 + 1,000 × 0.59
    ],
)
def test_each_unit_at_its_own_price(count, usd):
    """The brief's volume tiers, graduated."""
    assert Tiers(BRIEF).total_nusd(count) == usd_to_nusd(usd)


@pytest.mark.parametrize(("count", "usd"), [(500, "495.00"), (501, "395.79"), (2_000, "1580.00"), (2_001, "1180.59")])
def test_all_units_at_the_last_ones_price(count, usd):
    """The same bands by volume: 501 × 0.79, 2,000 × 0.79, 2,001 × 0.59."""
    assert Tiers(BRIEF, "volume").total_nusd(count) == usd_to_nusd(usd)


def test_a_volume_price_falls_and_says_where():
    """501 to 626 cost less than 500 did, and 2,001 to 2,677 less than 2,000; a graduated price never falls."""
    assert Tiers(BRIEF, "volume").falls() == (Fall(500, 501, 626), Fall(2_000, 2_001, 2_677))
    assert Tiers(BRIEF).falls() == ()

    volume = Tiers(BRIEF, "volume")
    assert volume.total_nusd(2_677) < volume.total_nusd(2_000) <= volume.total_nusd(2_678)
    assert volume.added_nusd(2_000, 1) == usd_to_nusd("1180.59") - usd_to_nusd("1580.00")


def test_what_is_included_comes_first():
    """$0.05 a call above 10,000: 12,500 calls are 2,500 × 0.05; credits are counted in thousandths."""
    calls = flat(Decimal("0.05"), included=10_000)

    assert (calls.total_nusd(10_000), calls.total_nusd(12_500)) == (0, 125 * NUSD_PER_USD)
    assert (calls.next_price(9_999), calls.next_price(10_000)) == (0, Decimal("0.05"))
    assert calls.lines(12_500) == (TierLine(10_000, None, 0), TierLine(2_500, Decimal("0.05"), 125 * NUSD_PER_USD))
    credits_ = flat(Decimal("0.15"), included=1_000, parts=1_000)
    assert credits_.total_nusd(1_300_000) == 45 * NUSD_PER_USD


def test_a_price_may_be_for_a_thousand():
    """1,234,567 tokens at $0.01 a thousand: 12.34567 dollars, to the last digit."""
    assert flat(Decimal("0.01"), per=1_000).total_nusd(1_234_567) == usd_to_nusd("12.34567")


@given(tiers(), st.lists(st.integers(0, 3_000), max_size=8))
def test_parts_add_up_to_the_whole(found, parts):
    """I11: whatever the split and its order, what the parts cost is what the sum of them costs."""
    for order in (parts, parts[::-1], sorted(parts)):
        before = total = 0
        for part in order:
            total += found.added_nusd(before, part)
            before += part
        assert total == found.total_nusd(sum(parts))


@given(tiers(), st.integers(0, 10**7))
def test_lines_add_up_to_the_whole(found, quantity):
    """An invoice's lines, one for each band, are the quantity and the amount."""
    lines = found.lines(quantity)

    assert sum(line.quantity for line in lines) == quantity
    assert sum(line.nusd for line in lines) == found.total_nusd(quantity)
    assert all(line.quantity > 0 for line in lines)


@given(tiers("graduated"), st.integers(0, 10**6))
def test_a_unit_more_never_costs_less(found, quantity):
    """I17: a graduated price rises with each unit, by that unit's price within one nano-dollar."""
    rise = found.added_nusd(quantity * found.parts, found.parts)

    assert rise >= 0
    assert abs(rise - found.next_price(quantity * found.parts) * NUSD_PER_USD / found.per) <= 1


@given(tiers("volume"))
def test_where_a_volume_price_falls_is_all_of_it(found):
    """No unit at a bound costs less than the one before unless it is named."""
    named = {fall.first for fall in found.falls()}
    for band, _ in pairwise(found.bands):
        first = found.included + band.up_to + 1
        if found.added_nusd((first - 1) * found.parts, found.parts) < -1:
            assert first in named


@given(tiers())
def test_terms_are_read_as_they_were_written(found):
    """What the journal carries makes the same prices."""
    assert Tiers.read(found.terms()).terms() == found.terms()


@pytest.mark.parametrize(
    ("bands", "field", "word"),
    [
        ((), "tiers", "1 to 32"),
        ((Band(None, Decimal(1)),) * (BANDS_MAX + 1), "tiers", "1 to 32"),
        ((Band(500, Decimal(1)), Band(500, Decimal(2)), Band(None, Decimal(3))), "tiers.1.up_to", "overlaps"),
        ((Band(500, Decimal(1)), Band(400, Decimal(2)), Band(None, Decimal(3))), "tiers.1.up_to", "overlaps"),
        ((Band(0, Decimal(1)), Band(None, Decimal(2))), "tiers.0.up_to", "overlaps"),
        ((Band(None, Decimal(1)), Band(None, Decimal(2))), "tiers.0.up_to", "another follows"),
        ((Band(500, Decimal(1)),), "tiers.0.up_to", "no end"),
        ((Band(None, Decimal(-1)),), "tiers.0.price", "negative"),
    ],
)
def test_bands_that_contradict_themselves_are_refused(bands, field, word):
    """The field at fault is named, and what is wrong with it."""
    with pytest.raises(PlanError, match=word) as refused:
        Tiers(bands)

    assert refused.value.field == field


def test_a_total_beyond_the_books_is_refused():
    """Neither a wrapped number nor a negative quantity."""
    with pytest.raises(OverflowError):
        flat(Decimal(100)).total_nusd(QUANTITY_MAX)
    with pytest.raises(ValueError, match="negative"):
        flat(Decimal(1)).total_nusd(-1)
