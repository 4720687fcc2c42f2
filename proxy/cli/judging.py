"""`penstock explain`: how hard is a request, and where would it go? It calls nobody."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import orjson

from margin.money import format_usd
from proxy.caching import repeatable
from proxy.caching.semantic import eligible
from proxy.cli import charges, judged
from proxy.cli.frame import USAGE, fail, keeper, load, print_json, shared_options
from proxy.foretelling import foretold
from proxy.settings import Settings
from proxy.wire.errors import ProxyError


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
    try:
        return foretold(settings, settings.sellbook.plan(plan_name), body, customer, headers)
    except ProxyError as error:
        fail(error.message, USAGE)


_KNOWN_BY = {
    "header": "the header x-penstock-session",
    "body": "what its body says of it",
    "response": "the response that it goes on with",
    "prefix": "its messages up to the first answer",
}


_UNCACHED = {
    "off": "the cache of responses is off",
    "varied": f"its temperature is above {repeatable.TEMPERATURE_MAX}",
    "choices": "it asks for several choices",
    "tools": "it has tools, and does not say temperature 0",
    "audio": "its answer is audio",
    "search": "its answer depends on a search",
    "stored": "its answer is to be stored at the provider",
}


_UNMEANT = {
    None: "So is one that means the same, once such answers are proven right often enough.",
    "rule": "One that means the same is not: that is for requests of other rules.",
    "ask": "One that means the same is not: its last message is not one text of the user's.",
    "long": f"One that means the same is not: its last message is longer than {eligible.CHARS_MAX:,} characters.",
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
    if found["advice"] is not None:
        other, within_s = found["advice"]["between"][1], found["advice"]["deadline_s"]
        yield f"Nearly as likely {other}: {found['advice']['would_ask']} would be asked, and waited for {within_s:g} s."
        yield "  What it says moves who serves, and not the charge."
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
        if found["meaning_why"] != "off":
            yield _UNMEANT[found["meaning_why"]]
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
