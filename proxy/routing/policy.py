"""The route of one request: which tier is charged, which tier serves, which deployments are tried in which order.

Pure: settings, plan, request and judgement in, `Route` out. Order of the decision: what was asked for (a model, a
pinned tier, or `auto`) → the policy's rules → what the key reaches → the plan's gate and floor → capability → the
YAML's order or weights within the tier, then the tiers above it as fallback. A fallback never serves below what was
judged or asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from margin.sellbook import Plan
from proxy.routing import rules, spread
from proxy.routing.capability import Uncarried, carries_all, lacking, require
from proxy.routing.gating import gated, includes, plan_tiers, within
from proxy.routing.guard import Acts, flexed
from proxy.routing.reach import Bounds, allows, allows_named, nearest, tiers_within
from proxy.routing.rules import Asker, Facts
from proxy.routing.steps import (
    AUTO,
    Judged,
    Trail,
    asked_for,
    at_least,
    at_most,
    ceiling_tier,
    checks_of,
    floored,
    guarded,
    least_of,
    used,
)
from proxy.settings import TIERS, Checks, Deployment, Settings, Tier
from proxy.wire.ask import Ask, input_estimate
from proxy.wire.errors import Forbidden, Malformed, UnknownModel, Unprofitable


class Route(NamedTuple):
    """Where a request goes, and why in words.

    `rule` is one token for the header: `judged`, `pinned`, `hint`, `named`, `rule:NAME`, each with `+rule:NAME` when a
    rule of the policy fits besides, `+least` when the caller's minimum moved it, `+key` when the key's lists did,
    `+gate` when the plan's cap did, `+guard` when the margin
    guard did, `+floor` when its floor or a rule's did, `+price` when the first is not the
    list's, and `+up` when no deployment of the tier could take the request.
    """

    requested: str
    charge_tier: Tier
    served_tier: Tier
    credits_milli: int
    deployments: tuple[Deployment, ...]
    rule: str
    reasons: tuple[str, ...]
    baseline: Deployment | None
    input_estimate: int
    checks: Checks | None = None
    """What its answer must not be, or it is asked for again one tier up."""
    would: Route | None = None
    """Where it would have gone, when routing only observes."""


Prices = Callable[[Deployment, Ask, str], int | None]
"""What a request of a task is expected to cost at a deployment, in nano-dollars; None when nobody knows."""


def route(
    settings: Settings,
    plan: Plan,
    ask: Ask,
    judgement: Judged,
    hint: Tier | None = None,
    uncarried: Uncarried = carries_all,
    bounds: Bounds | None = None,
    asker: Asker | None = None,
    prices: Prices | None = None,
    acts: Acts | None = None,
) -> Route:
    """Return the route of a request. What a deployment's wire format cannot carry, another takes if it can.

    Raises:
        UnknownModel: the name is no model, alias or `auto:TIER`.
        Unprofitable: its customer is not served for now.
        Forbidden: the plan's gate refuses the tier, or the key's lists (`bounds`) what was asked for.
        Malformed: no deployment can take what the request needs, or it names one below its own minimum.
    """
    observes = settings.routing.mode == "observe"
    if acts is not None and acts.refuses and not observes:
        raise Unprofitable(f"The plan `{plan.name}` does not cover further requests for now.")
    target = settings.aliases.get(ask.model, ask.model)
    if target == AUTO or target.startswith(f"{AUTO}:"):
        pinned = _pinned(target, settings)
        found = _by_tier(settings, plan, ask, judgement, pinned, hint, uncarried, bounds, asker, prices, acts)
        if not observes or pinned is not None or hint is not None:
            return found
        return _as_before(settings, plan, ask, found, uncarried, bounds, asker)
    deployment = settings.deployments.get(target)
    if deployment is None or not deployment.provider.enabled:
        raise UnknownModel(_unknown(ask.model, settings), param="model")
    if not allows_named(bounds, deployment):
        raise _not_allowed(settings, ask.model, bounds)
    least = None if asker is None else asker.at_least
    if least is not None and TIERS.index(deployment.tier) < TIERS.index(least):
        text = f"`{ask.model[:80]}` is of the tier {deployment.tier}, and the request takes at least {least}."
        raise Malformed(text, param="model")
    return _by_name(settings, plan, ask, deployment, uncarried, bounds)


def _pinned(target: str, settings: Settings) -> Tier | None:
    if target == AUTO:
        return None
    for tier in TIERS:
        if target == f"{AUTO}:{tier}":
            return tier
    raise UnknownModel(_unknown(target, settings), param="model")


def _unknown(name: str, settings: Settings) -> str:
    return f"The model `{name[:80]}` does not exist. Models are: {', '.join(model_names(settings))}."


def _not_allowed(settings: Settings, name: str, bounds: Bounds | None) -> Forbidden:
    """Return the refusal of what a key may not ask for, with what it may."""
    names = ", ".join(model_names(settings, bounds)) or "nothing that is configured"
    return Forbidden(f"This key may not use `{name[:80]}`; it may use: {names}.", param="model")


def model_names(settings: Settings, bounds: Bounds | None = None) -> list[str]:
    """Return every name a caller may ask for with a key so bound, in the order shown to them."""
    named = [
        name for name, each in settings.deployments.items() if each.provider.enabled and allows_named(bounds, each)
    ]
    tiers = tiers_within(settings, bounds)
    found = [*([AUTO] if tiers else []), *(f"{AUTO}:{tier}" for tier in tiers), *named]
    return found + [name for name, target in settings.aliases.items() if bounds is None or target in found]


def _by_tier(
    settings: Settings,
    plan: Plan,
    ask: Ask,
    judgement: Judged,
    pinned: Tier | None,
    hint: Tier | None,
    uncarried: Uncarried,
    bounds: Bounds | None,
    asker: Asker | None,
    prices: Prices | None,
    acts: Acts | None,
) -> Route:
    rule = None
    if asker is not None:
        rule = rules.first(settings.routing.rules, Facts(asker, plan.name, ask.fields, judgement))
    reached = _reached(settings, plan, ask, pinned, bounds)
    tier, trail = asked_for(judgement, pinned, hint, rule)
    if asker is not None and asker.at_least is not None:
        tier = at_least(asker.at_least, tier, trail)
    if bounds is not None:
        tier = _keyed(tier, tiers_within(settings, bounds), reached, trail)
    served = gated(settings, plan, tier, trail)
    if bounds is not None:
        served = _keyed(served, reached, reached, trail)
    if rule is not None and rule.at_most is not None:
        reached, served = at_most(rule, reached, served)
    charge = served if plan.charge_follows_gate else tier
    # What a caller chose, and is charged for, the guard leaves as it is.
    if acts is not None and pinned is None and hint is None:
        least = "simple" if asker is None or asker.at_least is None else asker.at_least
        served = guarded(acts, judgement, reached, served, least, trail)
    if rule is not None or plan.min_tier is not None or asker is not None:
        served = floored(plan, rule, asker, reached, served, trail)
    groups = [settings.tiers[each] for each in reached[reached.index(served) :]]
    if rule is not None and rule.use:
        chosen = hint if pinned is None else pinned
        groups = [used(settings, plan, rule, least_of(plan, rule, asker, reached), chosen)]
    if asker is not None or prices is not None:
        groups = _in_order(settings, groups, ask, judgement, asker, prices, trail)
    deployments = _able(groups, served, ask, trail, uncarried, within(plan, bounds))
    if acts is not None and acts.flex and ask.fields.get("service_tier") is None:
        deployments = flexed(deployments, ask.surface)
    return Route(
        requested=ask.model,
        charge_tier=charge,
        served_tier=_serving(settings, deployments[0], served),
        credits_milli=plan.credits.schedule_milli[charge],
        deployments=deployments,
        rule=trail.rule,
        reasons=tuple(trail.reasons),
        baseline=_baseline(settings, None),
        input_estimate=input_estimate(ask),
        checks=None if settings.routing.checks is None and rule is None else checks_of(settings, rule),
    )


def _as_before(
    settings: Settings, plan: Plan, ask: Ask, would: Route, uncarried: Uncarried, bounds: Bounds | None,
    asker: Asker | None,
) -> Route:  # fmt: skip
    """Return the route of a request that is served as it was without us: by the baseline, within plan and key.

    What is sold does not depend on who serves, so the charge is that of the route that would have been; and nobody
    serves below the plan's floor, or the minimum that its caller is charged for.
    """
    reached, first = _reached(settings, plan, ask, None, bounds), _baseline(settings, None)
    assert first is not None, "there always is one"
    tier: Tier = "complex" if first.listed_tier is None else first.listed_tier
    least = least_of(plan, None, asker, reached)
    if TIERS.index(tier) < TIERS.index(least):
        tier = nearest(least, reached)
        groups = [settings.tiers[each] for each in reached[reached.index(tier) :]]
    elif tier in reached and first.provider.enabled and allows(within(plan, bounds), first):
        groups = [
            (first, *settings.tiers[tier]),
            *(settings.tiers[each] for each in reached[reached.index(tier) + 1 :]),
        ]
    else:
        tier = reached[-1]
        groups = [settings.tiers[tier]]
    trail = Trail("observed", [f"routing only observes; it would go to {would.deployments[0].name} ({would.rule})"])
    deployments = _able(groups, tier, ask, trail, uncarried, within(plan, bounds))
    return would._replace(
        served_tier=tier_of(settings, deployments[0], tier), deployments=deployments, rule=trail.rule,
        reasons=(*trail.reasons, *would.reasons), checks=None, would=would,
    )  # fmt: skip


def _in_order(
    settings: Settings,
    groups: list[tuple[Deployment, ...]],
    ask: Ask,
    judgement: Judged,
    asker: Asker | None,
    prices: Prices | None,
    trail: Trail,
) -> list[tuple[Deployment, ...]]:
    """Return each tier's deployments by weight or by expected price, where the configuration says so."""
    if asker is not None and settings.routing.is_weighted:
        key = spread.beginning(asker.customer, ask.messages)
        groups = [tuple(spread.ordered(group, key)) for group in groups]
    if prices is not None:
        listed = groups[0][0]
        groups = [_cheapest_first(group, prices, ask, judgement.task) for group in groups]
        if groups[0][0] is not listed:
            trail.add("price", f"{groups[0][0].name} is expected to cost less than {listed.name}")
    return groups


def _cheapest_first(group: Sequence[Deployment], prices: Prices, ask: Ask, task: str) -> tuple[Deployment, ...]:
    """Return a tier's deployments by what the request is expected to cost there; where nobody knows, last."""
    found = [(prices(each, ask, task), each) for each in group]
    known = sorted(((nusd, each) for nusd, each in found if nusd is not None), key=lambda pair: pair[0])
    return (*(each for _, each in known), *(each for nusd, each in found if nusd is None))


def _reached(settings: Settings, plan: Plan, ask: Ask, pinned: Tier | None, bounds: Bounds | None) -> tuple[Tier, ...]:
    """Return the tiers that may serve: those that the plan reaches and the key.

    Raises:
        Forbidden: there is none, or the caller pinned one that the key does not reach.
    """
    mine = plan_tiers(settings, plan)
    if bounds is None:
        return mine
    reached = tiers_within(settings, bounds)
    if not reached or (pinned is not None and pinned not in reached):
        raise _not_allowed(settings, ask.model, bounds)
    both = tuple(tier for tier in tiers_within(settings, within(plan, bounds)) if tier in mine)
    if not both:
        reach = ", ".join(reached)
        raise Forbidden(f"The plan `{plan.name}` reaches up to {mine[-1]}, this key only {reach}.")
    return both


def _keyed(tier: Tier, allowed: tuple[Tier, ...], reached: tuple[Tier, ...], trail: Trail) -> Tier:
    """Return the tier itself if it is allowed, else the nearest that is reached: both tiers move, as with a pin."""
    if tier in allowed:
        return tier
    found = nearest(tier, reached)
    trail.add("key", f"the key reaches {', '.join(allowed)}, not {tier}")
    return found


def _by_name(
    settings: Settings,
    plan: Plan,
    ask: Ask,
    deployment: Deployment,
    uncarried: Uncarried,
    bounds: Bounds | None,
) -> Route:
    tier = deployment.tier
    trail = Trail("named", [f"the caller named {ask.model}"])
    served, both = gated(settings, plan, tier, trail, deployment), within(plan, bounds)
    is_its_own = served == tier and includes(plan, deployment)
    if not is_its_own:
        if served not in tiers_within(settings, both):
            raise Forbidden(f"The plan `{plan.name}` reaches up to {served}, where this key reaches no model.")
        deployments = _able((settings.tiers[served],), served, ask, trail, uncarried, both)
    else:
        require(deployment, ask, uncarried)
        deployments = (deployment, *_stand_ins(settings, plan, ask, deployment, uncarried, both))
    charge = served if plan.charge_follows_gate else tier
    own = deployment.credits_milli if deployment.listed_tier is None and is_its_own else None
    return Route(
        requested=ask.model,
        charge_tier=charge,
        served_tier=served,
        credits_milli=plan.credits.schedule_milli[charge] if own is None else own,
        deployments=deployments,
        rule=trail.rule,
        reasons=tuple(trail.reasons),
        baseline=_baseline(settings, deployment),
        input_estimate=input_estimate(ask),
    )


def _stand_ins(
    settings: Settings,
    plan: Plan,
    ask: Ask,
    deployment: Deployment,
    uncarried: Uncarried,
    bounds: Bounds | None,
) -> Iterator[Deployment]:
    """Yield what serves instead of a named model that does not answer: as configured, within plan and key."""
    for name in deployment.fallbacks:
        each = settings.deployments[name]
        is_reached = TIERS.index(each.tier) <= TIERS.index(ceiling_tier(plan))
        if each.provider.enabled and is_reached and allows_named(bounds, each) and not lacking(each, ask, uncarried):
            yield each


def _able(
    groups: Sequence[Sequence[Deployment]],
    served: Tier,
    ask: Ask,
    trail: Trail,
    uncarried: Uncarried,
    bounds: Bounds | None,
) -> tuple[Deployment, ...]:
    """Return the deployments that the key may call and that can take the request, group by group, preferred first."""
    found: list[Deployment] = []
    lacks: list[str] = []
    fields: list[str | None] = []
    for group in groups:
        for deployment in group:
            if bounds is not None and not allows(bounds, deployment):
                continue
            lack = lacking(deployment, ask, uncarried)
            if lack is None and deployment not in found:
                found.append(deployment)
            elif lack is not None:
                lacks.append(f"{deployment.name} {lack}")
                fields.append(uncarried(deployment, ask))
    if not found:
        # The field is to blame only where every model would take the request without it.
        param = fields[0] if fields and all(each == fields[0] for each in fields) else None
        text = f"No model that this plan reaches can take the request: {'; '.join(lacks)}."
        raise Malformed(text, param="model" if param is None else param)
    if found[0] not in groups[0]:
        trail.add("up", f"no model of the tier {served} can take it: {'; '.join(lacks)}")
    return tuple(found)


def tier_of(settings: Settings, deployment: Deployment, lowest: Tier) -> Tier:
    """Return the tier, from `lowest` up, that a deployment serves in; `lowest` when it is in none."""
    for tier in TIERS[TIERS.index(lowest) :]:
        if deployment in settings.tiers[tier]:
            return tier
    return lowest if deployment.asks_tier is None else tier_of(settings, settings.deployments[deployment.name], lowest)


def _serving(settings: Settings, first: Deployment, lowest: Tier) -> Tier:
    """Return the tier that a route is served from: also below `lowest`, where a rule names a lower one's model."""
    listed = first.listed_tier
    if listed is not None and TIERS.index(listed) < TIERS.index(lowest) and first not in settings.tiers[lowest]:
        return listed if first.asks_tier is None else _serving(settings, settings.deployments[first.name], lowest)
    return tier_of(settings, first, lowest)


def _baseline(settings: Settings, requested: Deployment | None) -> Deployment | None:
    """Return what would have served without us: the model asked for, or for `auto` the first of complex."""
    named = settings.routing.baseline
    if requested is not None and (named == "requested" or "chat" not in requested.serves):
        return requested  # what a chat model would cost says nothing of embeddings
    if named in settings.deployments:
        return settings.deployments[named]
    return settings.tiers["complex"][0]
