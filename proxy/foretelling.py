"""Where would a request go, and why? What `penstock explain` and the page's playground answer. It calls nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from classifiers import TIERS, Judgement, read_ask
from classifiers import Ask as Read
from classifiers.explaining import explain
from margin.sellbook import Plan
from proxy.caching import repeatable
from proxy.caching.semantic import eligible
from proxy.ceilings import ceiling_nusd
from proxy.expected import Expected
from proxy.outputs import Outputs
from proxy.quote import Quote, quote
from proxy.routing import advice, naming, policy, rules
from proxy.routing.policy import Route
from proxy.routing.rules import Facts
from proxy.settings import Classifier, Routing, Settings
from proxy.upstream.dialects import uncarried
from proxy.wire import chat
from proxy.wire.ask import Ask


def foretold(
    settings: Settings,
    plan: Plan,
    body: bytes,
    customer: str = "",
    headers: Mapping[bytes, bytes] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return as JSON values how a chat request would be judged, routed, charged and repeated, and what it could cost.

    Args:
        settings: The configuration.
        plan: Its customer's.
        body: The request.
        customer: Its customer's name; empty for nobody in particular.
        headers: The request's, names in small letters.

    Raises:
        ProxyError: it would be refused.
    """
    ask = chat.read(body)
    read = read_ask(ask.messages, tools=ask.tools, wants_schema=ask.wants_schema)
    judgement = settings.classifier.judge(read)
    asker = rules.asker(settings.routing, customer, headers)
    prices = Expected().nusd if settings.routing.order == "price" else None
    route = policy.route(settings, plan, ask, judgement, uncarried=uncarried, asker=asker, prices=prices)
    terms = quote(plan, route, ask, Outputs())
    uncached = _uncached(settings, ask, route)
    return {
        **_judged(settings.classifier, read, judgement),
        **_route(settings.routing, route, terms, ask, int(time.time())),
        "plan": plan.name,
        "expected_nusd": None
        if prices is None
        else {each.name: prices(each, ask, judgement.task) for each in route.deployments},
        "rules": [] if asker is None else list(_rules(settings, Facts(asker, plan.name, ask.fields, judgement))),
        "advice": _advice(settings, plan, judgement, route),
        "session": _session(settings, customer, headers, ask, route),
        "cache": "bypass" if uncached else "miss",
        "cache_why": uncached,
        "meaning_why": uncached or eligible.why_not(settings.caching.semantic, ask, route.rule),
    }


def _judged(classifier: Classifier, ask: Read, found: Judgement) -> dict[str, Any]:
    """Return a judgement as JSON values."""
    apart = explain(classifier.table, ask, found.task)
    return {
        "tier": found.tier,
        "task": found.task,
        "score": found.score,
        "confidence": found.confidence,
        "probabilities": dict(zip(TIERS, found.probabilities, strict=True)),
        "calibration": "uncalibrated" if found.cuts is None else "tuned",
        "classifier": found.version,
        "thresholds": None if found.cuts is None else found.cuts._asdict(),
        "features": dict(found.features),
        "heads": apart.heads,
        "signals": apart.signals,
        "parts": [part._asdict() for part in apart.parts],
    }


def _advice(settings: Settings, plan: Plan, judged: Judgement, route: Route) -> dict[str, Any] | None:
    """Say who would be asked which of two tiers it is; None: nobody. A server may know the answer already."""
    advisor = settings.classifier.advisor
    found = None if advisor is None else advice.in_doubt(advisor, plan, route.rule, lambda: judged)
    if advisor is None or found is None:
        return None
    return {"would_ask": found.by, "between": [found.judged, found.other], "deadline_s": advisor.deadline_s}


def _session(settings: Settings, customer: str, headers: Mapping[bytes, bytes], ask: Ask, route: Route) -> str | None:
    """Say by what the conversation is known that the request is a turn of; None of one turn, or a named model."""
    if settings.routing.sessions is None or route.rule.startswith("named"):
        return None
    found = naming.named(customer, headers, ask)
    return None if found is None else found.by


def _uncached(settings: Settings, ask: Ask, route: Route) -> str | None:
    """Say in a word why the answer is not given again; None when it is."""
    return repeatable.why_not(ask) if settings.caching.keeping(route.rule).enabled else "off"


def _rules(settings: Settings, facts: Facts) -> Iterator[dict[str, Any]]:
    """Yield each rule of the policy: whether it fits, and if not, why; none after the one that won."""
    for rule in settings.routing.rules:
        unmet = list(rules.unmet(rule, facts))
        yield {"name": rule.name, "fits": not unmet, "when": rules.in_words(rule), "unmet": unmet}
        if not unmet:
            return


def _route(routing: Routing, route: Route, terms: Quote, ask: Ask, now_s: int) -> dict[str, Any]:
    first = route.deployments[0]
    return {
        "why": list(route.reasons),
        "rule": route.rule,
        "charge_tier": route.charge_tier,
        "served_tier": route.served_tier,
        "model": first.name,
        "provider": first.provider.name,
        "fallbacks": [each.name for each in route.deployments[1:]],
        "attempts_max": routing.retries.attempts_max,
        "deadline_s": routing.deadline_s,
        "credits": terms.hold_milli / 1000 if terms.meter is None else None,
        "credits_max": terms.hold_milli / 1000,
        "ceiling_nusd": ceiling_nusd(first, ask, now_s),
        "baseline": None if route.baseline is None else route.baseline.name,
        "checks": None if route.checks is None else route.checks.words(),
    }
