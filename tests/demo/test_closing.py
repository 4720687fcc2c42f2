"""The sentences after the table: they follow the figures, also where those are no success."""

from dataclasses import replace

from proxy.cli.demo.closing import Closing, sentences, simple_share
from proxy.cli.demo.gauges import TierShare
from tests.demo.test_screen import USD, figures

SOUND = {"ok": True, "transactions": 1_234, "violations": []}
AGREES = {"ok": True, "billed_nusd": 4.0 * USD, "booked_nusd": 4 * USD, "lines": []}
CLOSING = Closing(figures(), 0, SOUND, AGREES, "gpt-6-luna", "gpt-6-astra")


def test_routing_is_told_with_its_baseline() -> None:
    """60 of 100 requests were cheap; 4 dollars spent and 4 saved would have been 8."""
    found = next(sentences(CLOSING))

    assert found == (
        "60% of the requests went to the cheapest tier (gpt-6-luna). The same tokens would have cost $8.00 at "
        "gpt-6-astra: routing saved $4.00 of that, 50%."
    )


def test_who_loses_money_is_named() -> None:
    """A paying customer that costs more than it brings in is a loss; one that pays nothing has no margin."""
    text = " ".join(sentences(CLOSING))

    assert "globex loses money: $3.00 of cost, $1.00 of revenue on the plan pro." in text
    assert "tourist pays nothing" in text
    assert "hooli" not in text


def test_sound_books_are_said_to_be_sound() -> None:
    """Both checks passed: one sentence."""
    *_, last = sentences(CLOSING)

    assert last == (
        "The books are sound (1,234 transactions, each sums to zero) and agree with the provider's own invoice of "
        "$4.00, call by call."
    )


def test_failed_checks_are_said_as_plainly() -> None:
    """What is wrong is named, not hidden."""
    broken = {"ok": False, "transactions": 5, "violations": ["a transaction does not sum to zero"]}
    differs = AGREES | {"ok": False, "lines": [{"model": "gpt-6-luna", "reason": "billed, not booked", "calls": 2}]}
    *_, last = sentences(replace(CLOSING, ledger=broken, reconciliation=differs))

    assert "NOT sound: a transaction does not sum to zero" in last
    assert "NOT agree with the provider's invoice of $4.00: gpt-6-luna: billed, not booked, 2 calls" in last


def test_older_requests_are_not_passed_off_as_the_demos() -> None:
    """In a folder that was in use before, the table counts what was there; the last sentence says how much."""
    *_, last = sentences(replace(CLOSING, before=1_500))

    assert last == "1,500 of the requests were in these books before the demo began."


def test_a_demo_without_requests_says_so() -> None:
    """Nothing is divided by zero, and no share is made up."""
    none = replace(CLOSING, figures=replace(CLOSING.figures, tiers=dict.fromkeys(figures().tiers, TierShare(0, 0))))

    assert simple_share(none.figures) is None
    assert next(sentences(none)) == "No request was sent."
