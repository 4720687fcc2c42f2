"""Marks for providers' prompt caches: set for callers who set none, where a prefix is expected back in time.

What they save is counted beside what they cost, as a lever of its own: of calls that were marked here, what the same
tokens had cost without a cache, less what was billed. It is below zero where a prefix did not come back. What providers
cache unasked, or at their caller's word, is nobody's saving here; nor is what a provider that writes unasked, and bills
it, was kept from writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from margin.costbook import NoPrice
from proxy.caching.prefixes import PRIOR_UNASKED, Lifetime, Part, Rates
from proxy.settings import Deployment
from proxy.settlement import NS, Case
from proxy.upstream import dialects
from proxy.world import World


def mark(world: World, case: Case, deployment: Deployment, body: bytes) -> tuple[bytes, bool]:
    """Return the body of a call with what its provider's cache is told, and whether what it reads there is ours.

    Decided anew for each call.
    """
    if case.settings.caching.prompts == "off" or not dialects.wants_marks(deployment):
        return body, False
    if case.ask.surface == "embeddings":
        return body, False
    t = world.now()
    rates = _rates(deployment, t // NS)
    if rates is None:
        return body, False
    found = dialects.marked(deployment, body, _Choice(world, f"{case.ticket.customer}\n{deployment.name}", rates, t))
    return body if found is None else found, found is not None and not dialects.caches_unasked(deployment)


class _Choice(NamedTuple):
    """What decides for one call."""

    world: World
    owner: str
    rates: Rates
    t: int

    def __call__(self, parts: Sequence[Part], tokens_min: int, *, goes_on: bool) -> tuple[Lifetime | None, ...]:
        workers = self.world.settings.server.workers
        return self.world.prefixes.choose(self.owner, parts, self.rates, tokens_min, self.t, goes_on=goes_on,
                                          workers=workers)  # fmt: skip

    def key(self, head: bytes, talk: bytes) -> str:
        return self.world.shards.key(self.owner, head, talk, self.t, self.world.settings.server.workers)


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
    if dialects.caches_unasked(deployment):  # it has one lifetime, of half an hour
        return Rates(_part(read, plain), None, None, _part(written, plain), PRIOR_UNASKED)
    return Rates(_part(read, plain), _part(written, plain), None if hour is None else _part(hour, plain))


def _part(rate: Decimal, of: Decimal) -> float:
    return float(rate / of)
