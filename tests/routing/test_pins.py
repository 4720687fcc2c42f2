"""What a worker remembers of conversations: bounded, by age, apart by customer, and told to the others."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.horizons import ASSUMED, AT_LEAST, CUSTOMERS_MAX, TURNS_MAX, Horizons
from proxy.routing.pins import CHANGES_MAX, Pins
from proxy.routing.sessions import Session, Warm


class Clock:
    """A clock that is set."""

    now_s = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now_s


def session(name: str = "cheap", seen_s: float = 100.0) -> Session:
    """One that was answered then."""
    return Session(name, 1, (1, 0, 0), 0, 0, 0, seen_s, 0, (Warm(name, 500, seen_s + 300),))


def test_it_is_found_until_it_was_idle_for_too_long() -> None:
    """At 30 minutes still, a second later not, and then it is gone."""
    clock = Clock()
    pins = Pins(clock)
    pins.put(1, b"k", session(), most=10)

    clock.now_s = 100 + 1800
    assert pins.find(1, b"k", 1800) == session()
    clock.now_s += 1
    assert pins.find(1, b"k", 1800) is None
    assert len(pins) == 0


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 30)), max_size=200), st.integers(1, 12))
def test_memory_is_bounded_and_customers_are_apart(steps: list[tuple[int, int]], most: int) -> None:
    """Never more than were allowed; what is found was put there by the same customer under the same key."""
    pins = Pins(Clock())
    for customer, key in steps:
        pins.put(customer, b"%d" % key, session(f"{customer}-{key}"), most)

        assert len(pins) <= most
        for other in range(1, 5):
            found = pins.find(other, b"%d" % key, 1800)
            assert found is None or found.deployment == f"{other}-{key}"


def test_a_customer_that_floods_forgets_its_own() -> None:
    """One that keeps more than its part of the room makes room itself."""
    pins = Pins(Clock())
    pins.put(1, b"quiet", session(), most=10)
    for n in range(50):
        pins.put(2, b"%d" % n, session(), most=10)

    assert pins.find(1, b"quiet", 1800) == session()
    assert len(pins) == 10


def test_changes_reach_another_worker_as_they_are() -> None:
    """Told once, through JSON; each customer's under its own."""
    one, other = Pins(Clock()), Pins(Clock())
    told = []
    one.on_change = lambda: told.append(True)
    one.put(1, b"\x00k", session(), most=10)
    one.put(1, b"\x00k", session("dear"), most=10)
    one.put(2, b"j", session(), most=10)

    other.learn(orjson.loads(orjson.dumps(one.changes())), most=10)

    assert told == [True]
    assert one.changes() == []
    assert other.find(1, b"\x00k", 1800) == session("dear")
    assert other.find(2, b"j", 1800) == session()
    assert other.find(2, b"\x00k", 1800) is None
    assert other.changes() == []


def test_of_two_words_about_one_conversation_the_later_counts() -> None:
    """What another worker says of before our own last answer is old."""
    ours, theirs = Pins(Clock()), Pins(Clock())
    theirs.on_change = lambda: None
    theirs.put(1, b"k", session("cheap", 100), most=10)
    ours.put(1, b"k", session("dear", 101), most=10)

    ours.learn(theirs.changes(), most=10)

    assert ours.find(1, b"k", 1800) == session("dear", 101)


def test_changes_that_wait_are_bounded() -> None:
    """A worker that is asked faster than it tells forgets to tell, not to serve."""
    pins = Pins(Clock())
    pins.on_change = lambda: None
    for n in range(CHANGES_MAX + 10):
        pins.put(1, b"%d" % n, session(), most=1_000_000)

    assert len(pins.changes()) == CHANGES_MAX


def test_the_turns_to_come_are_those_of_conversations_that_came_so_far() -> None:
    """Of 40 that came to turn 2, 20 came to turn 3 and 10 to turn 4, too few to say more: 30 turns over 40 of them."""
    horizons = Horizons()
    assert horizons.left(1, 2) == ASSUMED
    for turn, count in ((2, 40), (3, 20), (4, 10)):
        for _ in range(count):
            horizons.reached(1, turn)

    assert horizons.left(1, 2) == (20 + 10) / 40
    assert horizons.left(1, 3) == 10 / 20
    assert horizons.left(1, 5) == horizons.left(1, TURNS_MAX + 9) == 10 / 20  # as at the last turn that enough came to
    assert horizons.left(2, 2) == (20 + 10) / 40  # another customer's, until its own are enough


def test_turns_beyond_those_told_apart_are_counted_together() -> None:
    """Twenty conversations of 100 turns: after the tenth 90 are to come, and after the 64th 36."""
    horizons = Horizons()
    for _ in range(20):
        for turn in range(1, 101):
            horizons.reached(1, turn)

    assert horizons.left(1, 10) == 90
    assert horizons.left(1, TURNS_MAX) == horizons.left(1, 80) == 36


def test_horizons_are_bounded() -> None:
    """Customers beyond the bound go, the longest unseen first; counts are halved."""
    horizons = Horizons()
    for customer in range(CUSTOMERS_MAX + 5):
        horizons.reached(customer, 2)

    assert len(horizons._own) == CUSTOMERS_MAX
    assert 0 not in horizons._own
    for _ in range(AT_LEAST * 300):
        horizons.reached(7, 2)
    assert max(horizons._own[7]) < 4_096
