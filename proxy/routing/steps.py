"""The steps of a route's decision that plan, policy and caller may each move. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from margin.sellbook import Plan
from proxy.routing import rules
from proxy.routing.guard import Acts, lowered
from proxy.routing.reach import nearest
from proxy.routing.rules import Asker
from proxy.settings import TIERS, Checks, Deployment, Rule, Settings, Tier
from proxy.wire.errors import Forbidden

AUTO = "auto"


class Judged(rules.Judged, Protocol):
    """What a route needs of a judgement. It is not looked at where the caller chose."""

    @property
    def tier(self) -> Tier:
        """The tier the request is judged to need."""
        ...

    @property
    def probabilities(self) -> tuple[float, float, float]:
        """How likely it needs each tier, from simple to complex."""
        ...

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in words."""
        ...


@dataclass(slots=True)
class Trail:
    """The decision so far: rule tokens and reasons."""

    rule: str
    reasons: list[str] = field(default_factory=list)

    def add(self, token: str, reason: str) -> None:
        """Note what moved the decision: a token for the header, a sentence for people."""
        self.rule += f"+{token}"
        self.reasons.append(reason)


def ceiling_tier(plan: Plan) -> Tier:
    """Return the highest tier that a plan reaches."""
    return "complex" if plan.max_tier is None else plan.max_tier


def asked_for(judgement: Judged, pinned: Tier | None, hint: Tier | None, rule: Rule | None) -> tuple[Tier, Trail]:
    """Return what a request is taken for: what its caller chose, else what the rule says, else what is judged."""
    why = "" if rule is None else f"the rule {rule.name} fits: {rules.in_words(rule)}"
    if pinned is not None:
        tier, trail = pinned, Trail("pinned", [f"the caller pinned {AUTO}:{pinned}"])
    elif hint is not None:
        tier, trail = hint, Trail("hint", [f"the caller's header asked for {hint}"])
    elif rule is not None and rule.tier is not None:
        return rule.tier, Trail(f"rule:{rule.name}", [f"{why}; it takes it for {rule.tier}"])
    else:
        tier, trail = judgement.tier, Trail("judged", list(judgement.reasons))
    if rule is not None:
        trail.add(f"rule:{rule.name}", why)
    return tier, trail


def at_least(least: Tier, tier: Tier, trail: Trail) -> Tier:
    """Return the tier, raised to what the caller takes at least: both tiers, as with a pin."""
    if TIERS.index(tier) >= TIERS.index(least):
        return tier
    trail.add("least", f"the caller takes at least {least}")
    return least


def at_most(rule: Rule, reached: tuple[Tier, ...], served: Tier) -> tuple[tuple[Tier, ...], Tier]:
    """Return the tiers that a rule leaves, and the one of them that serves.

    Raises:
        Forbidden: it leaves none.
    """
    assert rule.at_most is not None
    cap = TIERS.index(rule.at_most)
    left = tuple(each for each in reached if TIERS.index(each) <= cap)
    if not left:
        raise Forbidden(f"The rule `{rule.name}` lets {rule.at_most} serve at most, and this key only {reached[0]}.")
    return left, served if served in left else left[-1]


def floored(
    plan: Plan, rule: Rule | None, asker: Asker | None, reached: tuple[Tier, ...], served: Tier, trail: Trail
) -> Tier:
    """Return the tier that serves: not below what the plan and the rule promise, as far as it is reached.

    Raises:
        Forbidden: the caller takes no less than what is beyond that.
    """
    promised = [each for each in (plan.min_tier, None if rule is None else rule.at_least) if each is not None]
    floor = max(promised, key=TIERS.index, default=served)
    if TIERS.index(floor) > TIERS.index(served):
        served = nearest(floor, reached)
        trail.add("floor", f"{floor} is the lowest tier that serves it")
    least = None if asker is None else asker.at_least
    if least is not None and TIERS.index(served) < TIERS.index(least):
        raise Forbidden(f"The request takes at least {least}, and what it may use goes up to {served}.")
    return served


def least_of(plan: Plan, rule: Rule | None, asker: Asker | None, reached: tuple[Tier, ...]) -> Tier:
    """Return the tier that nobody may serve below: what plan, rule and caller say, as far as it is reached."""
    said = [plan.min_tier, None if rule is None else rule.at_least, None if asker is None else asker.at_least]
    floor = max((each for each in said if each is not None), key=TIERS.index, default=TIERS[0])
    return min(floor, reached[-1], key=TIERS.index)


def used(settings: Settings, plan: Plan, rule: Rule, least: Tier, chosen: Tier | None) -> tuple[Deployment, ...]:
    """Return the deployments that a rule names, as far as they are enabled and within the plan's gate and the floors.

    Of what its caller `chose`, and pays for, none lower serves where the rule names somebody as good.

    Raises:
        Forbidden: none is.
    """
    cap = TIERS.index(ceiling_tier(plan))
    named = [settings.deployments[name] for name in rule.use]
    found = [
        each
        for each in named
        if each.provider.enabled
        and (each.listed_tier is None or TIERS.index(each.listed_tier) <= cap)
        and (plan.access is None or plan.access.includes(each.name))
    ]
    if not found:
        raise Forbidden(f"The plan `{plan.name}` reaches none of the models of the rule `{rule.name}`.")
    found = _from(least, found)
    if not found:
        raise Forbidden(f"The request takes at least {least}, and the rule `{rule.name}` names no model so good.")
    return tuple(found if chosen is None else _from(chosen, found) or found)


def _from(tier: Tier, found: list[Deployment]) -> list[Deployment]:
    return [each for each in found if TIERS.index(each.tier) >= TIERS.index(tier)]


def guarded(acts: Acts, judgement: Judged, reached: tuple[Tier, ...], served: Tier, least: Tier, trail: Trail) -> Tier:
    """Return the tier that serves while the customer's margin is below its floor; the charge stays."""
    lower = max(lowered(acts, served, judgement.probabilities), least, key=TIERS.index)
    if TIERS.index(lower) >= TIERS.index(served):
        return served
    below = [each for each in reached if TIERS.index(each) <= TIERS.index(lower)]
    lower = below[-1] if below else reached[0]
    if lower != served:
        trail.add("guard", f"the guard takes {lower} in place of {served} for now ({', '.join(acts.steps)})")
    return lower


def checks_of(settings: Settings, rule: Rule | None) -> Checks | None:
    """Return how a request's answer is checked: as its rule says, else as the policy does; None: it is not."""
    found = settings.routing.checks if rule is None or rule.checks is None else rule.checks
    return None if found is None or found.is_none else found
