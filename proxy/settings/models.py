"""Deployments, tiers and aliases: what a request may name, and what `auto` chooses among."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from margin.card import Card
from margin.costbook import CostBook, PriceHistory
from margin.sellbook import TIERS, Tier
from proxy.settings.findings import Findings
from proxy.settings.problems import Steps
from proxy.settings.shape import ModelShape, PriceShape, TiersShape
from proxy.settings.values import CHATS, EMBEDS, Deployment, Provider

AUTO: Final = ("auto", *(f"auto:{tier}" for tier in TIERS))
"""The names that the router answers to; no model or alias may take one."""

_LENDERS: Final[Mapping[Tier, tuple[Tier, ...]]] = {
    "simple": ("medium", "complex"),
    "medium": ("complex", "simple"),
    "complex": ("medium", "simple"),
}
"""Whom an empty tier borrows from: the next one up, and where there is none, the next one down."""

_EMBEDDING: Final = frozenset({"openai", "gemini", "litellm"})
"""Dialects whose API makes embeddings."""


def deployments(
    shapes: Mapping[str, ModelShape],
    tiers: TiersShape,
    providers: Mapping[str, Provider],
    costbook: CostBook | None,
    findings: Findings,
) -> dict[str, Deployment]:
    """Return every model whose provider exists, each with its prices; `None` is a cost book that is wrong."""
    listed = _listed_tiers(tiers)
    found: dict[str, Deployment] = {}
    for name, shape in shapes.items():
        steps: Steps = ("models", name)
        if name in AUTO:
            findings.wrong(steps, "is a name that the router answers to; give it another")
        if shape.provider not in providers:
            way = (*steps, "provider")
            findings.unknown(way, shape.provider, "provider", list(providers))
            continue
        prices = _prices(name, shape, costbook, findings)
        deployment = _deployment(name, shape, providers[shape.provider], prices, listed.get(name))
        _check_serves(deployment, (*steps, "serves"), findings)
        found[name] = deployment
    return found


def _listed_tiers(tiers: TiersShape) -> dict[str, Tier]:
    """Return the highest tier that lists each model."""
    return {name: tier for tier in TIERS for name in getattr(tiers, tier)}


def _deployment(
    name: str,
    shape: ModelShape,
    provider: Provider,
    prices: PriceHistory | None,
    listed_tier: Tier | None,
) -> Deployment:
    known_window = None if prices is None else prices.context_window
    known_output = None if prices is None else prices.output_max
    found = Deployment(
        name=name,
        provider=provider,
        model=name if shape.model is None else shape.model,
        prices=prices,
        free=shape.free,
        context_window=known_window if shape.context_window is None else shape.context_window,
        output_max=known_output if shape.output_max is None else shape.output_max,
        vision=shape.capabilities.vision,
        tools=shape.capabilities.tools,
        schema=shape.capabilities.json_schema,
        audio=shape.capabilities.audio,
        reasoning=shape.capabilities.reasoning,
        serves=_serves(shape, prices),
        credits_milli=None if shape.credits is None else int(shape.credits * 1000),
        listed_tier=listed_tier,
        fallbacks=tuple(shape.fallbacks),
        weight=shape.weight,
        reserved_tpm=shape.reserved_tpm,
    )
    return replace(found, flex=_flex(found))


def _flex(deployment: Deployment) -> Deployment | None:
    """Return a deployment as it is asked for in the service tier `flex`, where its provider sells that."""
    provider, prices = deployment.provider, deployment.prices
    if provider.dialect != "openai" or provider.service_tier is not None or prices is None:
        return None
    if "flex" not in prices.cards[-1][1].service_tiers:
        return None
    # What names no service tier is served in the project's: so its cost is told, and what is asked for it says itself.
    return replace(deployment, provider=replace(provider, service_tier="flex"), asks_tier="flex", reserved_tpm=None)


def _serves(shape: ModelShape, prices: PriceHistory | None) -> frozenset[str]:
    """Return what a model can be asked for: as stated, or as its price says, which has no output where it embeds."""
    if shape.serves is not None:
        return frozenset(shape.serves)
    return EMBEDS if prices is not None and "output" not in prices.cards[-1][1].rates else CHATS


def _check_serves(deployment: Deployment, steps: Steps, findings: Findings) -> None:
    """Check that a provider's API has what its model is said to serve."""
    dialect = deployment.provider.dialect
    if dialect not in _EMBEDDING and "embeddings" in deployment.serves:
        findings.wrong(steps, f"names embeddings, which the API of the dialect {dialect} has none of")
    if dialect != "openai" and "completions" in deployment.serves:
        findings.wrong(steps, f"names completions, which are OpenAI's; {dialect} answers them by way of chat")


def _prices(name: str, shape: ModelShape, costbook: CostBook | None, findings: Findings) -> PriceHistory | None:
    steps: Steps = ("models", name)
    if shape.free:
        if shape.price is not None:
            findings.wrong((*steps, "price"), "contradicts free: true; keep one of them")
        return None
    if shape.price is not None:
        return PriceHistory.fixed(_card(shape.price))
    if costbook is None:
        return None
    model = name if shape.model is None else shape.model
    history = costbook.find(model, shape.provider)
    if history is None:
        findings.wrong(
            steps,
            f'has no price: the cost book does not know "{model}" of {shape.provider}; '
            "state price: {input: …, output: …} or free: true",
        )
    return history


def _card(price: PriceShape) -> Card:
    return Card.of(
        input=price.input,
        output=price.output,
        cache_read=price.cache_read,
        cache_write=price.cache_write,
        cache_write_1h=price.cache_write_1h,
    )


def check_tiers(
    tiers: TiersShape, shapes: Mapping[str, ModelShape], found: Mapping[str, Deployment], findings: Findings
) -> None:
    """Check what the tiers list, and that every model that can be called has something to charge."""
    for tier in TIERS:
        _check_list(tier, getattr(tiers, tier), shapes, found, findings)
    if not any(getattr(tiers, tier) for tier in TIERS):
        findings.wrong(("tiers",), "name no model at all; auto has nowhere to go")
    listed = _listed_tiers(tiers)
    for name, deployment in found.items():
        if name not in listed and deployment.credits_milli is None and deployment.provider.enabled:
            findings.warn(
                ("models", name),
                f"{name} is in no tier and states no credits, so naming it charges {deployment.tier}",
            )


def _check_list(
    tier: Tier,
    names: list[str],
    shapes: Mapping[str, ModelShape],
    found: Mapping[str, Deployment],
    findings: Findings,
) -> None:
    for index, name in enumerate(names):
        steps: Steps = ("tiers", tier, index)
        if name not in shapes:
            findings.unknown(steps, name, "model", list(shapes))
            continue
        if name in names[:index]:
            findings.wrong(steps, f'"{name}" is listed twice in this tier')
        price = shapes[name].price
        if price is not None and price.output is None:
            way = ("models", name, "price")
            findings.wrong(way, f"needs output, as the tier {tier} lists it")
        elif name in found and "chat" not in found[name].serves:
            findings.wrong(steps, f'"{name}" serves no chat, and tiers are of models that do')


def routable(
    tiers: TiersShape, found: Mapping[str, Deployment], findings: Findings
) -> dict[Tier, tuple[Deployment, ...]]:
    """Return the enabled deployments of each tier; an empty tier borrows, with one warning.

    With nothing enabled at all there is nobody to borrow from: the tiers stay as written, so that
    commands which call nobody can still show them.
    """
    written: dict[Tier, tuple[Deployment, ...]] = {
        tier: tuple(found[name] for name in getattr(tiers, tier) if name in found) for tier in TIERS
    }
    enabled: dict[Tier, tuple[Deployment, ...]] = {
        tier: tuple(one for one in written[tier] if one.provider.enabled) for tier in TIERS
    }
    if not any(enabled.values()):
        return written
    return {tier: enabled[tier] or _borrowed(tier, enabled, findings) for tier in TIERS}


def _borrowed(tier: Tier, enabled: Mapping[Tier, tuple[Deployment, ...]], findings: Findings) -> tuple[Deployment, ...]:
    lender = next(other for other in _LENDERS[tier] if enabled[other])
    direction = "up" if TIERS.index(lender) > TIERS.index(tier) else "down"
    findings.warn(
        ("tiers", tier),
        f"tier {tier} has no enabled model and borrows those of {lender}, the next one {direction}",
    )
    return enabled[lender]


def aliases(
    given: Mapping[str, str], shapes: Mapping[str, ModelShape], findings: Findings, *, stated: bool
) -> dict[str, str]:
    """Return the aliases, each a new name for something that exists; the shipped ones give way to models."""
    if not stated:
        return {alias: target for alias, target in given.items() if alias not in shapes}
    for alias, target in given.items():
        steps: Steps = ("aliases", alias)
        if alias in shapes:
            findings.wrong(steps, f'"{alias}" is the name of a model already')
        if alias in AUTO:
            findings.wrong(steps, f'"{alias}" is a name that the router answers to')
        if target not in shapes and target not in AUTO:
            findings.unknown(steps, target, "model", [*shapes, *AUTO])
    return dict(given)


def check_baseline(baseline: str, shapes: Mapping[str, ModelShape], findings: Findings) -> None:
    """Check that savings are measured against something that exists."""
    known = ["requested", "frontier", *shapes]
    if baseline not in known:
        findings.unknown(("routing", "baseline"), baseline, "baseline", known)
