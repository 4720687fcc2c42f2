"""The policy's rules as the YAML states them → their values; which can reach no model, and which is never reached."""

from collections.abc import Mapping, Sequence
from typing import Final

from classifiers import TASKS
from margin.sellbook import TIERS, SellBook, Tier
from proxy.settings.findings import Findings
from proxy.settings.patterns import Pattern, pattern
from proxy.settings.problems import Steps
from proxy.settings.routing import Checks, Rule
from proxy.settings.routing_shape import EscalateShape, RuleShape, WhenShape
from proxy.settings.values import Deployment

FEATURE: Final = b"x-penstock-feature"
ANY: Final = "*"


def rules_of(
    shapes: Sequence[RuleShape], found: Mapping[str, Deployment], sellbook: SellBook | None, findings: Findings
) -> tuple[Rule, ...]:
    """Return the rules of a policy; `None` is a sell book that is wrong."""
    for index, shape in enumerate(shapes):
        steps: Steps = ("routing", "rules", index)
        _check_words(shape, steps, sellbook, findings)
        _check_reach(shape, steps, found, sellbook, findings)
        _check_place(shapes, index, steps, findings)
    return tuple(
        _rule(shape, checks_of(shape.escalate, ("routing", "rules", index, "escalate"), findings))
        for index, shape in enumerate(shapes)
    )


def checks_of(shape: EscalateShape | None, steps: Steps, findings: Findings) -> Checks | None:
    """Return how answers are checked; `None` where nothing is said of it."""
    if shape is None:
        return None
    return Checks(
        flaws=frozenset(shape.flaws),
        reject=_patterns(shape.reject, (*steps, "reject"), findings),
        require=_patterns(shape.require, (*steps, "require"), findings),
        callers=shape.callers,
        holds_streams=shape.streams == "hold",
    )


def _patterns(texts: Sequence[str], steps: Steps, findings: Findings) -> tuple[Pattern, ...]:
    found = []
    for index, text in enumerate(texts):
        try:
            found.append(pattern(text))
        except ValueError as error:
            findings.wrong((*steps, index), str(error))
    return tuple(found)


def headers_of(rules: Sequence[Rule]) -> tuple[bytes, ...]:
    """Return the names of the headers that rules look at."""
    return tuple(sorted({name for rule in rules for name, _ in rule.headers}))


def _rule(shape: RuleShape, checks: Checks | None) -> Rule:
    when = shape.when
    headers = [(name.encode(), _values(words)) for name, words in when.header.items()]
    if when.feature is not None:
        headers.append((FEATURE, _values(when.feature)))
    return Rule(
        name=shape.name,
        customers=_set(when.customer),
        plans=_set(when.plan),
        tasks=_set(when.task),
        models=_set(when.model),
        headers=tuple(
            (name, None if words is None else frozenset(each.encode() for each in words)) for name, words in headers
        ),
        tags=tuple((name, _values(words)) for name, words in when.tags.items()),
        tier=shape.tier,
        at_least=shape.at_least,
        at_most=shape.at_most,
        use=tuple(shape.use),
        checks=checks,
    )


def _set(words: list[str] | None) -> frozenset[str] | None:
    return None if words is None else frozenset(words)


def _values(words: list[str]) -> frozenset[str] | None:
    return None if ANY in words else frozenset(words)


def _check_words(shape: RuleShape, steps: Steps, sellbook: SellBook | None, findings: Findings) -> None:
    for index, task in enumerate(shape.when.task or ()):
        if task not in TASKS:
            findings.unknown((*steps, "when", "task", index), task, "task", list(TASKS))
    for index, plan in enumerate(shape.when.plan or ()):
        if sellbook is not None and plan not in sellbook.plans:
            findings.unknown((*steps, "when", "plan", index), plan, "plan", list(sellbook.plans))
    if not (shape.tier or shape.at_least or shape.at_most or shape.use or shape.escalate):
        findings.wrong(steps, "says nothing: state tier, at_least, at_most, use or escalate")


def _check_reach(
    shape: RuleShape,
    steps: Steps,
    found: Mapping[str, Deployment],
    sellbook: SellBook | None,
    findings: Findings,
) -> None:
    """A rule that can reach no model would refuse whatever it fits."""
    for index, name in enumerate(shape.use):
        if name not in found:
            findings.unknown((*steps, "use", index), name, "model", list(found))
    used = [found[name] for name in shape.use if name in found]
    is_anybody_there = any(each.provider.enabled for each in found.values())
    if used and is_anybody_there and not any(each.provider.enabled for each in used):
        findings.wrong((*steps, "use"), "reaches no model: the providers of all of them are disabled")
    low, high = _index(shape.at_least, 0), _index(shape.at_most, len(TIERS) - 1)
    if low > high:
        findings.wrong((*steps, "at_least"), f"is above at_most: {shape.at_least} and {shape.at_most}")
    if used and all(TIERS.index(each.tier) < low for each in used):
        findings.wrong((*steps, "use"), f"reaches no model: all of them are below at_least, which is {shape.at_least}")
    for name in shape.when.plan or ():
        plan = None if sellbook is None else sellbook.plans.get(name)
        cap = len(TIERS) - 1 if plan is None else _index(plan.max_tier, len(TIERS) - 1)
        if low > cap:
            findings.wrong((*steps, "at_least"), f"is above what the plan {name} reaches, which is {TIERS[cap]}")
        if used and all(_index(each.listed_tier, 0) > cap for each in used):
            findings.wrong((*steps, "use"), f"reaches no model in the plan {name}, which goes up to {TIERS[cap]}")
        floor = _index(None if plan is None else plan.min_tier, 0)
        if used and all(TIERS.index(each.tier) < floor for each in used):
            findings.wrong((*steps, "use"), f"reaches no model in the plan {name}, whose floor is {TIERS[floor]}")


def _index(tier: Tier | None, default: int) -> int:
    return default if tier is None else TIERS.index(tier)


def _check_place(shapes: Sequence[RuleShape], index: int, steps: Steps, findings: Findings) -> None:
    shape = shapes[index]
    for other in shapes[:index]:
        if other.name == shape.name:
            findings.wrong((*steps, "name"), f'"{shape.name}" is the name of a rule already')
        if other.when in (WhenShape(), shape.when):
            findings.warn(steps, f"rule {shape.name} is never reached: {other.name} before it fits whatever it fits")
            return
