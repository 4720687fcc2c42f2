"""A slice of the simulated month: seeded, and nothing in it that may never be."""

from dataclasses import replace

import pytest

from benchmarks.routing import truth
from benchmarks.routing.__main__ import BANDS, CHEAPEST, HELD_S, SAVED, bands, policies
from benchmarks.routing.margins import Margins
from benchmarks.routing.playing import Played, play
from benchmarks.routing.policies import Policy
from benchmarks.routing.prompts import Judge, prompts, weights
from benchmarks.routing.traffic import Month, month
from proxy.settings import Settings

SLICE = 0.04
"""Of the month's conversations: some 1,700 requests."""


@pytest.fixture(scope="module")
def drawn() -> Month:
    """A slice of the month."""
    return month(prompts(), scale=SLICE)


@pytest.fixture(scope="module")
def settings(drawn: Month) -> Settings:
    """Its deployments, with prices that change."""
    return truth.settings(drawn.told)


@pytest.fixture(scope="module")
def played(drawn: Month, settings: Settings) -> dict[str, Played]:
    """What each policy came to, by name."""
    return {each.name: each for each in
            (play(drawn, settings, policy) for policy in policies(settings, Judge(None, weights())))}  # fmt: skip


def test_the_month_is_the_same_each_time(drawn: Month) -> None:
    """One seed, one month."""
    assert month(prompts(), scale=SLICE).turns[:50] == drawn.turns[:50]


def test_ours_keeps_the_quality_at_a_fraction_of_the_frontiers_cost(played: dict[str, Played]) -> None:
    """At 0.97 of the frontier's quality, for less than it, and than what ranks by list price."""
    ours = played["Penstock"]

    assert ours.quality >= 0.97
    assert ours.cost_nusd < played["tiers by list price"].cost_nusd < played["all frontier"].cost_nusd
    assert ours.cost_nusd < 0.4 * played["all frontier"].cost_nusd  # the brief: 60 to 80 % less


def test_a_band_of_the_brief_that_is_missed_is_named(played: dict[str, Played]) -> None:
    """Cheapest share, dollars a request of each tier, and what is saved: each is within its band, or said not to be."""
    ours, frontier, oracle = (played[name] for name in ("Penstock", "all frontier", "oracle"))
    saved = 1 - ours.cost_nusd / frontier.cost_nusd
    share = ours.by_tier["simple"] / ours.turns

    missed = " ".join(each.text for each in bands(ours, frontier, oracle))

    assert SAVED[0] <= saved <= SAVED[1]
    assert (CHEAPEST[0] <= share <= CHEAPEST[1]) is ("the cheapest tier serves" not in missed)
    for tier, (low, high) in BANDS.items():
        assert (low <= ours.usd_a_request(tier) <= high) is (f"a {tier} request costs" not in missed)


def test_margins_stay_at_their_floor(drawn: Month, settings: Settings) -> None:
    """At a hundredth of the fees seats cost more than they pay: steps are taken, and then they are refused."""
    plans = {name: replace(each, fee_nusd_month=(each.fee_nusd_month or 0) // 100) for name, each in
             settings.sellbook.plans.items()}  # fmt: skip
    floors = replace(settings.routing.floors, guard=replace(settings.routing.floors.guard, evidence_nusd=10_000_000))
    poor = replace(settings, sellbook=replace(settings.sellbook, plans=plans),
                   routing=replace(settings.routing, floors=floors))  # fmt: skip
    margins, judge = Margins(poor, drawn.customers), Judge(None, weights())

    guarded = play(drawn, poor, Policy("guarded", poor, judge, sessions=True, margins=margins))

    assert margins.stepped
    assert margins.refused == guarded.unanswered > 0
    assert margins.longest_s <= HELD_S


def test_always_the_cheapest_and_the_oracle_are_its_bounds(played: dict[str, Played]) -> None:
    """One costs less and is worth less; the other is worth more."""
    ours = played["Penstock"]

    assert played["always the cheapest"].cost_nusd < ours.cost_nusd
    assert played["always the cheapest"].quality < ours.quality < played["oracle"].quality


def test_nothing_flaps(played: dict[str, Played]) -> None:
    """Moves are within their bound, and the model changes no more often than without sessions."""
    ours, alone = played["Penstock"], played["tiers without sessions"]

    assert ours.wrong == []
    assert sum(ours.switches.values()) <= sum(alone.switches.values())


def test_a_broken_answer_is_the_end(drawn: Month, settings: Settings, played: dict[str, Played]) -> None:
    """Each turn is answered once, broke off once, or nobody could answer; never two of these."""
    ours = played["Penstock"]

    assert sum(ours.by_tier.values()) + ours.broken + ours.unanswered == ours.turns == len(drawn.turns)


def test_a_policy_learns_nothing_from_another(drawn: Month, settings: Settings) -> None:
    """Played twice from the beginning it costs the same to the nano-dollar."""
    judge = Judge(None, weights())

    first, second = (play(drawn, settings, Policy("ours", settings, judge, sessions=True)) for _ in range(2))

    assert first.cost_nusd == second.cost_nusd
