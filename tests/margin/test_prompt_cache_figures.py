"""What a prefix saves that is written to a provider's cache once and read after that, by how often it is used."""

from decimal import Decimal

import pytest

from margin.card import Card
from margin.usage import Usage

SONNET = Card.of(input="3", cache_read="0.3", cache_write="3.75", cache_write_1h="6", output="15")
TOKENS = 10_000


def saved_share(uses: int, *, hour: bool = False) -> Decimal:
    """Return which part of the price of plain input is saved by that many uses of a prefix."""
    written = Usage(cache_write_1h=TOKENS) if hour else Usage(cache_write_5m=TOKENS)
    used = [written, *[Usage(cache_read=TOKENS)] * (uses - 1)]
    billed, plain = (sum(SONNET.cost_nusd(each) for each in usages) for usages in (used, [u.uncached() for u in used]))
    return Decimal(plain - billed) / plain


@pytest.mark.parametrize(("uses", "share"), [(1, "-0.25"), (2, "0.325"), (3, "0.517"), (5, "0.67"), (10, "0.785")])
def test_five_minutes(uses: int, share: str):
    """A quarter is lost by a write that nobody reads; the second use earns it back."""
    assert round(saved_share(uses), 3) == Decimal(share)


def test_an_hour_pays_from_the_third_use_on():
    """Twice the price of input: one read does not earn it back, two do."""
    assert saved_share(2, hour=True) < 0 < saved_share(3, hour=True)


def test_the_same_tokens_without_a_cache_are_as_many():
    """Nothing is lost or invented: only the bucket changes."""
    usage = Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, output=5, audio_in=6)

    assert usage.uncached() == Usage(input=1 + 2 + 3 + 4, output=5, audio_in=6)
    assert usage.uncached().input_total == usage.input_total
