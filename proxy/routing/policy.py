"""The route of one request: which tier is charged, which tier serves, which deployments are tried in which order.

Pure: settings, plan, request and judgement in, `Route` out. Order of the decision: what was asked for (a model, a
pinned tier, or `auto`) → what the key reaches → the plan's gate → capability → the YAML's order within the tier, then
the tiers above it as fallback. A fallback never serves below what was judged or asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from margin.sellbook import Plan
from proxy.routing.reach import Bounds, allows, allows_named, nearest, tiers_within
from proxy.settings import TIERS, Deployment, Settings, Tier
from proxy.wire.chat import ChatRequest
from proxy.wire.errors import Forbidden, Malformed, UnknownModel

AUTO = "auto"
OUTPUT_RESERVE_TOKENS = 1_024
"""Kept free in a context window for the answer when the caller states no `max_tokens`."""
OUTPUT_BEYOND_TOKENS = 10_000_000
"""No model's window: whoever asks for more is not told of windows, but of what it would cost, or by the provider."""
BYTES_PER_TOKEN = 4
"""English prose under cl100k is 4.2 bytes a token; code and other scripts are less. For capability, never money."""
TOKENS_PER_MEDIA_PART = 800
"""An image of a megapixel is 765 tokens at OpenAI's high detail; a minute of audio about 600."""


class Route(NamedTuple):
    """Where a request goes, and why in words.

    `rule` is one token for the header: `judged`, `pinned`, `hint`, `named`, each with `+key` when the key's lists moved
    it, `+gate` when the plan's cap did, and `+up` when no deployment of the tier could take the request.
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


class Judged(Protocol):
    """What a route needs of a judgement. It is not looked at where the caller chose."""

    @property
    def tier(self) -> Tier:
        """The tier the request is judged to need."""
        ...

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in words."""
        ...


Uncarried = Callable[[Deployment, ChatRequest], str | None]
"""Names the field of a request that a deployment's wire format has no word for; None when it has one for all."""


def _carries_all(deployment: Deployment, ask: ChatRequest) -> str | None:
    """Return None: every deployment speaks the caller's own format."""
    return None


@dataclass(slots=True)
class _Trail:
    """The decision so far: rule tokens and reasons."""

    rule: str
    reasons: list[str] = field(default_factory=list)

    def add(self, token: str, reason: str) -> None:
        self.rule += f"+{token}"
        self.reasons.append(reason)


def route(
    settings: Settings,
    plan: Plan,
    ask: ChatRequest,
    judgement: Judged,
    hint: Tier | None = None,
    uncarried: Uncarried = _carries_all,
    bounds: Bounds | None = None,
) -> Route:
    """Return the route of a request. What a deployment's wire format cannot carry, another takes if it can.

    Raises:
        UnknownModel: the name is no model, alias or `auto:TIER`.
        Forbidden: the plan's gate refuses the tier, or the key's lists (`bounds`) what was asked for.
        Malformed: no deployment can take what the request needs.
    """
    target = settings.aliases.get(ask.model, ask.model)
    if target == AUTO or target.startswith(f"{AUTO}:"):
        return _by_tier(settings, plan, ask, judgement, _pinned(target, settings), hint, uncarried, bounds)
    deployment = settings.deployments.get(target)
    if deployment is None or not deployment.provider.enabled:
        raise UnknownModel(_unknown(ask.model, settings), param="model")
    if not allows_named(bounds, deployment):
        raise _not_allowed(settings, ask.model, bounds)
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
    ask: ChatRequest,
    judgement: Judged,
    pinned: Tier | None,
    hint: Tier | None,
    uncarried: Uncarried,
    bounds: Bounds | None,
) -> Route:
    reached = _reached(settings, plan, ask, pinned, bounds)
    if pinned is not None:
        tier, trail = pinned, _Trail("pinned", [f"the caller pinned {AUTO}:{pinned}"])
    elif hint is not None:
        tier, trail = hint, _Trail("hint", [f"the caller's header asked for {hint}"])
    else:
        tier, trail = judgement.tier, _Trail("judged", list(judgement.reasons))
    if bounds is not None:
        tier = _keyed(tier, tiers_within(settings, bounds), reached, trail)
    served = _gated(plan, tier, trail)
    if bounds is not None:
        served = _keyed(served, reached, reached, trail)
    charge = served if plan.charge_follows_gate else tier
    within = reached[reached.index(served) :]
    deployments = _able(settings, within, ask, trail, uncarried, bounds)
    return Route(
        requested=ask.model,
        charge_tier=charge,
        served_tier=tier_of(settings, deployments[0], served),
        credits_milli=plan.credits.schedule_milli[charge],
        deployments=deployments,
        rule=trail.rule,
        reasons=tuple(trail.reasons),
        baseline=_baseline(settings, None),
        input_estimate=input_estimate(ask),
    )


def _reached(
    settings: Settings, plan: Plan, ask: ChatRequest, pinned: Tier | None, bounds: Bounds | None
) -> tuple[Tier, ...]:
    """Return the tiers that may serve: those that the plan reaches and the key.

    Raises:
        Forbidden: there is none, or the caller pinned one that the key does not reach.
    """
    cap = TIERS.index(_ceiling_tier(plan))
    if bounds is None:
        return TIERS[: cap + 1]
    reached = tiers_within(settings, bounds)
    if not reached or (pinned is not None and pinned not in reached):
        raise _not_allowed(settings, ask.model, bounds)
    both = tuple(tier for tier in reached if TIERS.index(tier) <= cap)
    if not both:
        reach = ", ".join(reached)
        raise Forbidden(f"The plan `{plan.name}` reaches up to {_ceiling_tier(plan)}, this key only {reach}.")
    return both


def _keyed(tier: Tier, allowed: tuple[Tier, ...], reached: tuple[Tier, ...], trail: _Trail) -> Tier:
    """Return the tier itself if it is allowed, else the nearest that is reached: both tiers move, as with a pin."""
    if tier in allowed:
        return tier
    found = nearest(tier, reached)
    trail.add("key", f"the key reaches {', '.join(allowed)}, not {tier}")
    return found


def _by_name(
    settings: Settings,
    plan: Plan,
    ask: ChatRequest,
    deployment: Deployment,
    uncarried: Uncarried,
    bounds: Bounds | None,
) -> Route:
    listed = deployment.listed_tier
    tier: Tier = "complex" if listed is None else listed
    trail = _Trail("named", [f"the caller named {ask.model}"])
    served = _gated(plan, tier, trail)
    if served != tier:
        if served not in tiers_within(settings, bounds):
            raise Forbidden(f"The plan `{plan.name}` reaches up to {served}, where this key reaches no model.")
        deployments = _able(settings, (served,), ask, trail, uncarried, bounds)
    else:
        _require(deployment, ask, uncarried)
        deployments = (deployment, *_stand_ins(settings, plan, ask, deployment, uncarried, bounds))
    charge = served if plan.charge_follows_gate else tier
    own = deployment.credits_milli if listed is None and served == tier else None
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
    ask: ChatRequest,
    deployment: Deployment,
    uncarried: Uncarried,
    bounds: Bounds | None,
) -> Iterator[Deployment]:
    """Yield what serves instead of a named model that does not answer: as configured, within plan and key."""
    for name in deployment.fallbacks:
        each = settings.deployments[name]
        tier: Tier = "complex" if each.listed_tier is None else each.listed_tier
        is_reached = TIERS.index(tier) <= TIERS.index(_ceiling_tier(plan))
        if each.provider.enabled and is_reached and allows_named(bounds, each) and not lacking(each, ask, uncarried):
            yield each


def _ceiling_tier(plan: Plan) -> Tier:
    return "complex" if plan.max_tier is None else plan.max_tier


def _gated(plan: Plan, tier: Tier, trail: _Trail) -> Tier:
    """Return the tier the plan lets through."""
    cap = _ceiling_tier(plan)
    if TIERS.index(tier) <= TIERS.index(cap):
        return tier
    if plan.gate_policy == "refuse":
        raise Forbidden(f"The plan `{plan.name}` reaches up to {cap}; this request needs {tier}.")
    trail.add("gate", f"the plan {plan.name} reaches up to {cap}, not {tier}")
    return cap


def _able(
    settings: Settings,
    tiers: tuple[Tier, ...],
    ask: ChatRequest,
    trail: _Trail,
    uncarried: Uncarried,
    bounds: Bounds | None,
) -> tuple[Deployment, ...]:
    """Return the deployments of some tiers that the key may call and that can take the request, preferred first."""
    found: list[Deployment] = []
    lacks: list[str] = []
    fields: list[str | None] = []
    for tier in tiers:
        for deployment in settings.tiers[tier]:
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
    if found[0] not in settings.tiers[tiers[0]]:
        trail.add("up", f"no model of the tier {tiers[0]} can take it: {'; '.join(lacks)}")
    return tuple(found)


def lacking(deployment: Deployment, ask: ChatRequest, uncarried: Uncarried = _carries_all) -> str | None:
    """Return what a deployment lacks for this request, in words; None when it can take it."""
    if not _chats(deployment):
        return "is no chat model: it has no price for output"
    if ask.has_images and not deployment.vision:
        return "reads no images"
    if ask.tools and not deployment.tools:
        return "calls no tools"
    if ask.wants_schema and not deployment.schema:
        return "has no JSON schema mode"
    window = deployment.context_window
    if window is not None and input_estimate(ask) + _reserve(ask) > window:
        return f"has a window of {window} tokens"
    unsayable = uncarried(deployment, ask)
    return None if unsayable is None else f"is of a provider whose API has no `{unsayable}`"


def _chats(deployment: Deployment) -> bool:
    return deployment.prices is None or "output" in deployment.prices.cards[-1][1].rates


def _require(deployment: Deployment, ask: ChatRequest, uncarried: Uncarried) -> None:
    lack = lacking(deployment, ask, uncarried)
    if lack is not None:
        param = uncarried(deployment, ask)
        raise Malformed(f"The model {deployment.name} {lack}.", param="model" if param is None else param)


def _reserve(ask: ChatRequest) -> int:
    if ask.output_max is None or ask.output_max > OUTPUT_BEYOND_TOKENS:
        return OUTPUT_RESERVE_TOKENS
    return ask.output_max


def input_estimate(ask: ChatRequest) -> int:
    """Return about how many tokens the input is. An estimate: bills come from the provider's own count."""
    return (ask.body_bytes - ask.media_bytes) // BYTES_PER_TOKEN + ask.media_parts * TOKENS_PER_MEDIA_PART + 1


def tier_of(settings: Settings, deployment: Deployment, lowest: Tier) -> Tier:
    """Return the tier, from `lowest` up, that a deployment serves in; `lowest` when it is in none."""
    for tier in TIERS[TIERS.index(lowest) :]:
        if deployment in settings.tiers[tier]:
            return tier
    return lowest


def _baseline(settings: Settings, requested: Deployment | None) -> Deployment | None:
    """Return what would have served without us: the model asked for, or for `auto` the first of complex."""
    named = settings.routing.baseline
    if named in settings.deployments:
        return settings.deployments[named]
    if named == "requested" and requested is not None:
        return requested
    return settings.tiers["complex"][0]
