"""How often the judge is right on prompts people write every day.

Each line of `everyday.jsonl` has a prompt, the task, and the tiers a person would accept, the expected one first. A
third, chosen by a hash of the text, is kept from training; the figures are of that third. Those that were written when
the judge was done have figures of their own.
"""

import pytest

from classifiers import TASKS, TIERS, Judgement, judge, read_ask
from training.rows import everyday

EVERYDAY = [each for each in everyday() if not each.is_late]
LATE = [each for each in everyday() if each.is_late]
KEPT = [each for each in EVERYDAY if each.is_kept]
COMPLEX = [each for each in EVERYDAY if each.tiers[0] == "complex"]


def judged(prompt: str) -> Judgement:
    """The judgement of a request with nothing but this prompt."""
    return judge(read_ask([{"role": "user", "content": prompt}]))


def test_the_set_is_large_and_well_formed():
    """Several hundred prompts, a third of them kept, every task but `other`, closed names only, no prompt twice."""
    assert len(EVERYDAY) >= 600
    assert 0.25 <= len(KEPT) / len(EVERYDAY) <= 0.4
    assert len({each.text for each in EVERYDAY}) == len(EVERYDAY)
    assert {each.task for each in EVERYDAY} == {each.task for each in KEPT} == set(TASKS) - {"other"}
    assert all(set(each.tiers) <= set(TIERS) for each in EVERYDAY)


def test_most_kept_prompts_get_the_expected_tier():
    """At least 85 % get exactly the first of their tiers, and 93 % one that a person would accept."""
    found = [judged(each.text).tier for each in KEPT]

    assert sum(tier == each.tiers[0] for tier, each in zip(found, KEPT, strict=True)) / len(KEPT) >= 0.85
    assert sum(tier in each.tiers for tier, each in zip(found, KEPT, strict=True)) / len(KEPT) >= 0.93


def test_hard_asks_are_not_sent_to_the_simple_tier():
    """At most 2 % of the complex prompts are judged simple: the expensive mistake."""
    lost = [each.text for each in COMPLEX if judged(each.text).tier == "simple"]

    assert len(lost) / len(COMPLEX) <= 0.02, lost


def test_prompts_written_last_are_judged_a_little_worse():
    """Nobody had seen them: 80 % exact at least, and of 70 complex ones at most two are judged simple."""
    found = [judged(each.text).tier for each in LATE]
    hard = [tier for tier, each in zip(found, LATE, strict=True) if each.tiers[0] == "complex"]

    assert len({each.lang for each in LATE}) == 15
    assert sum(tier == each.tiers[0] for tier, each in zip(found, LATE, strict=True)) / len(LATE) >= 0.8
    assert (len(hard), hard.count("simple") <= 2) == (70, True)


def test_an_easy_task_that_may_be_a_hard_one_goes_up():
    """A riddle that reads like a question of fact is medium, and the reason says what it may be instead."""
    found = judged(
        "Five people finish a race: Kim before Lee, Mo after Lee but before Ned, Ola last but one. Give the order."
    )

    assert found.tier != "simple"
    assert any("it may be reasoning" in reason for reason in found.reasons)


def test_most_tasks_are_recognised():
    """At least 85 % of the kept prompts get the task a person would name."""
    right = [judged(each.text).task == each.task for each in KEPT]

    assert sum(right) / len(right) >= 0.85


@pytest.mark.parametrize(
    "prompt",
    [
        "Translate to German: good morning, how are you?",
        "Übersetze ins Englische: guten Morgen, wie geht es dir?",
        "Traduis en anglais : bonjour, comment vas-tu ?",
        "Traduce al inglés: buenos días, ¿cómo estás?",
        "Traduci in inglese: buongiorno, come stai?",
        "Traduza para o inglês: bom dia, como vai?",
    ],
)
def test_translating_a_short_text_is_simple_in_every_language(prompt):
    """The brief's own example, in six languages."""
    judgement = judged(prompt)

    assert (judgement.task, judgement.tier) == ("translation", "simple")
    assert judgement.reasons[0] == "task: translation, short text → simple"
