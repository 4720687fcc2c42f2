"""Which prompts are marked for a provider's cache: learned, priced, kept apart by owner, bounded."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from proxy.caching.prefixes import NS, Prefixes, Rates

ANTHROPIC = Rates(read=0.1, write_5m=1.25, write_1h=2.0)
LEAST = 1_024
SYSTEM = (b"You are a careful analyst.", 5_000)


def said(text: str, tokens: int = 100) -> tuple[bytes, int]:
    """Return a message."""
    return text.encode(), tokens


def test_what_was_never_seen_is_not_marked():
    """A write costs a quarter more than plain input, and nobody knows that it will be read."""
    found = Prefixes().choose("acme", [SYSTEM, said("Why?")], ANTHROPIC, LEAST, 0)

    assert found == (None, None)


def test_instructions_that_come_back_within_minutes_are_marked():
    """Different questions under the same instructions: marked from the second on, for five minutes."""
    prefixes = Prefixes()

    found = [prefixes.choose("acme", [SYSTEM, said(f"Question {n}?")], ANTHROPIC, LEAST, n * 60 * NS) for n in range(5)]

    assert [marks[0] for marks in found] == [None, "5m", "5m", "5m", "5m"]
    assert [marks[1] for marks in found] == [None] * 5


def test_instructions_that_come_back_every_half_hour_are_marked_for_an_hour_once_that_pays():
    """Twice the price of input pays when the prefix is read often enough: 0.9 a read against 1 a write."""
    prefixes = Prefixes()

    found = [
        prefixes.choose("acme", [SYSTEM, said(f"Question {n}?")], ANTHROPIC, LEAST, n * 1_800 * NS)[0] for n in range(8)
    ]

    assert found[:2] == [None, None]
    assert found[-1] == "1h"
    assert "5m" not in found


def test_instructions_that_come_back_too_late_are_never_marked():
    """Every two hours: each write would be lost."""
    prefixes = Prefixes()

    found = [
        prefixes.choose("acme", [SYSTEM, said(f"Question {n}?")], ANTHROPIC, LEAST, n * 7_200 * NS) for n in range(20)
    ]

    assert all(marks == (None, None) for marks in found)


def test_a_conversation_that_goes_on_is_marked_at_its_end_and_where_it_ended_before():
    """Each turn adds two messages; the place of the last mark is marked again, as providers look back only so far."""
    prefixes, talk = Prefixes(), [SYSTEM, said("Plan the move.", 2_000)]

    found = []
    for n in range(4):
        found.append(prefixes.choose("acme", talk, ANTHROPIC, LEAST, n * 30 * NS))
        talk = [*talk, said(f"Step {n}", 500), said(f"Result {n}", 500)]

    assert found[0] == (None, None)
    assert found[1] == ("5m", "5m", None, "5m")
    assert found[3] == ("5m", None, None, None, None, "5m", None, "5m")


def test_a_customer_whose_conversations_go_on_has_new_ones_marked_from_their_first_turn():
    """What its other conversations did is what is expected of the next."""
    prefixes, t = Prefixes(), count(0, 20 * NS)
    for number in range(6):
        talk = [SYSTEM, said(f"Task {number}", 2_000)]
        for turn in range(8):
            prefixes.choose("acme", talk, ANTHROPIC, LEAST, next(t))
            talk = [*talk, said(f"{number}.{turn}", 500)]

    theirs = prefixes.choose("acme", [SYSTEM, said("A new task", 2_000)], ANTHROPIC, LEAST, next(t))
    others = prefixes.choose("globex", [SYSTEM, said("A new task", 2_000)], ANTHROPIC, LEAST, next(t))

    assert theirs == ("5m", "5m")
    assert others == (None, None)


def test_what_is_too_short_to_be_kept_is_not_marked():
    """Below the provider's shortest prefix a mark does nothing."""
    prefixes = Prefixes()

    found = [prefixes.choose("acme", [said("Be brief."), said("Hi")], ANTHROPIC, LEAST, n * NS) for n in range(5)]

    assert found[-1] == (None, None)


def test_no_mark_where_the_hour_is_not_on_offer():
    """Half-hourly prompts stay unmarked at a provider that keeps nothing for an hour."""
    prefixes, rates = Prefixes(), Rates(0.1, 1.25, None)

    found = [prefixes.choose("acme", [SYSTEM, said(f"{n}")], rates, LEAST, n * 1_800 * NS)[0] for n in range(8)]

    assert found == [None] * 8


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(1, 6), st.integers(0, 4_000)), max_size=80
)


@given(steps)
def test_marks_keep_the_provider_s_rules_and_memory_its_bound(moves):
    """At most three marks of four, longer lifetimes before shorter ones, and no more prefixes than are kept."""
    prefixes, t = Prefixes(kept_max=10), 0
    for owner, system, messages, wait_s in moves:
        t += wait_s * NS
        parts = [said(f"system {system}", 3_000), *(said(f"message {n}", 400) for n in range(messages))]

        marks = prefixes.choose(owner, parts, ANTHROPIC, LEAST, t)

        set_ones = [each for each in marks if each is not None]
        assert len(marks) == len(parts)
        assert len(set_ones) <= 3
        assert set_ones == sorted(set_ones)  # "1h" before "5m"
        assert len(prefixes) <= 10


OPENAI = Rates(read=0.1, write_5m=None, write_1h=None, write_30m=1.25)


def test_a_conversation_with_answers_has_come_back_wherever_it_was():
    """Of ten turns of each conversation this worker sees one; first turns are kept all the same, as others go on."""
    prefixes, found = Prefixes(), []
    for n in range(20):
        goes_on = n % 10 != 0
        found.append(
            prefixes.choose("acme", [SYSTEM, said(f"{n}", 4_000)], OPENAI, LEAST, n * 3600 * NS, goes_on=goes_on)[1]
        )

    assert found[0] is None
    assert found[3:] == ["30m"] * 17


def test_instructions_that_are_spread_over_workers_come_back_more_often_than_one_sees():
    """Every hour here, and every quarter of an hour to all four of them."""
    seen = [
        [
            prefixes.choose("acme", [SYSTEM, said(f"{n}?")], OPENAI, LEAST, n * 3600 * NS, workers=workers)[0]
            for n in range(8)
        ]
        for workers in (1, 4)
        for prefixes in [Prefixes()]
    ]

    assert seen[0] == [None] * 8
    assert seen[1][2:] == ["30m"] * 6
