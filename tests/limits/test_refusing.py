"""Limits in words: what a caller is told of why, and when to come back."""

import pytest

from proxy import refusing
from proxy.limits.guard import No, Reached
from proxy.limits.shares import Name, share

NS = 10**9
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
    assert "40.00%" in error.message


@pytest.mark.parametrize(
    ("wait_ns", "text"),
    [(0, b"0s"), (1, b"1s"), (60 * NS, b"1m0s"), (61 * NS, b"1m1s"), (86_399 * NS, b"23h59m59s")],
)
def test_waits_are_written_as_openai_does(wait_ns, text):
    """Whole seconds, never too short."""
    assert refusing.duration(wait_ns) == text
