"""Marks for providers' prompt caches: set for callers who set none, where a prefix is expected back in time.

What they save is counted beside what they cost, as a lever of its own: of calls that were marked here, what the same
tokens had cost without a cache, less what was billed. It is below zero where a prefix did not come back. What providers
cache unasked, or at their caller's word, is nobody's saving here.
"""

from __future__ import annotations

from decimal import Decimal

from margin.costbook import NoPrice
from proxy.caching.prefixes import Rates
from proxy.settings import Deployment
from proxy.settlement import NS, Case
from proxy.upstream import dialects
from proxy.world import World


def mark(world: World, case: Case, deployment: Deployment, body: bytes) -> bytes | None:
    """Return the body of a call with marks; None where it stays as it is. Decided anew for each call."""
    if case.settings.caching.prompts == "off" or not dialects.wants_marks(deployment):
        return None
    t = world.now()
    rates = _rates(deployment, t // NS)
    if rates is None:
        return None
    owner = f"{case.ticket.customer}\n{deployment.name}"
    return dialects.marked(
        deployment, body, lambda parts, tokens_min: world.prefixes.choose(owner, parts, rates, tokens_min, t)
    )


def _rates(deployment: Deployment, at_s: int) -> Rates | None:
    """Return what the deployment's cache costs beside plain input; None where it has none, or nobody knows."""
    if deployment.prices is None or deployment.free:
        return None
    try:
        rates = deployment.prices.at(at_s).rates
    except NoPrice:
        return None
    plain, read, written = rates["input"], rates.get("cache_read"), rates.get("cache_write_5m")
    if not plain or read is None or written is None:
        return None
    hour = rates.get("cache_write_1h")
    return Rates(_part(read, plain), _part(written, plain), None if hour is None else _part(hour, plain))


def _part(rate: Decimal, of: Decimal) -> float:
    return float(rate / of)
