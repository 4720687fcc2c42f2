"""`penstock explain`: how hard is a request, and where would it go? It calls nobody."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import orjson

from classifiers import read_ask
from margin.money import format_usd
from proxy.caching import repeatable
from proxy.ceilings import ceiling_nusd
from proxy.cli import charges, judged
from proxy.cli.frame import USAGE, fail, keeper, load, print_json, shared_options
from proxy.expected import Expected
from proxy.outputs import Outputs
from proxy.quote import Quote, quote
from proxy.routing import naming, policy, rules
from proxy.routing.policy import Route
from proxy.routing.rules import Facts
from proxy.settings import Routing, Settings
from proxy.upstream.dialects import uncarried
from proxy.wire import chat
from proxy.wire.ask import Ask
from proxy.wire.errors import ProxyError

_NS = 1_000_000_000


@click.command()
@click.argument("request_", metavar="[PROMPT|FILE]", required=False)
@click.option("--model", default="auto", show_default=True, help="The model the caller would ask for.")
@click.option("--plan", help="The plan to judge under; the sell book's default without it.")
@click.option("--customer", default="", metavar="NAME", help="The customer who would ask.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header it would send; repeatable.")
@click.option("--charge", metavar="ID", help="Explain a booked charge instead: its x-penstock-request-id.")
@shared_options
def explain(
    request_: str | None,
    model: str,
    plan: str | None,
    customer: str,
    headers: tuple[str, ...],
    charge: str | None,
    config: Path,
    as_json: bool,
) -> None:
    """Explain where a request would go and why: a prompt, a file, or a request on stdin. Calls nobody."""
    if charge is not None:
        _explain_charge(charge, config, as_json=as_json)
        return
    settings = load(config, quiet=True)
    found = _explained(settings, _request(request_, model), plan, customer, _headers(headers))
    if as_json:
        print_json(found)
        return
    for line in _in_words(found):
        click.echo(line)


def _request(given: str | None, model: str) -> bytes:
    text = sys.stdin.read() if given is None or given == "-" else given
    path = Path(text) if len(text) < 1_000 and "\n" not in text else None
    if given is not None and path is not None and path.is_file():
        text = path.read_text()
    if text.lstrip().startswith("{"):
        return text.encode()
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": text}]})


def _headers(given: tuple[str, ...]) -> dict[bytes, bytes]:
    """Return headers as a server hands them over: names in small letters."""
    pairs = [each.partition(":") for each in given]
    if any(not colon for _, colon, _ in pairs):
        fail("a header is written NAME:VALUE, such as x-penstock-feature:search", USAGE)
    return {name.strip().lower().encode(): value.strip().encode() for name, _, value in pairs}


def _explained(
    settings: Settings,
    body: bytes,
    plan_name: str | None,
    customer: str = "",
    headers: Mapping[bytes, bytes] = MappingProxyType({}),
) -> dict[str, Any]:
    if plan_name is not None and plan_name not in settings.sellbook.plans:
        fail(f'there is no plan "{plan_name}"; plans are: {", ".join(sorted(settings.sellbook.plans))}', USAGE)
    plan = settings.sellbook.plan(plan_name or settings.sellbook.default)
    try:
        ask = chat.read(body)
        read = read_ask(ask.messages, tools=ask.tools, wants_schema=ask.wants_schema)
        judgement = settings.classifier.judge(read)
        asker = rules.asker(settings.routing, customer, headers)
        prices = Expected().nusd if settings.routing.order == "price" else None
        route = policy.route(settings, plan, ask, judgement, uncarried=uncarried, asker=asker, prices=prices)
        terms = quote(plan, route, ask, Outputs())
    except ProxyError as error:
        fail(error.message, USAGE)
    caches = {"cache": "bypass" if _uncached(settings, ask) else "miss", "cache_why": _uncached(settings, ask)}
    return {
        **judged.document(settings.classifier, read, judgement),
        **_route(settings.routing, route, terms, ask, int(time.time())),
        "plan": plan.name,
        "expected_nusd": None
        if prices is None
        else {each.name: prices(each, ask, judgement.task) for each in route.deployments},
        "rules": [] if asker is None else list(_rules(settings, Facts(asker, plan.name, ask.fields, judgement))),
        "session": _session(settings, customer, headers, ask, route),
        **caches,
    }


_KNOWN_BY = {
    "header": "the header x-penstock-session",
    "body": "what its body says of it",
    "response": "the response that it goes on with",
    "prefix": "its messages up to the first answer",
}


def _session(settings: Settings, customer: str, headers: Mapping[bytes, bytes], ask: Ask, route: Route) -> str | None:
    """Say by what the conversation is known that the request is a turn of; None of one turn, or a named model."""
    if settings.routing.sessions is None or route.rule.startswith("named"):
        return None
    found = naming.named(customer, headers, ask)
    return None if found is None else found.by


_UNCACHED = {
    "off": "the cache of responses is off",
    "varied": f"its temperature is above {repeatable.TEMPERATURE_MAX}",
    "choices": "it asks for several choices",
    "tools": "it has tools, and does not say temperature 0",
    "audio": "its answer is audio",
    "search": "its answer depends on a search",
    "stored": "its answer is to be stored at the provider",
}


def _uncached(settings: Settings, ask: Ask) -> str | None:
    """Say in a word why the answer is not given again; None when it is."""
    return repeatable.why_not(ask) if settings.caching.responses else "off"


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


def _in_words(found: dict[str, Any]) -> Iterator[str]:
    yield from judged.in_words(found)
    for rule in found["rules"]:
        if not rule["fits"]:
            yield f"  - the rule {rule['name']} does not fit: {', '.join(rule['unmet'])}"
    for reason in found["why"]:
        yield f"  - {reason}"
    if found["expected_nusd"] is not None:
        costs = ", ".join(f"{name} {format_usd(nusd)}" for name, nusd in found["expected_nusd"].items())
        yield f"Expected to cost, before anything is learnt from answers: {costs}."
    yield f"Goes to {found['model']} at {found['provider']}, tier {found['served_tier']} (rule: {found['rule']})."
    if found["session"] is not None:
        known = _KNOWN_BY[found["session"]]
        yield f"A turn of a conversation, known by {known}: a server that has answered it may keep it where it is."
    if found["fallbacks"]:
        calls = min(found["attempts_max"], len(found["fallbacks"]) + 1)
        within = f"{calls} calls at most, within {found['deadline_s']:g} s"
        yield f"If that fails, or rests as it failed before: {', '.join(found['fallbacks'])}; {within}."
    if found["checks"] is not None:
        held = "" if found["checks"]["streams"] == "pass" else " Streams are held back for it."
        yield f"Its answer is asked for again one tier up if it is flawed: {', '.join(found['checks']['flaws'])}.{held}"
    if found["credits"] is None:
        most = _credits(found["credits_max"])
        yield f"Charged by its usage: {most} are put aside on the plan {found['plan']}, and the rest goes back."
    else:
        yield f"Charged as {found['charge_tier']}: {_credits(found['credits'])} on the plan {found['plan']}."
    yield f"It can cost us at most {format_usd(found['ceiling_nusd'])}."
    if found["cache_why"] is None:
        yield "The same request of the same customer is answered from memory for a while after."
    else:
        yield f"Never answered from memory: {_UNCACHED[found['cache_why']]}."
    yield from judged.apart_in_words(found)


def _credits(amount: float) -> str:
    return f"{amount:g} credit{'' if amount == 1 else 's'}"


def _explain_charge(id_: str, config: Path, *, as_json: bool) -> None:
    found = keeper(config, "explain.charge", {"id": id_})
    if as_json:
        print_json(found)
        return
    for line in charges.in_words(found):
        click.echo(line)
