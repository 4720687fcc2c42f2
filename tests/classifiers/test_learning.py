"""Learning from own labels: what is kept of an ask, what is learnt from it, and that the new weights say just that."""

import json
import random

import pytest

from classifiers import Ask, judge, read_ask
from classifiers.featuring import Features, number_of, read
from classifiers.judging import judge_with
from classifiers.learning import Lesson, area, compare, fit, odds_of, rows_of, taught, why_not
from classifiers.table import WEIGHTS, load, shipped
from classifiers.weights_file import versioned, write

FEATURES = Features(shipped())
TOPICS = ("harbour", "garden", "invoice", "engine", "music", "kitchen", "letter", "museum", "train", "water")


def asked(text: str) -> Ask:
    """The ask of a request with this text."""
    return read_ask([{"role": "user", "content": text}])


def lesson(text: str, *, is_needed: bool, key: str = "") -> Lesson:
    """A label of a text."""
    found = judge(asked(text))
    _, medium, hard = found.probabilities
    return Lesson(FEATURES.of(text), found.task, medium, hard, is_needed, key=key)


def lessons(count: int, seed: int = 1) -> list[Lesson]:
    """In this house questions about customs need the strong model, and all others do not; one in ten is luck."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        is_hard = chance.random() < 0.5
        words = chance.sample(TOPICS, 4) + (["customs", "declaration"] if is_hard else ["opening", "hours"])
        text = f"Tell me about the {' '.join(chance.sample(words, len(words)))}, please."
        found.append(lesson(text, is_needed=is_hard != (chance.random() < 0.1), key=str(number)))
    return found


@pytest.mark.parametrize(
    "text", ["What is the capital of Peru?", "Prove that 3 is prime.", "hi", "请总结以下会议记录", "", "word " * 900]
)
def test_features_are_enough_to_score_an_ask_again(text):
    """The score of an ask follows from its features, its task and its probabilities."""
    ask = asked(text)
    found = judge(ask)
    _, medium, hard = found.probabilities

    score, _ = FEATURES.score(FEATURES.of(ask.text), found.task, medium, hard)

    assert score == pytest.approx(found.score, abs=2e-3)


def test_features_hold_no_words_that_the_weights_do_not_know():
    """Of a name there is no trace; of a known word its number, in no order; and no more than two kilobytes."""
    first, second = FEATURES.of("Who is Zorblax Quuxley?"), FEATURES.of("Quuxley Zorblax is who?")
    long = FEATURES.of(" ".join(key for key in shipped().words)[:100_000])

    assert set(read(first)[1]) >= {number_of("who"), number_of("is")}
    assert number_of("zorblax") not in read(first)[1]
    assert {number_of("who"), number_of("is")} <= set(read(second)[1])
    assert len(long) < 2_000


def test_what_is_no_features_is_refused():
    """A file that was damaged teaches nothing."""
    with pytest.raises(ValueError, match="no features"):
        read(b"abc")


def test_what_a_house_finds_hard_is_learnt():
    """300 labels: on others, asks that need the strong model rank above those that do not nine times in ten."""
    taught_by, new = lessons(300), lessons(500, seed=2)
    wanted = [each.is_needed for each in new]
    rows = rows_of(FEATURES, new)

    found = fit(rows_of(FEATURES, taught_by))

    before, after = area([row.offset for row in rows], wanted), area([odds_of(found, row) for row in rows], wanted)
    assert after > 0.85 > before + 0.1


def test_the_comparison_is_made_on_labels_held_back():
    """A gain with its interval where there is something to learn, none where labels are chance."""
    chance = random.Random(4)
    noise = [each._replace(is_needed=chance.random() < 0.5) for each in lessons(300)]

    real, none = compare(FEATURES, lessons(300)), compare(FEATURES, noise)

    assert real.held == none.held == 90
    assert 0 < real.low < real.after - real.before < real.high
    assert none.low < 0.05


def test_new_weights_say_what_was_learnt(tmp_path):
    """Written, read and asked, the new file gives the odds that were learnt; its version is its hash; tasks stay."""
    document = json.loads(WEIGHTS.read_bytes())
    taught_by = lessons(300)
    found = fit(rows_of(FEATURES, taught_by))

    new = taught(document, FEATURES, found, 300)
    write(new, tmp_path / "weights.json")
    table = load(tmp_path / "weights.json")

    assert table.version == new["version"] == versioned(new)["version"] != shipped().version
    assert new["learnt"] == {"from": shipped().version, "labels": 300}
    for each in taught_by[:50]:
        (row,) = rows_of(FEATURES, [each])
        _, odds = Features(table).score(each.features, each.task, each.medium, each.hard)
        assert odds == pytest.approx(odds_of(found, row), abs=0.1)
    ask = asked("Tell me about the customs declaration.")
    assert judge_with(table, ask).score > judge(ask).score
    assert judge_with(table, ask).task == judge(ask).task


@pytest.mark.parametrize(
    ("count", "needed", "is_enough"), [(99, 50, False), (100, 9, False), (100, 91, False), (100, 10, True)]
)
def test_too_few_labels_teach_nothing(count, needed, is_enough):
    """A hundred at least, and ten of either kind."""
    one = lesson("hi", is_needed=False)

    why = why_not([one._replace(is_needed=number < needed) for number in range(count)])

    assert (why is None) == is_enough
    assert is_enough or f"{count} labels, {needed} of which" in why


def test_a_tie_is_half_right():
    """All scores alike: no better than chance; one order right, the other wrong."""
    assert area([0.5, 0.5, 0.5], [True, False, True]) == 0.5
    assert area([0.1, 0.9], [False, True]) == 1
    assert area([0.1, 0.9], [True, False]) == 0
