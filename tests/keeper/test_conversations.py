"""Responses that may be gone on with: whose they are, how they share what they hold, and what is forgotten when."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.keeper.conversations import ENTRY_BYTES, Conversations
from proxy.settings import Conversations as Bounds

ROOMY = Bounds(ttl_s=100)


class Shelf:
    """Conversations with a clock that a test moves, and what is asked of them in short."""

    def __init__(self, **bounds: Any) -> None:
        self.t = 0.0
        self.bounds = replace(ROOMY, **bounds)
        self.all = Conversations(lambda: self.bounds, lambda: self.t)

    def keep(self, identity: str, customer: int = 1, **fields: Any) -> bool:
        """Keep a response of a customer's."""
        return self.all.keep({"customer": customer, "name": identity, "items": '"i"', "response": "{}"} | fields)

    def find(self, identity: str, customer: int = 1) -> Any:
        """Return what is kept."""
        return self.all.find({"customer": customer, "name": identity})

    def drop(self, identity: str, customer: int = 1) -> bool:
        """Forget it."""
        return self.all.drop({"customer": customer, "name": identity})


def test_a_conversation_grows_by_its_turns() -> None:
    """Each response has all that went before it; two may go on from the same one."""
    shelf = Shelf()

    assert shelf.keep("a", items='"1","2"')
    assert shelf.keep("b", previous="a", items='"3"')
    assert shelf.keep("c", previous="a", items='"4"')

    assert shelf.find("a") == {"items": '["1","2"]', "response": "{}"}
    assert shelf.find("b")["items"] == '["1","2","3"]'
    assert shelf.find("c")["items"] == '["1","2","4"]'


def test_a_pin_names_who_stores_it() -> None:
    """And nothing of ours can be added to what lies there."""
    shelf = Shelf()

    assert shelf.keep("a", items=None, response=None, provider="openai", tokens=9)

    assert shelf.find("a") == {"provider": "openai", "tokens": 9}
    assert not shelf.keep("b", previous="a")


def test_foreign_forgotten_and_invented_ones_look_alike() -> None:
    """Nobody learns what another customer has; an id of somebody else's stands in nobody's way."""
    shelf = Shelf()
    shelf.keep("a")
    shelf.keep("b")
    shelf.drop("b")

    assert shelf.find("a", customer=2) is shelf.find("b") is shelf.find("never") is None
    assert not shelf.drop("a", customer=2)
    assert not shelf.keep("c", customer=2, previous="a")
    assert shelf.keep("a", customer=2, items='"other"')
    assert shelf.find("a")["items"] == '["i"]'


def test_what_goes_on_from_a_dropped_one_stays_whole() -> None:
    """Its customer deleted it, not those that came of it; the bytes that they share count until both are gone."""
    shelf = Shelf()
    shelf.keep("a", items='"1"')
    shelf.keep("b", previous="a", items='"2"')

    assert shelf.drop("a")

    assert shelf.find("b")["items"] == '["1","2"]'
    assert shelf.all.bytes == ENTRY_BYTES + len("{}") + len('"1"') + len('"2"')
    assert shelf.drop("b")
    assert (len(shelf.all), shelf.all.bytes) == (0, 0)


def test_old_ones_are_forgotten() -> None:
    """By age alone, used or not."""
    shelf = Shelf()
    shelf.keep("a")
    shelf.t = 60
    shelf.keep("b", previous="a")

    shelf.t = 101

    assert shelf.find("a") is None
    assert shelf.find("b")["items"] == '["i","i"]'


@pytest.mark.parametrize("bounds", [{"customer_responses_max": 2}, {"customer_bytes_max": 2 * (ENTRY_BYTES + 5)}])
def test_a_customer_that_keeps_much_forgets_its_own(bounds: dict[str, int]) -> None:
    """Its oldest go, and nobody else's."""
    shelf = Shelf(**bounds)
    shelf.keep("theirs", customer=2)
    for name in "abc":
        shelf.keep(name)

    assert [shelf.find(name) is not None for name in "abc"] == [False, True, True]
    assert shelf.find("theirs", customer=2) is not None


def test_a_conversation_too_long_is_not_kept() -> None:
    """And says so; what it went on from stays."""
    shelf = Shelf(conversation_bytes_max=ENTRY_BYTES + 40)

    assert shelf.keep("a", items='"%s"' % ("x" * 20))
    assert not shelf.keep("b", previous="a", items='"%s"' % ("x" * 20))
    assert shelf.find("a") is not None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["keep", "go on", "drop", "wait"]), st.integers(0, 5), st.integers(0, 5), st.integers(1, 2)
        ),
        max_size=40,
    )
)
def test_bounds_and_sums_hold_whatever_happens(steps: list[tuple[str, int, int, int]]) -> None:
    """The bytes told are those of what is kept, each part once, and never beyond the bounds."""
    shelf = Shelf(ttl_s=10, customer_responses_max=3, customer_bytes_max=1500, bytes_max=2200)

    for what, one, other, customer in steps:
        if what == "keep":
            shelf.keep(str(one), customer, items=f'"{one}{other}"')
        elif what == "go on":
            shelf.keep(str(one), customer, previous=str(other), items=f'"{one}{other}"')
        elif what == "drop":
            shelf.drop(str(one), customer)
        else:
            shelf.t += one
        kept = shelf.all._kept.values()
        parts = {id(part): len(part.items) for each in kept for part in each.parts}
        assert shelf.all.bytes == sum(each.own_bytes for each in kept) + sum(parts.values()) <= 2200
        for name in (1, 2):
            assert sum(owner == name for owner, _ in shelf.all._kept) <= 3
