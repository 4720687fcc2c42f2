"""Our books against a provider's invoice, call by call: they agree exactly, or the report says where not."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.money import round_half_even
from margin.reconcile import NUSD_PER_USD, Billed, Booked, reconcile

TOKENS = [(1_234, 56), (98_765, 4_321), (7, 1), (50_000, 900), (3, 3)]
PRICES = (Fraction(3, 10**6), Fraction(15, 10**6))
"""USD per input and per output token."""


def bills(prices=PRICES, tokens=TOKENS):
    """Return the provider's exact account."""
    return [
        Billed(f"call{n}", "m1", Fraction(ins) * prices[0] + Fraction(outs) * prices[1])
        for n, (ins, outs) in enumerate(tokens)
    ]


def lines(prices=PRICES, tokens=TOKENS):
    """Return our cost lines for the same calls, rounded once each."""
    return [
        Booked(bill.call_id, "acme-ai", bill.model, "model", nusd(bill.amount_usd)) for bill in bills(prices, tokens)
    ]


def nusd(amount_usd):
    """Round dollars to nano-dollars."""
    exact = amount_usd * NUSD_PER_USD
    return round_half_even(exact.numerator, exact.denominator)


def reasons(result):
    """Return the differences as {reason: calls}."""
    return {each.reason: each.calls for each in result.differences}


def test_the_same_calls_at_the_same_prices_agree():
    """Every billed dollar is explained by a cost line."""
    result = reconcile(lines(), bills())

    assert result.agrees
    assert result.explained_share == 1
    assert result.difference_nusd == 0
    assert result.rounding_bound_nusd == Fraction(5, 2)
    assert result.differences == ()


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5)), max_size=30),
    st.fractions(min_value=0, max_value=Fraction(1, 10**4), max_denominator=10**13),
    st.fractions(min_value=0, max_value=Fraction(1, 10**3), max_denominator=10**13),
)
def test_rounding_alone_never_disagrees(tokens, price_in, price_out):
    """Whatever the prices, half a nano-dollar per call is all that honest books can differ by."""
    prices = (price_in, price_out)

    result = reconcile(lines(prices, tokens), bills(prices, tokens))

    assert result.agrees
    assert result.explained_share == (1 if result.billed_nusd else None)
    assert abs(result.difference_nusd) <= result.rounding_bound_nusd


@pytest.mark.parametrize("side", ["booked", "billed"])
@pytest.mark.parametrize("factor", [Fraction(101, 100), Fraction(99, 100)])
def test_a_price_that_is_off_by_one_percent_does_not_agree(side, factor):
    """Too dear or too cheap, in our books or on the invoice: no dollar of those calls is explained."""
    off = (PRICES[0] * factor, PRICES[1] * factor)

    result = reconcile(lines(off if side == "booked" else PRICES), bills(off if side == "billed" else PRICES))

    assert not result.agrees
    assert reasons(result) == {"amounts differ": 5}
    assert result.explained_share == 0


@given(st.integers(50, 10**12), st.sampled_from([Fraction(1, 100), Fraction(-1, 100)]), st.booleans())
def test_one_percent_on_one_call_is_found_from_a_hundred_nano_dollars_on(amount, error, ours):
    """Below that, one percent is less than the rounding of one posting."""
    honest = Fraction(max(amount, 101), NUSD_PER_USD)
    wrong = honest * (1 + error)
    booked, billed = (wrong, honest) if ours else (honest, wrong)

    result = reconcile([Booked("c", "p", "m", "model", nusd(booked))], [Billed("c", "m", billed)])

    assert not result.agrees


def test_two_errors_that_cancel_do_not_agree():
    """One call too dear and another too cheap by the same amount: the total is right and the books are not."""
    ours = lines()
    ours[0] = replace(ours[0], cost_nusd=ours[0].cost_nusd + 1000)
    ours[1] = replace(ours[1], cost_nusd=ours[1].cost_nusd - 1000)

    result = reconcile(ours, bills())

    assert result.difference_nusd == 0
    assert not result.agrees


def test_a_call_that_we_lost_is_named():
    """Billed and not booked: its dollars are the ones that nothing explains."""
    result = reconcile(lines()[1:], bills())

    assert not result.agrees
    assert reasons(result) == {"billed, not booked": 1}
    total = sum(bill.amount_usd for bill in bills())
    assert result.explained_share == (total - bills()[0].amount_usd) / total
    assert result.differences[0].billed_nusd == bills()[0].amount_usd * NUSD_PER_USD


def test_a_call_that_nobody_billed_is_named():
    """Booked and not billed: every billed dollar is explained, and still the books do not agree."""
    result = reconcile(lines(), bills()[1:])

    assert not result.agrees
    assert reasons(result) == {"booked, not billed": 1}
    assert result.explained_share == 1
    assert result.difference_nusd == lines()[0].cost_nusd


@pytest.mark.parametrize(("ours", "theirs", "reason"), [(2, 1, "booked twice"), (1, 2, "billed twice")])
def test_a_call_counts_once_on_each_side(ours, theirs, reason):
    """However small the call, a second line under its name is a difference."""
    small = [Booked("c", "p", "m", "model", 1)], [Billed("c", "m", Fraction(1, NUSD_PER_USD))]

    result = reconcile(small[0] * ours, small[1] * theirs)

    assert not result.agrees
    assert reasons(result) == {reason: 1}
    assert result.explained_share == Fraction(1, theirs)
    assert result.difference_nusd == ours - theirs


def test_an_estimate_is_named_until_the_bill_is_known():
    """A call whose answer we never saw has no name of the provider's: our estimate and its bill stand apart."""
    ours = [*lines()[1:], Booked("", "acme-ai", "m1", "estimated", 4_000_000)]

    result = reconcile(ours, bills())

    assert not result.agrees
    assert reasons(result) == {"estimated, not billed under a name we know": 1, "billed, not booked": 1}


def test_an_estimate_that_is_off_is_no_wrong_price():
    """A cut stream is booked by estimate: the difference is called that."""
    ours = [replace(lines()[0], kind="estimated", cost_nusd=lines()[0].cost_nusd + 9), *lines()[1:]]

    assert reasons(reconcile(ours, bills())) == {"estimate differs from the bill": 1}


def test_an_estimate_that_is_right_explains_its_bill():
    """Then nothing is left to say."""
    ours = [replace(lines()[0], kind="estimated"), *lines()[1:]]

    assert reconcile(ours, bills()).agrees


def test_an_unknown_cost_explains_nothing():
    """It is neither zero nor right: the bill shows what it was."""
    ours = [replace(lines()[0], cost_nusd=None), *lines()[1:]]

    result = reconcile(ours, bills())

    assert reasons(result) == {"cost unknown": 1}
    assert result.differences[0].billed_nusd == bills()[0].amount_usd * NUSD_PER_USD


def test_attempts_that_cost_nothing_are_not_looked_for():
    """A refused attempt was never billed; a free model's bill of nothing is explained by our nothing."""
    ours = [*lines(), Booked("", "acme-ai", "m1", "failed", 0), Booked("free", "house", "m2", "model", 0)]

    result = reconcile(ours, [*bills(), Billed("free", "m2", Fraction(0))])

    assert result.agrees
    assert result.rounding_bound_nusd == Fraction(5, 2)


def test_a_bill_for_what_we_booked_as_free_is_a_wrong_price():
    """We said it costs nothing; the provider says otherwise."""
    result = reconcile([Booked("c", "p", "m", "model", 0)], [Billed("c", "m", Fraction(1, 1000))])

    assert reasons(result) == {"amounts differ": 1}


def test_a_bill_without_a_name_matches_no_line_without_one():
    """Two unknowns are not the same call."""
    result = reconcile([Booked("", "p", "m", "failed", 5)], [Billed("", "m", Fraction(5, NUSD_PER_USD))])

    assert reasons(result) == {"billed, not named": 1, "estimated, not billed under a name we know": 1}
    assert result.explained_share == 0


def test_differences_are_summed_by_model_and_reason():
    """The report is as long as there are reasons, not calls."""
    ours = [
        replace(line, model="m2") if line.call_id == "call1" else line for line in lines((PRICES[0] * 2, Fraction(0)))
    ]

    result = reconcile(ours, bills())

    assert [(each.model, each.reason, each.calls) for each in result.differences] == [
        ("m1", "amounts differ", 4), ("m2", "amounts differ", 1),
    ]  # fmt: skip


def test_nothing_billed_and_nothing_booked_agree():
    """Of nothing, no share is known; the books agree."""
    result = reconcile([], [])

    assert result.agrees
    assert result.explained_share is None
