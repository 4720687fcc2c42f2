"""The sum that is shown is the cost that is booked."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from margin.arithmetic import products
from margin.card import Card
from margin.money import NUSD_PER_USD
from margin.usage import BUCKETS, Usage

rates = st.decimals(min_value=0, max_value=1000, places=4)
counts = st.integers(0, 500_000)


def test_a_sum_names_tokens_rate_and_amount():
    """Half a token's nano-dollar is shown as it is: 3 × $0.0125 a million = 37.5 nano-dollars."""
    card = Card.of(input="0.1", cache_read="0.0125", output="0.5")

    found = list(products(card, Usage(input=12, cache_read=3, output=66)))

    assert [(each.bucket, each.tokens, each.rate, each.nusd) for each in found] == [
        ("input", 12, Decimal("0.1"), 1200), ("cache_read", 3, Decimal("0.0125"), Fraction(75, 2)),
        ("output", 66, Decimal("0.5"), 33_000),
    ]  # fmt: skip


def test_a_long_request_pays_the_long_rates():
    """Beyond the line every token pays the tier's rate, those that it does not name the one below."""
    card = Card.of(input=1, output=8, tiers=[(1000, {"input": 2})])

    assert [each.rate for each in products(card, Usage(input=1000, output=1))] == [1, 8]
    assert [each.rate for each in products(card, Usage(input=1001, output=1))] == [2, 8]


@given(
    st.dictionaries(st.sampled_from(BUCKETS), rates),
    st.lists(st.tuples(st.integers(1, 10**6), rates), max_size=3),
    st.lists(counts, min_size=len(BUCKETS), max_size=len(BUCKETS)),
)
def test_the_parts_add_up_to_the_cost(priced, tiers, used):
    """Whatever the card and the usage: the products are the exact cost, and that rounds to what is booked."""
    card = Card(
        {"output": Decimal(1), "input": Decimal(2)} | priced,
        tuple((above, {"input": rate}) for above, rate in sorted(dict(tiers).items())),
    )
    usage = Usage(**dict(zip(BUCKETS, used, strict=True)))

    total = sum((each.nusd for each in products(card, usage)), Fraction(0))

    assert total == card.cost_exact(usage) * NUSD_PER_USD
    assert abs(total - card.cost_nusd(usage)) <= Fraction(1, 2)
