"""Quantities, seats and items of a sell book: read as they are written, and refused by line where they contradict."""

from decimal import Decimal

import pytest

from margin.money import NUSD_PER_USD
from proxy.settings import SettingsError, plans

BOOK = """\
default: sold
plans:
  sold:
    fee: {amount: 99}
    usage:
      calls: {included: 10000, price: 0.05}
      compute_minutes: {price: 0.6}
    seats: {price: 30, included: 100}
    items:
      report:
        minimum: 50
        tiers: [{up_to: 500, price: 0.99}, {price: 0.79}]
"""


def read(tmp_path, text):
    """Read a sell book."""
    path = tmp_path / "plans.yaml"
    path.write_text(text)
    return plans.read(path, {})


def test_it_is_read_as_it_is_written(tmp_path):
    """What each comes to: 12,500 calls, half a minute, 501 reports, a seat."""
    found = read(tmp_path, BOOK).book.plan()

    assert found.usage["calls"].tiers.total_nusd(12_500) == 125 * NUSD_PER_USD
    assert found.usage["compute_minutes"].tiers.total_nusd(30_000) == 300_000_000
    assert found.items["report"].tiers.total_nusd(501) == 495_790_000_000
    assert (found.items["report"].minimum, found.seats.price_nusd_month) == (50, 30 * NUSD_PER_USD)
    assert found.seats.included_milli == 100_000
    assert found.items["report"].tiers.bands[0].price == Decimal("0.99")


@pytest.mark.parametrize(
    ("before", "after", "line", "word"),
    [
        ("      calls: {", "      clicks: {", 6, "no meter"),
        ("price: 0.05", "price: -0.05", 6, "greater than or equal to 0"),
        ("{included: 10000, price: 0.05}", "{included: 10000}", 6, "say a price or tiers"),
        ("{price: 0.79}]", "{up_to: 400, price: 0.79}, {price: 0.59}]", 12, "overlaps the band below"),
        ("{price: 0.79}]", "{up_to: 900, price: 0.79}]", 12, "the last band has no end"),
        ("minimum: 50", "minimum: 50\n        included: 50", 11, "has no effect"),
    ],
)
def test_a_contradiction_is_named_with_its_line(tmp_path, before, after, line, word):
    """The line of the term at fault, and what is wrong with it."""
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, BOOK.replace(before, after))

    assert word in str(refused.value)
    assert f"plans.yaml:{line}" in str(refused.value)


def test_a_volume_price_that_falls_is_warned_of(tmp_path):
    """It may be meant, and should be known."""
    found = read(tmp_path, BOOK.replace("minimum: 50", "mode: volume"))

    assert "501 to 626 units cost less than 500" in found.warnings[0]


COMMITTED = """\
default: sold
plans:
  sold:
    commit: {amount: 50000, beyond: 1.25}
    usage:
      tokens: {price: 40, per: 1000000}
"""


def test_a_commitment_is_read_as_it_is_written(tmp_path):
    """A year at the plan's prices, and a quarter more beyond."""
    commit = read(tmp_path, COMMITTED).book.plan().commit

    assert (commit.amount_nusd, commit.months) == (50_000 * NUSD_PER_USD, 12)
    assert commit.beyond_nusd(4_000) == 5_000


@pytest.mark.parametrize(
    ("before", "after", "line", "word"),
    [
        ("amount: 50000", "amount: 0", 4, "must be more than nothing"),
        ("beyond: 1.25", "beyond: 0", 4, "must be more than nothing"),
        ("beyond: 1.25", "per: week", 4, "year"),
        ("price: 40", "price: 40, minimum: 5", 6, "both promise the same"),
        ("    usage:", "    credits: {enforce: soft, overage: 0.1}\n    usage:", 4, "not drawn by credits"),
        ("    usage:", "    tasks: {case: {price: 1}}\n    usage:", 4, "not drawn by tasks"),
        ("    usage:\n      tokens: {price: 40, per: 1000000}\n", "", 4, "the plan sells neither"),
    ],
)
def test_a_commitment_that_contradicts_is_named_with_its_line(tmp_path, before, after, line, word):
    """Two promises of the same, or one that nothing draws."""
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, COMMITTED.replace(before, after))

    assert f"plans.yaml:{line}:" in str(refused.value)
    assert word in str(refused.value)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ("schedule: {simple: 2}", "contradicts schedule"),
        ("metered: {input: 1, output: 1}", "contradicts metered"),
    ],
)
def test_credits_are_charged_in_one_way(tmp_path, more, word):
    """By tier, by tokens or by the action."""
    text = "plans: {open: {credits: {action: {credits: 20}, " + more + "}}}\n"

    with pytest.raises(SettingsError, match=word):
        read(tmp_path, text)
