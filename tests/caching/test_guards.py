"""What must not differ between two texts that one answer does for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import meaning
from proxy.caching.semantic.embedders import LETTERS
from proxy.caching.semantic.guards import differs
from proxy.caching.semantic.reading import read

PIECES = ["no", "not", "5", "V", "May", "`x`", '"a b"', "from", "to", "Rom", "kg", "die", "の", "长", ":", "\n", "¬"]
TEXTS = st.text(max_size=200) | st.lists(st.sampled_from(PIECES)).map(" ".join)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("Can I eat this?", "Can I not eat this?", "negation"),
        ("Add 5 to it", "Add 6 to it", "number"),
        ("Write two lines", "Write three lines", "number"),
        ("Is 5 kg much?", "Is 5 lb much?", "unit"),
        ("Is it open on Monday?", "Is it open on Friday?", "time"),
        ("Translate it into Spanish", "Translate it into Italian", "language"),
        ('Translate "cat"', 'Translate "cats"', "literal"),
        ("What is `a+b`?", "What is `a-b`?", "literal"),
        ("Who is Anna Meyer?", "Who is Anna Mayer?", "name"),
        ("Turn the light on", "Turn the light off", "polarity"),
        ("Why does it rain?", "When does it rain?", "asking"),
        ("Are all birds blue?", "Are some birds blue?", "quantity"),
        ("The train from the airport to the port", "The train from the port to the airport", "direction"),
        ("A dog bites the man", "The man bites a dog", "order"),
        ("Spell this word: will", "Spell this word: have", "material"),
        ("Sum up:\nAnna likes tea.", "Sum up:\nAnna likes tea.\nBen, too.", "material"),
        ("Where is the dog?", "Wo ist der dog?", "language"),
    ],
)
def test_what_differs_is_told(one, other, why):
    """Each guard says no, in either order, and also where another embedder is trusted further."""
    assert differs(read(one), read(other), "loose") == why
    assert differs(read(other), read(one), "strict") is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my password?", "how can i reset my password"),
        ("In CSS, how do I center a div?", "How do I center a div in CSS?"),
        ("What's Norway's population?", "What is the population of Norway?"),
        ("Summarise the colours", "summarize the color"),
        ("Fix my car, please!", "Can you repair my car?"),
        ("Sum up:\nAnna likes tea.", "Sum  up:\n\nAnna likes tea. "),
    ],
)
def test_what_does_not_decide_may_differ(one, other):
    """Politeness, order, spelling, a synonym, white space."""
    assert differs(read(one), read(other), "strict") is None


def test_a_word_in_the_place_of_another_is_seen_by_either_guard():
    """The strict one lets no word pass alone; the loose one lets a sentence be said in other words."""
    tomatoes, potatoes = read("How do I plant tomatoes?"), read("How do I plant potatoes?")
    slim, thin = read("How do I get slim fast?"), read("Ways of losing fat in several weeks without hunger?")

    assert differs(tomatoes, potatoes, "loose") == differs(tomatoes, potatoes, "strict") == "words"
    assert differs(slim, thin, "strict") is not None


@given(TEXTS, TEXTS)
def test_the_guards_are_total_and_say_the_same_both_ways(one, other):
    """Any text is read; a text never differs from itself; who is asked first does not matter."""
    mine, theirs = read(one), read(other)

    assert differs(mine, mine, "strict") is None
    assert (differs(mine, theirs, "strict") is None) == (differs(theirs, mine, "strict") is None)
    assert (differs(mine, theirs, "loose") is None) == (differs(theirs, mine, "loose") is None)


def test_the_held_pairs_have_no_false_hit():
    """What ships answers none of 230 traps, and two fifths of 202 paraphrases; every kind of trap is among them."""
    false, share, said = meaning.shipped("held")
    kinds = {pair["kind"] for pair in meaning.pairs("held") if not pair["same"]}

    assert false == 0, said
    assert share >= meaning.SHARE_MIN, said
    assert kinds == {"negation", "number", "name", "date", "unit", "language", "content"}
    assert LETTERS.guard == "strict"
