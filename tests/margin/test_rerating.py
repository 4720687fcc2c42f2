"""Stored prices give stored amounts again; other prices give other ones; what has no price stays as it is."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from margin import costbook
from margin.card import Card
from margin.costbook import PriceHistory
from margin.ledger.questions import CostLine
from margin.rerating import cards_of, read_card, read_history, rerate, stored, write_card, write_history
from margin.usage import BUCKETS, Usage

CARD = Card.of(input="0.1", output="0.5", tiers=[(1000, {"input": "0.2", "output": "0.75"})])
rates = st.decimals(min_value=0, max_value=10_000, places=6)


def booked(card=CARD.id, cost=110, *, usage=None, revision=0):
    """Return a cost line of 600 tokens in and 100 out: 600 × 100 + 100 × 500 thousandths of a nano-dollar."""
    return CostLine(
        x="x1", n=1, t=0, provider="p", deployment="d", model="m", revision=revision, kind="model", call_id="c",
        status=200, usage={"input": 600, "output": 100} if usage is None else usage, card=card, cost_nusd=cost,
        customer=1, plan="open", charge_tier="simple", served_tier="simple",
    )  # fmt: skip


def only(line, pricing):
    """Re-rate one line."""
    (found,) = rerate([line], pricing)
    return found.verdict, found.cost_nusd


def test_the_stored_card_gives_the_stored_amount():
    """600 × 0.1 + 100 × 0.5 = 110 micro-dollars a million tokens: 110,000 nano-dollars."""
    assert only(booked(cost=110_000), stored({CARD.id: CARD})) == ("unchanged", 110_000)


def test_another_card_gives_another_amount():
    """A price that is one per cent higher costs one per cent more; a free one nothing."""
    dearer = Card.of(input="0.101", output="0.505")

    assert only(booked(cost=110_000), lambda _: dearer) == ("changed", 111_100)
    assert only(booked(cost=110_000), lambda _: None) == ("changed", 0)
    assert only(booked(None, None), lambda _: CARD) == ("changed", 110_000)


def test_what_cannot_be_priced_stays_as_it_is():
    """Each for its own reason: no price, no such card, the provider's own bill, nothing used."""
    priceless = Card.of(input="0.1")

    assert only(booked(None, None), stored({})) == ("unpriced", None)
    assert only(booked(), lambda _: priceless) == ("unpriced", 110)
    assert only(booked("card_gone"), stored({CARD.id: CARD})) == ("unratable", 110)
    assert only(booked(None, 7, revision=1), lambda _: CARD) == ("billed", 7)
    assert only(booked(cost=0, usage={}), stored({CARD.id: CARD})) == ("unchanged", 0)


@given(
    st.dictionaries(st.sampled_from(BUCKETS), rates),
    rates,
    st.lists(st.tuples(st.integers(1, 10**6), rates), max_size=3),
    st.lists(st.integers(0, 10**6), min_size=len(BUCKETS), max_size=len(BUCKETS)),
)
def test_a_card_survives_the_journal(priced, first, tiers, counts):
    """Read back, it has the same id and the same price for every usage."""
    card = Card(
        {"output": Decimal(1)} | priced | {"input": first},
        tuple((above, {"input": rate}) for above, rate in sorted(dict(tiers).items())),
    )
    usage = Usage(**dict(zip(BUCKETS, counts, strict=True)))

    again = read_card(write_card(card))

    assert again.id == card.id
    assert again.cost_nusd(usage) == card.cost_nusd(usage)


def test_every_shipped_history_survives_the_journal():
    """At each of its dates and hours, it names the same card, with the same service tiers."""
    histories = [entry.history for entry in costbook.load().entries]
    cards = {card.id: read_card(write_card(card)) for history in histories for card in cards_of(history)}

    for history in histories:
        again = read_history(write_history(history), cards)
        assert isinstance(again, PriceHistory)
        starts = [start_s for start_s, _ in history.cards]
        assert [again.at(s + h * 3600) for s in starts for h in range(24)] == [
            history.at(s + h * 3600) for s in starts for h in range(24)
        ]
