"""The margin guard on a virtual clock: floors hold where they can, ladders end where they must, nothing flaps."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.guard import NS, PATIENCE_MAX_S, Acts, State, Sums, acts_of, fresh, lowered, moved, standing
from proxy.settings.floors import Floor, Guard, Step

USD = 10**9
FLOOR = Floor(Decimal("0.5"), ("tighten", "cap_medium", "cap_simple", "alert", "refuse"))
GUARD = Guard(wait_s=300, recover_s=1800, release_s=3600, evidence_nusd=USD)
MINUTE = 60 * NS


def sums(revenue_usd: float, cost_usd: float, period: str = "2026-11") -> Sums:
    """A period so far."""
    return Sums(period, round(revenue_usd * USD), round(cost_usd * USD))


@pytest.mark.parametrize(
    ("revenue", "cost", "where"),
    [
        (0.10, 0.99, "unknown"),  # a loss, and too little of it to conclude anything
        (10, 5.01, "below"),
        (10, 5, "between"),
        (10, 4.51, "between"),
        (10, 4.5, "clear"),
        (0, 50, "unknown"),  # no revenue: no margin, and a loss that nobody bounded
        (-1, 50, "unknown"),  # more was taken back than came in
    ],
)
def test_how_a_margin_lies_to_its_floor(revenue: float, cost: float, where: str) -> None:
    """Below, clear by the distance, between; unknown with too little cost or no revenue."""
    assert standing(sums(revenue, cost), FLOOR, GUARD) == where


def test_without_revenue_a_stated_loss_counts_as_below() -> None:
    """From that many dollars on."""
    bounded = replace(GUARD, loss_nusd=20 * USD)

    assert standing(sums(0, 19.99), FLOOR, bounded) == "unknown"
    assert standing(sums(0, 20), FLOOR, bounded) == "below"


def test_what_is_missing_is_rounded_up() -> None:
    """Of 10 at one half 5 are kept; of what was lost without revenue all is missing."""
    assert sums(10, 6).short_nusd(FLOOR) == 1 * USD
    assert Sums("m", 3, 2).short_nusd(FLOOR) == 1  # 1.5 to keep, 1 kept
    assert sums(0, 2).short_nusd(FLOOR) == 2 * USD


class Business:
    """A customer whose revenue and cost by the minute follow from the step it is at."""

    def __init__(self, revenue: float, cost_of: Callable[[tuple[Step, ...]], float], floor: Floor = FLOOR) -> None:
        self.revenue, self.cost_of, self.floor = revenue, cost_of, floor
        self.now = 0
        self.total = sums(0, 0)
        self.state = fresh(self.total, 0, GUARD)
        self.moves: list[tuple[int, int]] = []

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is done."""
        return self.floor.steps[: self.state.step]

    def run(self, minutes: int) -> None:
        """Let time pass."""
        for _ in range(minutes):
            self.now += MINUTE
            cost = 0.0 if "refuse" in self.steps else self.cost_of(self.steps)
            self.total = Sums(self.total.period, self.total.revenue_nusd + round(self.revenue * USD),
                              self.total.cost_nusd + round(cost * USD))  # fmt: skip
            before = self.state.step
            self.state = moved(self.state, self.total, self.now, self.floor, GUARD)
            if self.state.step != before:
                self.moves.append((self.now // MINUTE, self.state.step))

    @property
    def margin(self) -> Fraction:
        """Of the period so far."""
        found = self.total.margin
        assert found is not None
        return found


def at_step(*costs: float) -> Callable[[tuple[Step, ...]], float]:
    """Cost a minute with none, one, two … steps; the last for all further ones."""
    return lambda steps: costs[min(len(steps), len(costs) - 1)]


def test_the_floor_holds_after_the_first_hour_where_a_step_is_enough() -> None:
    """Frontier for everything loses money; with two steps it earns. The margin is at its floor within the hour."""
    customer = Business(0.10, at_step(0.20, 0.12, 0.01))

    customer.run(60)
    assert customer.margin >= FLOOR.margin
    for _ in range(29 * 24):
        customer.run(60)
        assert customer.margin >= FLOOR.margin

    assert max(step for _, step in customer.moves) == 2


def test_a_step_that_recovers_in_time_is_the_last() -> None:
    """What is missing is made good within half an hour as things go: nobody goes on to the next step."""
    customer = Business(0.10, at_step(0.20, 0.01))

    customer.run(60)

    assert [step for _, step in customer.moves] == [1]
    assert customer.margin >= FLOOR.margin


def test_where_nothing_helps_the_ladder_ends_in_refusing() -> None:
    """Step by step, each after its wait; then the fee accrues alone until the floor holds."""
    customer = Business(0.10, at_step(0.50))

    customer.run(60)

    ups = [minute for minute, _ in customer.moves[:5]]
    assert [step for _, step in customer.moves[:5]] == [1, 2, 3, 4, 5]
    assert all(later - earlier >= 5 for earlier, later in pairwise(ups))
    spent = customer.total.cost_nusd
    customer.run(24 * 60)
    assert customer.margin >= FLOOR.margin
    assert customer.total.cost_nusd > spent  # and it was served again


def test_a_month_at_the_edge_does_not_flap() -> None:
    """With the step it earns, without it loses: steps change a few times a day at most, ever less often."""
    customer = Business(0.10, at_step(0.07, 0.02))

    customer.run(30 * 24 * 60)

    times = [minute for minute, _ in customer.moves]
    releases = [minute for (_, before), (minute, step) in pairwise(customer.moves) if step < before]
    assert all(later - earlier >= 60 for earlier, later in pairwise(releases))
    by_day = [sum(day * 1440 <= minute < (day + 1) * 1440 for minute in times) for day in range(30)]
    assert max(by_day) <= 12
    assert sum(by_day[20:]) <= sum(by_day[:10])
    assert customer.margin >= FLOOR.margin


def test_a_new_period_serves_who_was_refused_and_forgets_no_other_step() -> None:
    """Nothing can be earned or shown while nobody is served."""
    refused = State(5, 0, sums(1, 5), 3600)
    capped = refused._replace(step=3)

    assert moved(refused, sums(0, 0, "2026-12"), MINUTE, FLOOR, GUARD).step == 4
    assert moved(capped, sums(0, 0, "2026-12"), MINUTE, FLOOR, GUARD).step == 3


def test_a_new_period_serves_who_was_refused_wherever_that_stands_in_the_ladder() -> None:
    """What stands behind *refuse* is taken back with it: a refused customer would never cost enough to be looked at."""
    floor = replace(FLOOR, steps=("tighten", "refuse", "alert"))

    assert moved(State(3, 0, sums(1, 5), 3600), sums(0, 0, "2026-12"), MINUTE, floor, GUARD).step == 1


def test_a_ladder_that_became_shorter_is_followed() -> None:
    """A reload took steps away."""
    state = State(5, 0, sums(1, 5), 3600)

    assert moved(state, sums(1, 5), MINUTE, replace(FLOOR, steps=("tighten",)), GUARD).step == 1


moves = st.lists(st.tuples(st.integers(1, 7200), st.integers(0, 3 * USD), st.integers(0, 3 * USD)), max_size=60)


@given(moves, st.decimals("0", "1", places=2))
def test_any_traffic_moves_one_step_at_a_time_and_never_too_soon(
    traffic: list[tuple[int, int, int]], floor_margin: Decimal
) -> None:
    """Up after the wait, down after the patience, within the ladder; patience is bounded."""
    floor = replace(FLOOR, margin=floor_margin)
    t, total = 0, sums(0, 0)
    state = fresh(total, t, GUARD)

    for seconds, revenue, cost in traffic:
        t += seconds * NS
        total = Sums(total.period, total.revenue_nusd + revenue, total.cost_nusd + cost)
        after = moved(state, total, t, floor, GUARD)
        assert abs(after.step - state.step) <= 1
        assert 0 <= after.step <= len(floor.steps)
        if after.step > state.step > 0:
            assert t - state.since_t >= GUARD.wait_s * NS
        if after.step < state.step:
            assert t - state.since_t >= state.patience_s * NS
            assert standing(total, floor, GUARD) == "clear"
        assert GUARD.release_s <= after.patience_s <= PATIENCE_MAX_S
        state = after


def acts(*steps: Step) -> Acts:
    """What steps do."""
    found = acts_of(steps)
    assert found is not None
    return found


def test_what_steps_do_to_a_tier() -> None:
    """Tightening takes the doubtful one lower, a cap all; an alert nothing."""
    doubtful, sure = (0.1, 0.45, 0.45), (0.0, 0.05, 0.95)

    assert acts_of(()) is None
    assert lowered(acts("alert"), "complex", doubtful) == "complex"
    assert lowered(acts("tighten"), "complex", doubtful) == "medium"
    assert lowered(acts("tighten"), "complex", sure) == "complex"
    assert lowered(acts("tighten"), "medium", doubtful) == "medium"
    assert lowered(acts("tighten"), "simple", doubtful) == "simple"
    assert lowered(acts("tighten", "cap_medium"), "complex", sure) == "medium"
    assert lowered(acts("tighten", "cap_medium", "cap_simple"), "complex", sure) == "simple"
    assert acts("tighten", "refuse").refuses
