"""What an answer's headers tell of its exchange: tiers, model, route, cache, credits, limits, our own overhead."""

from __future__ import annotations

import time

from proxy import refusing
from proxy.routing import policy
from proxy.settlement import Call, Case
from proxy.wire import headers
from proxy.world import World


def headers_of(world: World, case: Case, call: Call, *, cache: bytes | None = None) -> list[tuple[bytes, bytes]]:
    """Return the headers that say what happened. `cache` is its word where the answer came from memory."""
    route, x = case.route, case.ticket.x.encode()
    # Of a stream: up to its first byte. Reading, judging, routing, holding, settling, and waiting for our own loop.
    overhead_ms = (time.perf_counter() - case.started - call.upstream_s) * 1000
    found = [
        (b"x-penstock-request-id", x),
        (b"x-request-id", x),  # where OpenAI's clients look for it
        (b"x-penstock-tier", route.charge_tier.encode()),
        (b"x-penstock-served-tier", policy.tier_of(case.settings, call.deployment, route.served_tier).encode()),
        (b"x-penstock-confidence", b"%.2f" % case.judging.judge().confidence),
        (b"x-penstock-model", call.deployment.name.encode()),
        (b"x-penstock-provider", call.deployment.provider.name.encode()),
        (b"x-penstock-cache", cache or (b"bypass" if case.place is None else b"miss")),
        (b"x-penstock-route", f"{route.rule}{call.detour}".encode()),
        (b"x-penstock-overhead-ms", b"%.2f" % overhead_ms),
    ]
    charged = case.ticket.charged_milli
    if charged is None and case.quote.meter is None:
        charged = case.quote.hold_milli
    if charged is not None:  # of a metered stream nobody knows it yet
        found.append((b"x-penstock-credits-charged", headers.decimal(charged)))
    if case.bundle.told_requests or case.bundle.told_tokens:
        found += refusing.headers(case.bundle, world.limits.guard.clock())
    if case.bundle.told_purses:
        found += refusing.budget_headers(case.bundle, case.principal.scopes, world.limits.guard.clock())
    alert = world.alerted.get(case.ticket.customer)
    if alert is not None:
        found.append((b"x-penstock-quota-alert", alert))
    left = world.wallets.left_milli(case.ticket.customer)
    # With one worker its lease is the whole balance; of several none knows it, and none says a wrong figure.
    if left is not None and case.plan.credits.enforce == "hard" and case.settings.server.workers == 1:
        found.append((b"x-penstock-credits-remaining", headers.decimal(left)))
    return found
