"""What a call costs, and that unknown is not zero."""

from decimal import Decimal
from typing import Any

import pytest

from margin.card import Card
from margin.costbook import PriceHistory
from margin.usage import Usage
from proxy import metering
from proxy.settings import Deployment, Provider

PROVIDER = Provider("house", "openai", "http://house.test/v1", None, enabled=True)
CARD = Card.of(input="0.20", cache_read="0.02", output="1.00")
NUSD_PER_USD_PER_MILLION = 10**9 // 10**6


def deployment(prices: PriceHistory | None = None, *, free: bool = False) -> Deployment:
    """A model at some price."""
    return Deployment("ours", PROVIDER, "theirs", prices=prices, free=free)


def test_the_cost_is_the_price_of_each_bucket() -> None:
    """100 fresh, 900 cached, 50 out at 0.20, 0.02 and 1.00 dollars a million."""
    usage = Usage(input=100, cache_read=900, output=50)

    cost = metering.cost_nusd(deployment(PriceHistory.fixed(CARD)), usage, 0)

    assert cost == int((100 * Decimal("0.20") + 900 * Decimal("0.02") + 50) * NUSD_PER_USD_PER_MILLION)


def test_a_free_model_costs_nothing_and_an_unpriced_one_nobody_knows() -> None:
    """0 and None are different answers."""
    usage = Usage(input=100, output=50)

    assert metering.cost_nusd(deployment(free=True), usage, 0) == 0
    assert metering.cost_nusd(deployment(), usage, 0) is None


def test_the_price_is_the_one_of_the_moment() -> None:
    """Before the first card nothing is known; a new card counts from its second on."""
    dearer = Card.of(input="0.40", output="2.00")
    priced = deployment(PriceHistory(((1000, CARD), (2000, dearer))))
    usage = Usage(input=10)

    assert metering.cost_nusd(priced, usage, 999) is None
    assert metering.cost_nusd(priced, usage, 1000) == metering.cost_nusd(priced, usage, 1999) == 10 * 200
    assert metering.cost_nusd(priced, usage, 2000) == 10 * 400
    assert metering.card_id(priced, 999) is None
    assert metering.card_id(priced, 1000) == CARD.id
    assert metering.card_id(priced, 2000) == dearer.id
    assert metering.card_id(deployment(), 2000) is None


def test_tokens_without_a_price_have_an_unknown_cost() -> None:
    """An embedding model that answers text: the input's price is not the whole cost."""
    priced = deployment(PriceHistory.fixed(Card.of(input="0.02")))

    assert metering.cost_nusd(priced, Usage(input=1000), 0) == 1000 * 20
    assert metering.cost_nusd(priced, Usage(input=1000, output=1), 0) is None


def test_an_estimate_is_marked() -> None:
    """Nobody reported it."""
    assert metering.estimated(7, 3) == Usage(input=7, output=3, source="estimated")


@pytest.mark.parametrize(
    ("usage", "failed", "kind", "cost"),
    [
        (Usage(input=1000, output=10), False, "model", 1000 * 200 + 10 * 1000),
        (metering.estimated(1000, 10), False, "estimated", 1000 * 200 + 10 * 1000),
        (metering.estimated(1000, 0), True, "failed", 1000 * 200),
        (None, True, "failed", 0),
    ],
    ids=["reported", "estimated", "lost", "refused"],
)
def test_the_cost_line_of_a_call(usage: Usage | None, failed: bool, kind: str, cost: int) -> None:
    """What it stands on; what the provider never billed is a known 0."""
    priced = deployment(PriceHistory.fixed(CARD))

    line: dict[str, Any] = metering.attempt(2, priced, 0, usage=usage, failed=failed, status=200, call_id="c1")

    assert line == {
        "n": 2, "p": "house", "d": "ours", "m": "theirs", "card": CARD.id, "kind": kind,
        "u": None if usage is None else usage.as_dict(), "cost": cost, "id": "c1", "st": 200,
    }  # fmt: skip


def test_the_cost_line_of_a_call_nobody_can_price() -> None:
    """Unknown is null in the books."""
    line = metering.attempt(1, deployment(), 0, usage=Usage(input=1), status=200)

    assert (line["cost"], line["card"], line["kind"]) == (None, None, "model")
