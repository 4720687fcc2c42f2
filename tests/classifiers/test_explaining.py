"""A judgement taken apart: the parts add up to what was judged."""

import pytest

from classifiers import judge, read_ask
from classifiers.explaining import explain
from classifiers.reading import read_text
from classifiers.table import FIELDS, ONE, UNIT, add_up, shipped


def ask(text):
    """The ask of a request with this text."""
    return read_ask([{"role": "user", "content": text}])


@pytest.mark.parametrize(
    "text",
    ["Prove that the square root of 2 is irrational.", "Übersetze ins Englische: guten Morgen", "请总结以下会议记录"],
)
def test_the_parts_add_up_to_the_judgement(text):
    """All words, pairs, openings and counts together, and what every text starts with, are what the weights say."""
    table, asked = shipped(), ask(text)
    task = judge(asked).task
    fields = add_up(table, read_text(asked.text)).fields
    strong, cheap = (fields[FIELDS.index(name)] / ONE for name in ("strong_better", "cheap_enough"))

    parts = explain(table, asked, task).parts

    # Parts below half a hundredth are left out, and the sum is made in fixed point.
    assert sum(part.stronger for part in parts) == pytest.approx(strong - table.cheap_share * cheap, abs=0.15)
    start = table.start >> (32 * FIELDS.index(task)) & 0xFFFFFFFF
    start = (start - (1 << 32) if start >> 31 else start) / UNIT
    assert sum(part.task for part in parts) + start == pytest.approx(fields[FIELDS.index(task)] / ONE, abs=0.2)


def test_what_weighs_most_stands_first():
    """A proof is mathematics by its first word."""
    found = explain(shipped(), ask("Prove that 3 is prime."), "mathematics")

    assert (found.parts[0].key, found.parts[0].kind) == ("prove", "word")
    assert {"cheap_enough", "mid_better", "mid_enough", "strong_better"} == set(found.heads)
    assert all(0 < chance < 1 for chance in found.heads.values())


def test_signals_are_what_stands_beside_the_text():
    """Only those that are there are named."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is this?"}]

    assert explain(shipped(), read_ask(messages, tools=2), "faq").signals == {
        "characters": 13,
        "characters of system prompt": 9,
        "tools": 2,
    }
