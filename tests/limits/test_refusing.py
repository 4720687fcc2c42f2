"""Limits in words: what a caller is told of why, and when to come back."""

import pytest

from proxy import refusing
from proxy.limits.bundles import Bundle, Who
from proxy.limits.guard import No, Reached
from proxy.limits.shares import Name, Purse, Share
from proxy.limits.shares import share as share_of
from proxy.limits.windows import Room
from proxy.settings import Limits

NS = 10**9


def share(name: Name, limit: int) -> Share:
    """Return an empty share in a worker of its own."""
    return share_of(name, limit, Room())


DAILY = share(Name("key", "k", "cost", "day cost hard"), 1_000)


@pytest.mark.parametrize(
    ("need", "no", "should_retry", "after_s"),
    [
        (300, No(available=400, is_final=False, frees_ns=None), True, 1),
        (500, No(available=400, is_final=False, frees_ns=None), False, None),
        (500, No(available=400, is_final=True, frees_ns=90 * NS), False, 90),
    ],
    ids=["held", "held, and more than is unspent", "spent"],
)
def test_a_budget_says_whether_waiting_helps(need, no, should_retry, after_s):
    """Requests under way may give back what they hold; what is spent comes back with the next period."""
    error = refusing.refusal(Reached(DAILY, need, no, no.frees_ns), {"serve"}, 0)

    assert (error.status, error.should_retry, error.retry_after_s) == (402, should_retry, after_s)
    assert f"{need / 10:.2f}%" in error.message
    assert "40%" in error.message


@pytest.mark.parametrize(
    ("wait_ns", "text"),
    [(0, b"0s"), (1, b"1s"), (60 * NS, b"1m0s"), (61 * NS, b"1m1s"), (86_399 * NS, b"23h59m59s")],
)
def test_waits_are_written_as_openai_does(wait_ns, text):
    """Whole seconds, never too short."""
    assert refusing.duration(wait_ns) == text


def purse(kind: str, limit: int, left: int, per: str = "day cost hard") -> Share:
    """Return a budget of which the keeper said what is left."""
    found = share(Name(kind, "", "cost", per), limit)
    assert isinstance(found, Purse)
    found.asked(0)
    found.told(limit - left, 60 * NS)
    return found


def test_what_all_others_spend_is_nobodys_to_read():
    """Of the budgets of the deployment, a feature and a model no header tells, and no refusal says a figure."""
    others = [purse(kind, 10_000, 1) for kind in ("all", "feature", "model")]
    who = Who("k", None, 1, "acme", "open", None)

    assert not Bundle(others, others, who, Limits()).told_purses
    assert refusing.budget_headers(Bundle(others, others, who, Limits()), {"see-cost"}, 0) == []
    own = Bundle([*others, purse("customer", 10_000, 5_000)], [], who, Limits())
    assert len(own.told_purses) == 1
    assert refusing.budget_headers(own, {"serve"}, 0) == [
        (b"x-penstock-budget-remaining", b"0.50"), (b"x-penstock-budget-reset", b"1m0s"),
    ]  # fmt: skip
    for each in others:
        said = refusing.refusal(Reached(each, 300, No(200, is_final=True, frees_ns=None), None), {"see-cost"}, 0)
        assert not any(sign in said.message for sign in "$%0123456789")


@pytest.mark.parametrize("kind", ["all", "feature", "model", "plan"])
@pytest.mark.parametrize(("measure", "per"), [("requests", "minute"), ("tokens", "day"), ("open", "")])
def test_of_a_limit_that_others_use_too_nobody_hears_a_figure(kind, measure, per):
    """It is reached, and when to come back: neither how high it is, nor how much of it others use."""
    limit = share(Name(kind, "x", measure, per), 97)
    own = share(Name("key", "k", "requests", "minute"), 50)
    bundle = Bundle([limit, own], [], Who("k", None, 1, "acme", "open", None), Limits())

    reached = refusing.refusal(Reached(limit, 1, No(0, is_final=False, frees_ns=7 * NS), 7 * NS), {"see-cost"}, 0)
    beyond = refusing.refusal(Reached(limit, 98, No(0, is_final=False, frees_ns=None), None), {"see-cost"}, 0)

    assert (reached.retry_after_s, reached.headers) == (7, ())
    assert not any(digit in reached.message.replace("7 s", "") + beyond.message for digit in "0123456789")
    assert {value for name, value in refusing.headers(bundle, 0) if b"-limit-" in name} == {b"50"}


def test_the_budget_that_binds_is_told_of():
    """A hundred left of a thousand stop a caller before five hundred left of a million do: dollars, not parts."""
    own = Bundle([purse("key", 1_000, 100), purse("customer", 1_000_000, 500)], [],
                 Who("k", None, 1, "acme", "open", None), Limits())  # fmt: skip

    assert refusing.budget_headers(own, {"serve"}, 0)[0] == (b"x-penstock-budget-remaining", b"0.10")


def test_a_request_larger_than_its_budget_is_not_told_to_come_back():
    """When the period ends it fits no better."""
    error = refusing.refusal(Reached(DAILY, 1_001, No(0, is_final=True, frees_ns=90 * NS), 90 * NS), {"serve"}, 0)

    assert (error.should_retry, error.retry_after_s) == (False, None)
    assert "No wait helps" in error.message


def test_the_reset_header_says_what_the_refusal_says():
    """Others used the limit: this worker's own window is empty, and the keeper's wait stands in both places."""
    daily = share(Name("key", "k", "requests", "day"), 1_000)

    error = refusing.refusal(Reached(daily, 1, No(0, is_final=False, frees_ns=86_457 * NS), 86_457 * NS), {"serve"}, 0)

    assert error.retry_after_s == 86_457
    assert dict(error.headers)[b"x-ratelimit-reset-requests"] == refusing.duration(86_457 * NS)
