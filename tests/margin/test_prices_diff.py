"""Comparing books: what differs, by how much, what one side does not name, and what changes later."""

from datetime import date
from fractions import Fraction
from pathlib import Path

from margin.costbook import load
from margin.costbooks import sources
from margin.costbooks.differing import Side, compare
from margin.costbooks.reading import book_of
from margin.costbooks.showing import shown
from margin.costbooks.writing import document

FIXTURES = Path(__file__).with_name("fixtures")
TODAY = date(2026, 11, 20)


def side(name, *prices, dated=True, **more):
    """Return a book of one model with these prices."""
    model = {"provider": "p", "model": "m", **more, "prices": list(prices)}
    return Side(name, book_of(document(name, name, [model]), name), dated)


def always(**rates):
    """Return a price that always held."""
    return {"from": None, **rates}


def test_each_place_that_differs_has_both_prices_and_their_ratio():
    """What is alike is not listed."""
    one, other = side("a", always(input="0.70", output="2")), side("b", always(input="0.68", output="2"))

    (found,) = compare([one, other], TODAY).differences

    assert (found.provider, found.model, str(found.cell.place)) == ("p", "m", "input")
    assert [str(rate) for rate in found.cell.rates] == ["0.70", "0.68"]
    assert found.cell.ratio == Fraction(70, 68)
    assert found.is_large


def test_one_per_cent_is_no_alarm():
    """2.10 is 0.48 % more than 2.09; 1.01 is exactly 1 % more than 1, and 1.011 is more than that."""

    def is_large(low, high):
        (found,) = compare([side("a", always(input=low)), side("b", always(input=high))], TODAY).differences
        return found.is_large

    assert not is_large("2.09", "2.10")
    assert not is_large("1", "1.01")
    assert is_large("1", "1.011")
    assert is_large("0", "0.01")


def test_a_price_for_nothing_has_no_ratio():
    """A free price and any other are apart, by no number."""
    (found,) = compare([side("a", always(input="0")), side("b", always(input="1"))], TODAY).differences

    assert found.cell.ratio is None


def test_what_a_side_does_not_name_stands_apart():
    """A fallback is no price: it is listed as missing, once a service tier, not as a difference."""
    tiers = {"batch": {"input": "1", "output": "4"}}
    one = side("a", always(input="2", output="8", cache_read="0.2", service_tiers=tiers))
    other = side("b", always(input="2", output="8"))

    found = compare([one, other], TODAY)

    assert not found.differences
    assert [(each.side, each.what) for each in found.unlisted] == [("b", "cache_read"), ("b", "batch")]


def test_a_context_tier_that_only_one_side_has_is_a_difference():
    """The other side bills long requests at its only price."""
    one = side("a", always(input="2", tiers=[{"above": 200_000, "input": "4"}]))

    (found,) = compare([one, side("b", always(input="2"))], TODAY).differences

    assert str(found.cell.place) == "input above 200,000"
    assert [int(rate) for rate in found.cell.rates] == [4, 2]


def test_hours_are_compared_by_the_second_of_the_week():
    """Peak against off-peak with weekends: only the peak hours of the weekend differ."""
    peak = {"utc": "01:00-04:00, 06:00-10:00", "input": "2"}
    rest = {"utc": "00:00-01:00, 04:00-06:00, 10:00-24:00", "days": "mon-fri", "input": "1"}
    weekend = {"utc": "00:00-24:00", "days": "sat-sun", "input": "1"}

    found = compare(
        [side("a", always(input="1", hours=[peak])), side("b", always(input="2", hours=[rest, weekend]))], TODAY
    )

    assert [str(each.cell.place) for each in found.differences] == ["input, 01:00-04:00, 06:00-10:00 sat-sun"]


def test_changes_ahead_are_told_by_those_who_know_dates():
    """A source that knows none says nothing about them."""
    dated = [always(input="2"), {"from": "2026-12-01", "input": "4"}]
    three = [side("a", *dated), side("b", always(input="2")), side("c", always(input="2"), dated=False)]

    found = compare(three, TODAY)

    assert not found.differences
    (ahead,) = found.ahead
    assert (ahead.day, str(ahead.place), ahead.rates) == (date(2026, 12, 1), "input", ((2, 4), None, None))
    assert len(compare(three, date(2026, 12, 1)).differences) == 1


def test_a_snapshot_that_a_source_prices_apart_is_a_row_of_its_own():
    """An alias of ours may be another model there, and cost something else."""
    ours = side("a", always(input="2"), aliases=["m-2024", "m-2025"])
    models = [
        {"provider": "p", "model": name, "prices": [always(input=rate)]}
        for name, rate in (("m", "2"), ("m-2024", "5"), ("m-2025", "2"))
    ]
    theirs = Side("b", book_of(document("b", "b", models), "b"))

    (found,) = compare([ours, theirs], TODAY).differences

    assert found.model == "m-2024"


def test_the_two_sources_disagree_where_they_are_known_to():
    """Mistral Large 4 and DeepSeek's weekends; the GPT-6 family agrees, tiers and all."""
    genai = sources.of_file(FIXTURES / "genai_prices.json", TODAY)
    litellm = sources.of_file(FIXTURES / "litellm.json", TODAY)

    found = compare([Side("genai-prices", genai.book), Side("litellm", litellm.book, dated=False)], TODAY)
    models = {each.model for each in found.differences}
    mistral = {str(each.cell.place): each for each in found.differences if each.model == "mistral-large-4"}

    assert models == {"mistral-large-4", "deepseek-v4-flash"}
    assert mistral["input"].cell.ratio == Fraction(70, 68)
    assert not mistral["output"].is_large
    assert {each.model for each in found.ahead} == {"gemini-3.8-flash", "gemini-4-argon"}


def test_a_shown_price_says_since_when_and_until_when():
    """Gemini 4 Argon costs 2/10 until the end of November: 1,000 in and 500 out cost 7 thousandths of a dollar."""
    found = shown(load().entry("gemini-4-argon", "google"), date(2026, 11, 30))
    first = found.rows[0]

    assert (found.since, found.until) == (None, date(2026, 12, 1))
    assert first.example_nusd == 1_000 * 2_000 + 500 * 10_000
    assert {row.service_tier for row in found.rows} == {"standard", "batch", "flex", "priority"}


def test_hours_and_context_tiers_are_shown():
    """Each with the card that is recorded, and no example where the request would have to be larger."""
    book = load()
    deepseek = shown(book.entry("deepseek-v4-flash", "deepseek"), TODAY)
    haiku = shown(book.entry("claude-haiku-5-5", "anthropic"), TODAY)

    assert [row.hours for row in deepseek.rows] == ["", "01:00-04:00, 06:00-10:00"]
    assert deepseek.rows[1].example_nusd == 1_000 * 300 + 500 * 1_200
    assert [(row.above, row.example_nusd is None) for row in haiku.rows[:2]] == [(0, False), (100_000, True)]
    assert haiku.rows[0].card == haiku.rows[1].card
