"""The margin guard: which steps a customer's margin calls for, and what the steps do to a route. Pure.

A step is taken when the period's margin is below the floor, and the next one when it still is after a while and does
not recover soon enough. It is taken back when the margin is clear of the floor and the step has lasted a while; one
that has to be taken again soon after lasts twice as long. So a customer whose margin lies at its floor has a step
for hours, and not every minute another. See docs/adr/0045.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from proxy.settings import TIERS, Deployment, Tier
from proxy.settings.floors import Floor, Guard, Step

NS: Final = 1_000_000_000
PATIENCE_MAX_S: Final = 86_400.0
"""What the doubling ends at: a day, after which the customer's traffic is another."""
SURE: Final = 0.8
"""*tighten*: a tier is kept only if the request needs it, or more, with this probability; else the next lower serves.
Without it the likeliest tier is taken, so mostly what it takes back are requests between two tiers."""

Standing = Literal["unknown", "below", "between", "clear"]


class Sums(NamedTuple):
    """What a customer brought and cost so far in a period, in nano-dollars."""

    period: str
    revenue_nusd: int
    cost_nusd: int

    @property
    def margin(self) -> Fraction | None:
        """Gross margin; None without revenue: then there is a loss, and no share of anything."""
        if self.revenue_nusd <= 0:
            return None
        return Fraction(self.revenue_nusd - self.cost_nusd, self.revenue_nusd)

    def short_nusd(self, floor: Floor) -> int:
        """Return what is missing to the floor, rounded up; negative is to spare."""
        kept = Fraction(floor.margin) * max(self.revenue_nusd, 0)
        return -((self.revenue_nusd - self.cost_nusd - kept) // 1)


class State(NamedTuple):
    """Where a customer stands.

    Args:
        step: How many steps of its ladder are taken.
        since_t: When that was changed last, in nanoseconds.
        began: The sums at that moment.
        patience_s: How long a step lasts at least.
        released_t: When a step was taken back last; 0: never.
    """

    step: int
    since_t: int
    began: Sums
    patience_s: float
    released_t: int = 0


def fresh(sums: Sums, t: int, guard: Guard) -> State:
    """Return the state of a customer that nothing was done to."""
    return State(0, t, sums, guard.release_s)


def standing(sums: Sums, floor: Floor, guard: Guard) -> Standing:
    """Tell how a margin lies to its floor. With little cost, or no revenue, nobody can say."""
    if sums.cost_nusd < guard.evidence_nusd:
        return "unknown"
    margin = sums.margin
    if margin is None:
        return "below" if guard.loss_nusd is not None and sums.cost_nusd >= guard.loss_nusd else "unknown"
    if margin < floor.margin:
        return "below"
    # A floor near 1 leaves no room for the whole distance.
    clear = min(floor.margin + guard.clear, (1 + floor.margin) / 2)
    return "clear" if margin >= clear else "between"


def moved(state: State, sums: Sums, t: int, floor: Floor, guard: Guard) -> State:
    """Return where a customer stands now.

    Args:
        state: Where it stood.
        sums: Its period so far.
        t: The moment, in nanoseconds.
        floor: Its floor and its ladder.
        guard: How the guard moves.
    """
    if state.step > len(floor.steps):
        return State(len(floor.steps), t, sums, guard.release_s)
    if sums.period != state.began.period:
        state = _turned(state, sums, t, floor)
    lasted_s = (t - state.since_t) / NS
    now = standing(sums, floor, guard)
    if now == "below" and state.step < len(floor.steps):
        if not state.step or (lasted_s >= guard.wait_s and not _recovers(state, sums, lasted_s, floor, guard)):
            return _up(state, sums, t, guard)
    elif now == "clear" and state.step and lasted_s >= state.patience_s:
        return State(state.step - 1, t, sums, state.patience_s, released_t=t)
    return state


def _turned(state: State, sums: Sums, t: int, floor: Floor) -> State:
    """A period begins: who was refused is served again, as nothing can be earned or shown otherwise."""
    was_refused = "refuse" in floor.steps[: state.step]
    step = floor.steps.index("refuse") if was_refused else state.step
    return State(step, t if was_refused else state.since_t, Sums(sums.period, 0, 0), state.patience_s, state.released_t)


def _up(state: State, sums: Sums, t: int, guard: Guard) -> State:
    """Take a step; soon after one was taken back, for longer."""
    is_soon = state.released_t and (t - state.released_t) / NS < 2 * state.patience_s
    patience_s = min(state.patience_s * 2, PATIENCE_MAX_S) if is_soon else guard.release_s
    return State(state.step + 1, t, sums, max(patience_s, guard.release_s), state.released_t)


def _recovers(state: State, sums: Sums, lasted_s: float, floor: Floor, guard: Guard) -> bool:
    """Tell whether what is missing is made good in time, as things go since the last step."""
    revenue, cost = sums.revenue_nusd - state.began.revenue_nusd, sums.cost_nusd - state.began.cost_nusd
    gained = revenue - cost - Fraction(floor.margin) * revenue
    return gained > 0 and sums.short_nusd(floor) * Fraction(lasted_s) <= gained * Fraction(guard.recover_s)


# ---- what the steps do -------------------------------------------------------------------------------------------


class Acts(NamedTuple):
    """What the steps that are taken do to a customer's requests."""

    steps: tuple[Step, ...]
    tightens: bool
    cap: Tier | None
    flex: bool
    refuses: bool


def acts_of(steps: tuple[Step, ...]) -> Acts | None:
    """Return what steps do together; None of none."""
    if not steps:
        return None
    cap: Tier | None = "simple" if "cap_simple" in steps else ("medium" if "cap_medium" in steps else None)
    return Acts(steps, "tighten" in steps, cap, "flex" in steps, "refuse" in steps)


def flexed(deployments: Sequence[Deployment], surface: str) -> tuple[Deployment, ...]:
    """Return deployments, each of them first in its cheaper service tier, where the caller's format can say so."""
    found: list[Deployment] = []
    for each in deployments:
        if each.flex is not None and (surface == "chat" or (surface == "responses" and each.provider.responses)):
            found.append(each.flex)
        found.append(each)
    return tuple(found)


def lowered(acts: Acts, tier: Tier, probabilities: tuple[float, float, float]) -> Tier:
    """Return the tier that serves a request judged to need `tier`; probabilities go from simple to complex."""
    at = TIERS.index(tier)
    if acts.tightens and at and sum(probabilities[at:]) < SURE:
        at -= 1
    return TIERS[at if acts.cap is None else min(at, TIERS.index(acts.cap))]
