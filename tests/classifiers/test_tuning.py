"""Cut points solved from a target: what they promise, and what is done when labels cannot prove it."""

import random

import pytest

from classifiers import TASKS, TIERS, judge, read_ask
from classifiers.cuts import Cuts
from classifiers.difficulty import LEVEL
from classifiers.judging import judge_with
from classifiers.labels import Label, LabelError, label_of, read, shipped
from classifiers.table import shipped as weights
from classifiers.tuning import ALL_UP, Target, kept, solve

PRICES = (1.0, 3.0, 10.0)


def labels(count: int, seed: int = 1) -> list[Label]:
    """Asks of which the higher the score, the stronger the model they need; one in ten needs more than it looks."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        score = chance.random()
        need = score if chance.random() < 0.9 else chance.random()
        outcomes = (float(need < 0.4), float(need < 0.7), 1.0)
        found.append(Label(score, "other" if need > 0.5 else "analysis", None, outcomes))
    return found


def test_the_cheapest_cut_points_that_keep_the_quality_are_found():
    """On 4,000 labels 95 % is kept by the lower bound, for less than by chance; seen again on new labels."""
    found, new = labels(4_000), labels(4_000, seed=2)

    solution = solve(found, Target(quality=0.95), PRICES)
    chosen = [TIERS.index(solution.cuts.tier(each.score, each.task)) for each in new]

    assert solution.why_up is None
    assert solution.kept.low >= 0.95
    assert solution.kept.quality > solution.others["random"].quality + 0.02
    assert solution.others["oracle"].quality == 1
    assert kept(new, chosen, PRICES).quality >= 0.94
    assert solution.unseen.quality == pytest.approx(solution.kept.quality, abs=0.02)


def test_a_share_is_used_and_not_exceeded():
    """Complex serves as much as it may by the upper bound, and no more."""
    solution = solve(labels(4_000), Target(share=0.3), PRICES)

    assert solution.why_up is None
    assert 0.25 <= solution.kept.shares[2] <= 0.3


@pytest.mark.parametrize(
    ("count", "target", "why"),
    [
        (99, Target(quality=0.5), "99 labels are too few"),
        (0, Target(share=0.5), "0 labels are too few"),
        (2_000, Target(quality=1.0), "no cut points can promise it"),
        (100, Target(quality=0.99), "no cut points can promise it"),
    ],
)
def test_what_labels_cannot_prove_goes_up(count, target, why):
    """Too few of them, or a promise that nothing keeps: everything goes up a tier, and it is said why."""
    solution = solve(labels(count), target, PRICES)

    assert solution.cuts == ALL_UP
    assert why in solution.why_up


def test_a_hundred_flawless_answers_prove_no_perfection():
    """Without a single failure among 100, up to 2.6 % may still fail (Wilson, one-sided 95 %)."""
    flawless = [Label(0.1, "faq", None, (1.0, 1.0, 1.0))] * 100

    assert solve(flawless, Target(quality=0.97), PRICES).cuts.tier(0.1, "faq") == "simple"
    assert solve(flawless, Target(quality=0.99), PRICES).why_up is not None


def test_weights_and_propensities_count():
    """A row of weight two counts as two rows, one that was served by a chance of a half as well."""
    twice = label_of({"score": 0.5, "task": "faq", "tier": "simple", "weight": 2})
    rare = label_of({"score": 0.5, "task": "faq", "tier": "medium", "propensity": 0.5})

    assert (twice.weight, rare.weight) == (2, 2)
    assert kept([twice, rare], [0, 0], PRICES).quality == pytest.approx((2 * 1 + 2 * 0) / 4)
    assert kept([twice, rare], [0, 1], PRICES).saved == pytest.approx(1 - (1 / 2 * 1 + 1 / 2 * 3) / 10)


@pytest.mark.parametrize(
    ("said", "outcomes"),
    [
        ({"tier": "medium"}, (0, 1, 1)),
        ({"good": True, "served": "simple"}, (1, 1, 1)),
        ({"good": False, "served": "simple"}, (0, 1, 1)),
        ({"good": True, "served": "complex"}, (0, 0, 1)),
        ({"good": False, "served": "complex"}, (0, 0, 0)),
        ({"cheap": 0.2, "mid": 0.5, "strong": 0.9}, (0.2, 0.5, 0.9)),
        ({"cheap": 0.2, "strong": 0.9}, (0.2, 0.2, 0.9)),
    ],
)
def test_what_nobody_saw_is_taken_for_the_worse(said, outcomes):
    """A lower tier that was not tried failed; a stronger one than the one that failed would have done."""
    assert label_of({"score": 0.5, "task": "faq", **said}).outcomes == outcomes


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2 "),
        ("[]", "line 2 is no object"),
        ('{"tier": "simple"}', 'needs "prompt"'),
        ('{"prompt": "hi"}', "says neither"),
        ('{"prompt": "hi", "tier": "hard"}', 'no "tier" of'),
        ('{"prompt": "hi", "good": 1, "served": "simple"}', "true or false"),
        ('{"score": 2, "task": "faq", "tier": "simple"}', 'no "score" from 0 to 1'),
        ('{"score": 0.2, "task": "cooking", "tier": "simple"}', 'no "task" of'),
    ],
)
def test_a_line_that_is_no_label_is_named(line, why):
    """The message says which line, and what is wrong with it."""
    with pytest.raises(LabelError, match="line 2 ") as raised:
        list(read([b'{"prompt": "What is the capital of Peru?", "tier": "simple"}', line.encode()], weights()))

    assert why in str(raised.value)


def test_the_shipped_labels_are_those_of_the_shipped_weights():
    """Thousands of outcomes and the kept everyday prompts, each source as much as another."""
    found = shipped()

    assert len(found) > 15_000
    assert sum(each.weight for each in found) == pytest.approx(4)
    assert {each.task for each in found} <= set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_cut_points_move_a_task_by_one_tier_at_most(task):
    """The tier rises with the score, within one of the task's own; what was not recognised is medium at least."""
    found = [TIERS.index(Cuts(0.3, 0.6).tier(score / 100, task)) for score in range(101)]

    assert found == sorted(found)
    assert all(abs(tier - LEVEL[task]) <= 1 for tier in found)
    assert task != "other" or min(found) == 1


def test_a_judgement_by_cut_points_says_so():
    """The tier is the score's, the reason names both, and all else stays."""
    ask = read_ask([{"role": "user", "content": "What is the capital of Peru?"}])
    plain = judge(ask)

    found = judge_with(weights(), ask, Cuts(plain.score / 2, 1.0))

    assert (plain.tier, found.tier) == ("simple", "medium")
    assert found.reasons[1].startswith(f"the score {plain.score:.3f} is between the cut points")
    assert found.confidence == plain.probabilities[1]
    assert (found.score, found.probabilities, found.task) == (plain.score, plain.probabilities, plain.task)
