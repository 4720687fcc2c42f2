"""The policy's rules, held against one request: the first that fits wins. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from proxy.settings import TIERS, Routing, Rule, Tier
from proxy.wire.errors import Malformed

LEAST = "x-penstock-min-tier"


class Asker(NamedTuple):
    """What of a caller a route may depend on, besides its key and plan: None of it where nothing looks at it."""

    customer: str
    headers: Mapping[bytes, bytes] = {}
    """Those that rules look at."""
    at_least: Tier | None = None
    """The lowest tier that it takes."""

    def digest(self) -> bytes:
        """Return what tells it from others, for who remembers routes."""
        return repr((self.customer, sorted(self.headers.items()), self.at_least)).encode()


class Judged(Protocol):
    """What a rule needs of a judgement; it is looked at only where a rule asks for the task."""

    @property
    def task(self) -> str:
        """The task."""
        ...


class Facts(NamedTuple):
    """What rules are held against."""

    asker: Asker
    plan: str
    fields: Mapping[str, Any]
    judgement: Judged


def asker(routing: Routing, customer: str, headers: Mapping[bytes, bytes]) -> Asker | None:
    """Return what of a caller its route depends on; None where nothing but its key and plan counts.

    Raises:
        Malformed: its header names no tier.
    """
    least = headers.get(b"x-penstock-min-tier")
    if least is None and not routing.rules and not routing.is_weighted:
        return None
    found = {name: headers[name] for name in routing.rule_headers if name in headers}
    return Asker(customer, found, None if least is None else _tier(least))


def _tier(value: bytes) -> Tier:
    for tier in TIERS:
        if value == tier.encode():
            return tier
    raise Malformed(f"`{LEAST}` must be one of: {', '.join(TIERS)}.", param=LEAST)


def first(rules: Iterable[Rule], facts: Facts) -> Rule | None:
    """Return the first rule that fits; None when none does."""
    return next((rule for rule in rules if next(unmet(rule, facts), None) is None), None)


def unmet(rule: Rule, facts: Facts) -> Iterator[str]:
    """Yield what a rule asks for and the request is not, in words; the judgement is asked last, and only if need be."""
    caller = facts.asker
    if rule.plans is not None and facts.plan not in rule.plans:
        yield f"the plan is {facts.plan}"
    if rule.customers is not None and caller.customer not in rule.customers:
        yield f"the customer is {caller.customer or 'not named'}"
    for name, values in rule.headers:
        said = caller.headers.get(name)
        if said is None or (values is not None and said not in values):
            yield f"the header {name.decode()} is {'not there' if said is None else 'another'}"
    if rule.models is not None and facts.fields.get("model") not in rule.models:
        yield "another model is asked for"
    for tag, words in rule.tags:
        value = _tags(facts.fields).get(tag)
        if value is None or (words is not None and value not in words):
            yield f"the tag {tag} is {'not there' if value is None else 'another'}"
    if rule.tasks is not None and facts.judgement.task not in rule.tasks:
        yield f"the task is {facts.judgement.task}"


def _tags(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the request's tags; only texts count."""
    found = fields.get("metadata")
    return {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def in_words(rule: Rule) -> str:
    """Return the conditions of a rule in words."""
    found = [
        f"the {noun} is {_either(words)}"
        for noun, words in (("customer", rule.customers), ("plan", rule.plans), ("task", rule.tasks),
                            ("model asked for", rule.models))
        if words is not None
    ]  # fmt: skip
    found += [
        f"the header {name.decode()} is {_either(None if words is None else [each.decode() for each in words])}"
        for name, words in rule.headers
    ]
    found += [f"the tag {name} is {_either(words)}" for name, words in rule.tags]
    return " and ".join(found) or "it always holds"


def _either(words: Iterable[str] | None) -> str:
    return "there" if words is None else " or ".join(sorted(words))
