"""The most that a request can cost, before anybody is called: what budgets hold.

An upper bound and never a mean: at most one token per byte of the body in, the documented maximum of each image, the
stated `max_tokens` or the most that the model can put out, for each choice, all at the dearest rate that can apply, in
the service tier, too, that the request asks for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from margin.card import Card
from margin.costbook import NoPrice, UnpricedBucket
from proxy import metering
from proxy.quote import input_max_of, output_max_of
from proxy.settings import Deployment
from proxy.wire.ask import Ask

OUTPUT_ASSUMED_TOKENS = 131_072
"""Where neither request nor model states a limit and only a default budget asks: as long as the longest answers of the
models in the shipped cost book that are not of the largest context."""


CEILING_NUSD_MAX: Final = 10**18 + 1
"""More than the largest budget, a billion dollars: it fits none, and sums of it stay within 64 bits."""

_NOT_DEARER: Final = frozenset({None, "flex", "batch"})
"""Service tiers that cost what the list says, or less (OpenAI, Anthropic, Groq)."""


def ceiling_nusd(deployment: Deployment, ask: Ask, at_s: int, *, assumed_out: int | None = None) -> int | None:
    """Return the most that one call can cost; None when its price, or what bounds it, is not known.

    Args:
        deployment: Where the call goes.
        ask: The request.
        at_s: The moment, in unix seconds: prices are dated.
        assumed_out: What is taken for the output's bound where none is known.
    """
    if deployment.free:
        return 0
    if deployment.prices is None:
        return None
    ins, out = input_max_of(deployment, ask), output_max_of(deployment, ask)
    if out is None:
        # Nobody answers beyond the window.
        out = assumed_out if deployment.context_window is None else deployment.context_window
    if ins is None or out is None:
        return None
    try:
        card = deployment.prices.at(at_s)
        most = card.ceiling_nusd(input_tokens_max=ins, output_tokens_max=out * ask.choices)
        if asks_for_dearer(deployment, ask):
            dearer = list(_dearer(card, metering.service_tier_of(deployment, ask)))
            if not dearer and assumed_out is None:
                return None
            for each in dearer:
                most = max(most, each.ceiling_nusd(input_tokens_max=ins, output_tokens_max=out * ask.choices))
        return min(most, CEILING_NUSD_MAX)
    except (NoPrice, UnpricedBucket):
        return None


def asks_for_dearer(deployment: Deployment, ask: Ask) -> bool:
    """Tell whether a request is to be served in a service tier that may cost more than the standard one."""
    return metering.service_tier_of(deployment, ask) not in _NOT_DEARER


def _dearer(card: Card, service_tier: str | None) -> Iterable[Card]:
    """Return what may be billed in place of the standard card; all that it prices, where it does not know the tier."""
    found = None if service_tier is None else card.service_tiers.get(service_tier)
    return [each for name, each in card.service_tiers.items() if name not in _NOT_DEARER] if found is None else [found]
