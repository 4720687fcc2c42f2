"""Metering: what a call cost, what the baseline would have cost, and what is known when the provider reports nothing.

Unknown is None, never zero: a deployment without a price for a bucket it used has an unknown cost, and the row says so.
"""

from __future__ import annotations

from typing import Final

from margin import records
from margin.card import SERVICE_TIERS, Card
from margin.costbook import NoPrice, UnpricedBucket
from margin.records import Aside, CostKind, Record, Sake
from margin.usage import Usage
from proxy.settings import Deployment
from proxy.wire.ask import Ask

_STANDARD: Final = frozenset({"default", "standard", "standard_only", "on_demand"})
"""What requests call the service tier of the price list (OpenAI, Anthropic, Groq)."""


def cost_nusd(deployment: Deployment, usage: Usage, at_s: int) -> int | None:
    """Return the exact cost, rounded once; 0 for a free deployment, None when the price is not known."""
    if deployment.free:
        return 0
    try:
        card = _card(deployment, usage.service_tier, at_s)
        return None if card is None else card.cost_nusd(usage)
    except UnpricedBucket:
        return None


def card_id(deployment: Deployment, at_s: int, service_tier: str | None = None) -> str | None:
    """Return which price entry applies, for the record."""
    card = _card(deployment, service_tier, at_s)
    return None if card is None else card.id


def _card(deployment: Deployment, service_tier: str | None, at_s: int) -> Card | None:
    """Return the prices of a moment; of a service tier that is not priced apart, the standard ones."""
    if deployment.prices is None:
        return None
    try:
        card = deployment.prices.at(at_s)
    except NoPrice:
        return None
    return card if service_tier is None else card.for_service_tier(service_tier)


def service_tier_of(deployment: Deployment, ask: Ask) -> str | None:
    """Return the service tier that a request is to be served in there; None is the standard one.

    By its own word, or the project's. The provider may serve it in another, and says which when it answers.
    """
    asked = ask.fields.get("service_tier")
    if ask.fields.get("speed") == "fast":  # Anthropic's word for it
        return "fast"
    if asked is None or asked == "auto":
        return deployment.provider.service_tier
    return None if asked in _STANDARD else str(asked)


def estimated(input_tokens: int, output_tokens: int, service_tier: str | None = None) -> Usage:
    """Return usage nobody reported. Marked, booked in suspense, corrected when the provider's bill is known."""
    return Usage(input=input_tokens, output=output_tokens, source="estimated", service_tier=service_tier)


def attempt(
    n: int,
    deployment: Deployment,
    at_s: int,
    *,
    usage: Usage | None,
    failed: bool = False,
    status: int | None,
    call_id: str | None = None,
    most_nusd: int | None = None,
    whole: bool = False,
    sake: Sake | None = None,
    aside: Aside | None = None,
) -> Record:
    """Return the cost line of one call.

    Args:
        n: Which call of its exchange.
        deployment: Where it went.
        at_s: The moment, in unix seconds.
        usage: What it used; None: the provider never had it, or billed nothing, and the cost is 0.
        failed: Whether nobody got an answer.
        status: What the provider answered.
        call_id: Its own name of the call.
        most_nusd: The ceiling that a stated budget holds for the call. It counts as long as nobody knows the cost.
        whole: Whether its answer was seen to the end: then our own count of it is taken for the cost.
        sake: What it was made for, if another call gave the answer.
        aside: What kind of call beside an exchange it is, if it is one.
    """
    cost = 0 if usage is None else cost_nusd(deployment, usage, at_s)
    tier = None if usage is None else usage.service_tier
    is_sure = usage is None or (cost is not None and (whole or usage.source == "reported"))
    return records.attempt(
        n=n,
        provider=deployment.provider.name,
        deployment=deployment.name,
        model=deployment.model,
        card=card_id(deployment, at_s, tier),
        kind=_kind(usage, aside, failed=failed),
        usage=None if usage is None else usage.as_dict(),
        cost_nusd=cost,
        call_id=call_id,
        status=status,
        service_tier=tier if tier in SERVICE_TIERS else None,
        most_nusd=None if is_sure else most_nusd,
        sake=sake,
    )


def _kind(usage: Usage | None, aside: Aside | None, *, failed: bool) -> CostKind:
    if failed:
        return "failed"
    if usage is not None and usage.source == "estimated":
        return "estimated"
    return aside or "model"
