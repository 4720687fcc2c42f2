"""What a plan's gates let through: its tiers, the models of its list, and which endpoints and features it includes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from margin.gates import Access
from margin.sellbook import Plan
from proxy.routing.reach import Bounds
from proxy.routing.steps import Trail, ceiling_tier
from proxy.settings import TIERS, Deployment, Settings, Tier
from proxy.wire.errors import Forbidden, PlanLacks

FEATURE = b"x-penstock-feature"


class Within(NamedTuple):
    """What a plan's list and a key's lists have in common."""

    models: frozenset[str] | None
    tiers: frozenset[Tier] | None


def check(plan: Plan, access: Access, headers: Mapping[bytes, bytes], surface: str) -> None:
    """Let a request pass whose endpoint and feature the plan includes.

    Raises:
        PlanLacks: it does not.
    """
    if access.surfaces is not None and surface not in access.surfaces:
        included = ", ".join(sorted(access.surfaces))
        raise PlanLacks(f"The plan `{plan.name}` does not include {surface}; it includes: {included}.", what="surface")
    if access.features is None or FEATURE not in headers:
        return
    named = headers[FEATURE].decode("utf-8", "replace").strip()
    if named not in access.features:
        included = ", ".join(sorted(access.features)) or "none"
        text = f"The plan `{plan.name}` does not include the feature `{named[:80]}`; it includes: {included}."
        raise PlanLacks(text, what="feature", param=FEATURE.decode())


def includes(plan: Plan, deployment: Deployment) -> bool:
    """Tell whether a plan's list lets a model serve."""
    return plan.access is None or plan.access.includes(deployment.name)


def within(plan: Plan, bounds: Bounds | None) -> Bounds | None:
    """Return a key's bounds within the plan's list of models."""
    if plan.access is None or plan.access.models is None:
        return bounds
    listed = frozenset(plan.access.models)
    if bounds is None:
        return Within(listed, None)
    return Within(listed if bounds.models is None else listed & bounds.models, bounds.tiers)


def plan_tiers(settings: Settings, plan: Plan) -> tuple[Tier, ...]:
    """Return the tiers that a plan reaches, lowest first: up to its highest, with a model of its list.

    Raises:
        Forbidden: there is none, as the providers of all that it lists are disabled.
    """
    tiers = TIERS[: TIERS.index(ceiling_tier(plan)) + 1]
    if plan.access is None or plan.access.models is None:
        return tiers
    found = tuple(tier for tier in tiers if any(includes(plan, each) for each in settings.tiers[tier]))
    if not found:
        raise Forbidden(f"None of the models of the plan `{plan.name}` serves now.")
    return found


def gated(settings: Settings, plan: Plan, tier: Tier, trail: Trail, named: Deployment | None = None) -> Tier:
    """Return the tier the plan lets through: that one, else the next below it, else the lowest there is.

    Raises:
        Forbidden: the plan refuses what is beyond it.
    """
    reached = plan_tiers(settings, plan)
    lacks = named is not None and not includes(plan, named)
    if tier in reached and not lacks:
        return tier
    if plan.gate_policy == "refuse":
        raise _refusal(plan, tier, reached, named if lacks else None)
    below = [each for each in reached if TIERS.index(each) <= TIERS.index(tier)]
    served = below[-1] if below else reached[0]
    if lacks and named is not None:
        trail.add("gate", f"the plan {plan.name} does not include {named.name}; {served} serves")
    else:
        trail.add("gate", f"the plan {plan.name} reaches up to {reached[-1]}, not {tier}")
    return served


def _refusal(plan: Plan, tier: Tier, reached: tuple[Tier, ...], named: Deployment | None) -> Forbidden:
    if named is not None and plan.access is not None:
        included = ", ".join(sorted(plan.access.models or ()))
        text = f"The plan `{plan.name}` does not include the model `{named.name}`; it includes: {included}."
        return PlanLacks(text, what="model", param="model")
    return Forbidden(f"The plan `{plan.name}` reaches up to {reached[-1]}; this request needs {tier}.")
