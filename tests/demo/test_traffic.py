"""The demo's traffic: the same for a seed, lively, and of every kind that it promises."""

from collections import Counter
from itertools import pairwise

import pytest

from simulator.prompts import PROMPTS
from simulator.traffic import CUSTOMERS, first


def test_a_seed_decides_every_request() -> None:
    """The same seed gives the same requests; another seed others."""
    once, again, other = first(7, 20), first(7, 20), first(8, 20)

    assert once == again
    assert [each.at_s for each in once] != [each.at_s for each in other]


def test_requests_come_in_the_order_of_their_times() -> None:
    """Nobody has to sort what is sent as it comes, and a longer look begins like a shorter one."""
    found = first(3, 30)

    assert all(before.at_s <= after.at_s for before, after in pairwise(found))
    assert first(3, 10) == [each for each in found if each.at_s < 10]


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_rate_is_lively_and_realistic(seed: int) -> None:
    """Five to fifteen requests a second on average, and half as many again in the busiest second."""
    found = first(seed, 60)
    busiest = max(Counter(int(each.at_s) for each in found).values())

    assert 5 * 60 < len(found) < 15 * 60
    assert busiest >= 1.5 * len(found) / 60


def test_every_customer_and_every_kind_of_work_takes_part() -> None:
    """Ten minutes show all customers, all kinds, plain and streamed answers, tools and JSON schemas."""
    found = first(1, 600)

    assert {each.customer for each in found} == {each.name for each in CUSTOMERS}
    assert {each.kind for each in found} == set(PROMPTS)
    assert {each.body["stream"] for each in found} == {True, False}
    assert any("tools" in each.body for each in found)
    assert any("response_format" in each.body for each in found)


def test_no_slot_of_a_template_stays_open() -> None:
    """What is sent is text that a person could have written."""
    texts = [each.body["messages"][0]["content"] for each in first(1, 120)]

    assert not [text for text in texts if "{" in text]


def test_the_customer_who_bought_little_runs_out_within_half_a_minute() -> None:
    """Forty credits at one credit or more a request are gone before 41 requests, which come within half a minute."""
    (poor,) = [each for each in CUSTOMERS if each.name == "vandelay"]
    asked = [each for each in first(1, 30) if each.customer == poor.name]

    assert len(asked) > poor.credits
