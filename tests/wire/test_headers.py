"""Numbers in response headers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import headers

INT64 = 2**63 - 1


@pytest.mark.parametrize(
    ("milli", "text"),
    [(0, b"0"), (1, b"0.001"), (10, b"0.01"), (100, b"0.1"), (1000, b"1"), (2500, b"2.5"), (100_000_000, b"100000")],
)
def test_credits_have_no_trailing_zeros(milli: int, text: bytes) -> None:
    """Whole credits have no point, parts have as many places as they need."""
    assert headers.decimal(milli) == text


@given(st.integers(0, INT64))
def test_credits_are_exact(milli: int) -> None:
    """Reading the header gives the milli-credits back."""
    assert Decimal(headers.decimal(milli).decode()) * 1000 == milli


@pytest.mark.parametrize(
    ("nusd", "text"), [(0, b"0.000000000"), (1, b"0.000000001"), (-1, b"-0.000000001"), (1_500_000_000, b"1.500000000")]
)
def test_dollars_have_nine_places(nusd: int, text: bytes) -> None:
    """A nano-dollar can be seen."""
    assert headers.usd(nusd) == text


@given(st.integers(-INT64, INT64))
def test_dollars_are_exact(nusd: int) -> None:
    """Reading the header gives the nano-dollars back, sign included."""
    assert Decimal(headers.usd(nusd).decode()).scaleb(9) == nusd


def test_a_stream_is_neither_buffered_nor_stored() -> None:
    """The headers that keep proxies in between from collecting a stream."""
    found = dict(headers.STREAM)

    assert found[b"content-type"].startswith(b"text/event-stream")
    assert found[b"cache-control"] == b"no-cache"
    assert found[b"x-accel-buffering"] == b"no"
