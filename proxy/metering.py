"""Metering: what a call cost, what the baseline would have cost, and what is known when the provider reports nothing.

Unknown is None, never zero: a deployment without a price for a bucket it used has an unknown cost, and the row says so.
"""

from __future__ import annotations

from margin import records
from margin.costbook import NoPrice, UnpricedBucket
from margin.records import CostKind, Record
from margin.usage import Usage
from proxy.settings import Deployment


def cost_nusd(deployment: Deployment, usage: Usage, at_s: int) -> int | None:
    """Return the exact cost, rounded once; 0 for a free deployment, None when the price is not known."""
    if deployment.free:
        return 0
    if deployment.prices is None:
        return None
    try:
        return deployment.prices.at(at_s).cost_nusd(usage)
    except (NoPrice, UnpricedBucket):
        return None


def card_id(deployment: Deployment, at_s: int) -> str | None:
    """Return which price entry applies, for the record."""
    if deployment.prices is None:
        return None
    try:
        return deployment.prices.at(at_s).id
    except NoPrice:
        return None


def estimated(input_tokens: int, output_tokens: int) -> Usage:
    """Return usage nobody reported. Marked, booked in suspense, corrected when the provider's bill is known."""
    return Usage(input=input_tokens, output=output_tokens, source="estimated")


def attempt(
    n: int,
    deployment: Deployment,
    at_s: int,
    *,
    usage: Usage | None,
    failed: bool = False,
    status: int | None,
    call_id: str | None = None,
) -> Record:
    """Return the cost line of one call. `usage` None: the provider never had it, or billed nothing; the cost is 0."""
    cost = 0 if usage is None else cost_nusd(deployment, usage, at_s)
    return records.attempt(
        n=n,
        provider=deployment.provider.name,
        deployment=deployment.name,
        model=deployment.model,
        card=card_id(deployment, at_s),
        kind=_kind(usage, failed=failed),
        usage=None if usage is None else usage.as_dict(),
        cost_nusd=cost,
        call_id=call_id,
        status=status,
    )


def _kind(usage: Usage | None, *, failed: bool) -> CostKind:
    if failed:
        return "failed"
    return "estimated" if usage is not None and usage.source == "estimated" else "model"
