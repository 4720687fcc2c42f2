"""The task sets the tier; difficulty moves it by at most one and says so."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers import TASKS, TIERS, Ask, Judgement, judge, read_ask
from classifiers.difficulty import LEVEL
from classifiers.table import shipped


def ask(text: str, **more) -> Ask:
    """The ask of a request with this text, changed as told."""
    return read_ask([{"role": "user", "content": text}])._replace(**more)


def need(judgement: Judgement) -> float:
    """How far up the tiers an ask is placed, 0 to 1."""
    _, medium, hard = judgement.probabilities
    return medium / 2 + hard


texts = st.text(st.characters(), max_size=300)
asks = st.builds(
    Ask,
    text=texts,
    text_chars=st.integers(0, 10**7),
    system_chars=st.integers(0, 10**7),
    history_turns=st.integers(0, 1000),
    history_chars=st.integers(0, 10**7),
    images=st.integers(0, 100),
    tools=st.integers(0, 1000),
    tool_turn=st.booleans(),
    wants_schema=st.booleans(),
    failed_before=st.booleans(),
)


@given(asks)
def test_every_ask_gets_a_judgement_that_agrees_with_itself(any_ask):
    """Whatever is asked, tier, probabilities, score and confidence say the same."""
    judgement = judge(any_ask)
    simple, medium, hard = judgement.probabilities
    place = TIERS.index(judgement.tier)

    assert simple + medium + hard == pytest.approx(1, abs=1e-12)
    assert min(judgement.probabilities) >= 0
    assert judgement.probabilities[place] == max(judgement.probabilities) == judgement.confidence
    assert 0 <= judgement.score <= 1
    assert judgement.task in TASKS
    assert abs(place - LEVEL[judgement.task]) <= 1
    assert judgement.version == shipped().version
    assert judgement == judge(any_ask)


@given(asks, st.integers(0, 10**7), st.integers(0, 1000))
def test_system_prompt_and_history_never_raise_the_tier_by_themselves(any_ask, chars, turns):
    """The same ask with another past and another system prompt gets the same probabilities."""
    elsewhere = any_ask._replace(system_chars=chars, history_turns=turns, history_chars=chars, tool_turn=True)

    assert judge(elsewhere).probabilities == judge(any_ask).probabilities


def test_a_proof_is_moved_up_one_tier_and_says_why():
    """Mathematics is medium; a proof is harder, and the reasons name both."""
    judgement = judge(ask("Prove that the square root of 2 is irrational."))

    assert judgement.tier == "complex"
    assert judgement.reasons[0] == "task: mathematics, short text → medium"
    assert judgement.reasons[1].endswith("moves it up one tier → complex")
    assert "harder: asks for a proof" in judgement.reasons


def test_a_joke_is_moved_down_one_tier():
    """Creative work is complex; a line or two of it is not."""
    judgement = judge(ask("Tell me a joke about programmers."))

    assert (judgement.task, judgement.tier) == ("creative", "medium")
    assert "lighter: a line or two is wanted" in judgement.reasons


def test_a_long_translation_is_medium():
    """A short text is simple to translate, a long one is not."""
    short = "Translate to French: The parcel arrives on Monday."
    long = short + " Please keep the receipt until the goods have been inspected." * 20

    assert judge(ask(short)).tier == "simple"
    assert judge(ask(long)).tier == "medium"


def test_a_failed_answer_moves_the_ask_up():
    """What the cheap model got wrong goes one tier higher."""
    question = "What is the capital of Australia?"

    assert judge(ask(question)).tier == "simple"
    assert judge(ask(question, failed_before=True)).tier == "medium"


@pytest.mark.parametrize(
    ("sign", "value"),
    [("images", 2), ("tools", 20), ("wants_schema", True), ("failed_before", True)],
)
def test_circumstances_place_an_ask_higher(sign, value):
    """Images, tools, a schema and an earlier failure each make the same ask harder."""
    plain = ask("Draft a reply to the customer in the screenshot.")

    assert need(judge(plain._replace(**{sign: value}))) > need(judge(plain))


def test_demands_place_an_ask_higher_step_by_step():
    """Each added requirement makes a plan harder, never easier."""
    plain = "Draft a report about our warehouse."
    demands = (
        " It must fit on one page.",
        " It must name the costs, without naming suppliers.",
        " Finally, justify every number and weigh the trade-offs.",
    )

    scores = [need(judge(ask(plain + "".join(demands[:count])))) for count in range(4)]

    assert scores == sorted(scores)
    assert scores[3] > scores[0]


def test_the_words_of_a_text_to_summarise_are_not_demands():
    """Material full of proofs and requirements stays a summary."""
    material = "The supplier must prove, step by step, that every clause was justified. " * 5

    judgement = judge(ask("Summarize the following text:\n\n" + material))

    assert (judgement.task, judgement.tier) == ("summarising", "medium")


@pytest.mark.parametrize("text", ["", " ", "\ud800", "\x00\x00", "?" * 4000, "א" * 4000, "。" * 50])
def test_odd_texts_are_judged(text):
    """Empty text, a lone surrogate, control characters, one character over and over."""
    assert judge(ask(text)).tier in TIERS


def test_the_features_are_kept_for_the_record_and_cannot_be_changed():
    """The decision record gets every measure as a number; nobody edits it afterwards."""
    features = judge(ask("Prove in 3 steps that 2 + 2 = 4. Is it true? Is it?")).features

    assert features["proof"] == 1
    assert features["questions"] == 2
    assert features["bytes"] == 51
    assert all(isinstance(value, int | float) for value in features.values())
    with pytest.raises(TypeError):
        features["questions"] = 0


WEIRD = (
    "\ud800",
    "\x00",
    "\u202e",
    "\U0010ffff",
    "ﷺ",
    "İ",
    "ß",
    "\u0301",
    "日",
    "한",
    "ก",
    "ع",
    "ह",
    "<system-reminder>",
    "</",
)


def test_ten_thousand_random_texts_are_judged():
    """Whatever the characters and the length, a judgement comes out that agrees with itself."""
    chance = random.Random(20_261_127)
    for _ in range(10_000):
        size = chance.choice((0, 1, 7, 60, 400))
        alphabet = [*WEIRD, *(chr(chance.randrange(0x110000)) for _ in range(12)), *"abc ABC 012 .,?\n\t{}="]
        found = judge(read_ask([{"role": "user", "content": "".join(chance.choices(alphabet, k=size))}]))

        assert found.tier in TIERS
        assert sum(found.probabilities) == pytest.approx(1)
        assert 0 <= found.score <= 1


def test_a_megabyte_of_every_kind_is_judged():
    """One word over and over, no word twice, one sign, and a long text of signs: nothing overflows."""
    for text in ("prove " * 200_000, " ".join(map(str, range(150_000))), "?" * 1_000_000, "证明" * 500_000):
        assert judge(read_ask([{"role": "user", "content": text}])).tier in TIERS
