"""What is proven of answers by meaning, and how two answers are held against each other."""

import os
import random

import orjson
import pytest

from proxy.caching.semantic.alike import alike
from proxy.caching.semantic.proof import BANDS, CLASSES_MAX, Proof, band_of

TARGET, VERIFY = 0.05, 0.05


def completion(content, *, finish="stop", **message):
    """A chat completion."""
    choice = {"message": {"role": "assistant", "content": content} | message, "finish_reason": finish}
    return orjson.dumps({"choices": [choice]})


def called(name, arguments):
    """A completion that calls a tool."""
    calls = [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}]
    return completion(None, finish="tool_calls", tool_calls=calls)


LONG = "You can reset it in the settings. Open the page of your account, choose security, and follow the steps. " * 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (completion("It is 5 km."), completion("it is  5 km."), True),
        (completion("It is 5 km."), completion("It is 6 km."), False),
        (completion('{"a": 1, "b": [2]}'), completion('{"b":[2],"a":1}'), True),
        (completion('{"a": 1}'), completion('{"a": 2}'), False),
        (completion(LONG), completion(f"Sure. {LONG}"), True),
        (completion(LONG), completion(f"{LONG} It takes 5 days."), False),
        (completion(LONG), completion(LONG.replace("You can", "You cannot")), False),
        (completion(LONG), completion("A weir is a low dam across a river, which raises its level. " * 5), False),
        (called("f", '{"x": 1}'), called("f", '{ "x":1 }'), True),
        (called("f", '{"x": 1}'), called("f", '{"x": 2}'), False),
        (called("f", '{"x": 1}'), completion("f"), False),
        (completion("It is 5", finish="length"), completion("It is 5 km."), None),
        (completion("x" * 9_000), completion("x"), None),
        (b"{", completion("x"), None),
        (b'{"choices": []}', completion("x"), None),
    ],
)
def test_answers_are_held_against_each_other(one, other, same):
    """Doubt is an error; what is no whole answer tells nothing; whichever was first."""
    assert alike(one, other) is same
    assert alike(other, one) is same


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.05, 0.1, 0.3])
def test_what_is_served_is_wrong_no_more_often_than_the_target(rate):
    """Over many classes of one error rate, looked at after each sample: far below it most serve, above it few."""
    seed = int(os.environ.get("PENSTOCK_SEED", random.SystemRandom().randrange(10**9)))
    print(f"PENSTOCK_SEED={seed}")
    rng, proof = random.Random(seed), Proof()
    asked = served = wrong = 0

    for number in range(100):
        of = b"%d" % number
        for _ in range(300):
            is_right, asked = rng.random() >= rate, asked + 1
            if proof.stand(of, 0, TARGET).proven and rng.random() >= VERIFY:
                served, wrong = served + 1, wrong + (not is_right)
            else:
                proof.note(of, rng.randrange(BANDS), is_right=is_right)

    assert wrong <= TARGET * asked
    if rate == 0:
        assert served == pytest.approx(100 * (300 - 59) * (1 - VERIFY), rel=0.02)  # 0.95^59 is below 5 %
    if rate >= 2 * TARGET:
        assert served < 0.1 * asked


def test_a_further_band_is_proven_by_nearer_samples_too_and_not_the_other_way():
    """What is nearer is right more often: errors far away do not close what is near."""
    proof = Proof()
    for _ in range(60):
        proof.note(b"class", BANDS - 1, is_right=True)
        proof.note(b"class", 0, is_right=False)

    assert proof.stand(b"class", BANDS - 1, TARGET) == (60, 0, True)
    assert proof.stand(b"class", 0, TARGET) == (120, 60, False)
    assert proof.stand(b"other", 0, TARGET) == (0, 0, False)
    assert [band_of(score, 0.5) for score in (0.5, 0.62, 0.63, 0.99, 1.0)] == [0, 0, 1, 3, 3]


def test_classes_are_bounded_and_old_samples_fade():
    """The class used longest ago goes; a band that has seen a thousand counts them half."""
    proof = Proof()
    for number in range(CLASSES_MAX + 5):
        proof.note(b"%d" % number, 0, is_right=True)
    for _ in range(1_001):
        proof.note(b"much", 0, is_right=False)

    assert len(proof) == CLASSES_MAX
    assert proof.stand(b"0", 0, TARGET).samples == 0
    assert proof.stand(b"much", 0, TARGET)[:2] == (501, 501)
