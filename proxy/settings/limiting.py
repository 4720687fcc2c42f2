"""Limits as the YAML states them → their values, and what of them cannot be or could never bind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from margin.money import usd_to_nusd
from proxy.settings.findings import Findings
from proxy.settings.limit_shape import (
    BudgetShape,
    GroupShape,
    KeyDefaultsShape,
    LimitsShape,
    RunawayShape,
    TermsShape,
)
from proxy.settings.limits import NO_TERMS, Budget, Limits, Runaway, Terms, contradiction
from proxy.settings.problems import Steps
from proxy.settings.shape import TiersShape

_MEASURES = {"rpm": "requests", "tpm": "tokens", "rpd": "requests", "tpd": "tokens"}


class Known(NamedTuple):
    """What limits may name: models, and plans with what each of their customers may use. None where that is wrong."""

    models: Collection[str]
    plans: Collection[str] | None
    limits: Mapping[str, Terms]


def limits_of(shape: LimitsShape, known: Known, tiers: TiersShape, findings: Findings) -> Limits:
    """Return the limits of a configuration; those of plans were read with them."""
    _check_names(shape.models, "models", "model", known.models, findings)
    if known.plans is not None:
        _check_names(shape.plans, "plans", "plan", known.plans, findings)
    found = Limits(
        key_defaults=terms_of(shape.key_defaults, ("limits", "key_defaults"), findings),
        all=terms_of(shape.all, ("limits", "all"), findings),
        customers=_each(shape.customers, "customers", findings),
        models=_each(shape.models, "models", findings),
        features=_each(shape.features, "features", findings),
        plans=MappingProxyType(dict(known.limits)),
        together=_each(shape.plans, "plans", findings),
        members=_or_none(terms_of(shape.members, ("limits", "members"), findings)),
        members_of_customers=_members(shape.customers, "customers", findings),
        members_of_plans=_members(shape.plans, "plans", findings),
        runaway=_runaway_of(shape.runaway),
    )
    _check_models(found.models, findings)
    _check_members(found, findings)
    _check_downgrades(found, tiers, findings)
    _warn_of_idle(found, known, findings)
    return found


def _check_names(names: Iterable[str], section: str, kind: str, known: Collection[str], findings: Findings) -> None:
    for name in names:
        if name not in known:
            findings.unknown(("limits", section, name), name, kind, sorted(known))


def _members(shapes: Mapping[str, GroupShape], section: str, findings: Findings) -> Mapping[str, Terms]:
    found = {
        name: terms_of(shape.members, ("limits", section, name, "members"), findings)
        for name, shape in shapes.items()
        if shape.members is not None
    }
    return MappingProxyType({name: terms for name, terms in found.items() if not terms.is_none})


def _or_none(terms: Terms) -> Terms:
    """Return terms, or the one value that stands for no limit at all."""
    return NO_TERMS if terms.is_none else terms


def _each(shapes: Mapping[str, TermsShape], section: str, findings: Findings) -> Mapping[str, Terms]:
    return MappingProxyType(
        {name: terms_of(shape, ("limits", section, name), findings) for name, shape in shapes.items()}
    )


def _runaway_of(shape: RunawayShape) -> Runaway | None:
    if not shape.enabled:
        return None
    return Runaway(Decimal(shape.factor), usd_to_nusd(shape.floor), shape.action)


def terms_of(shape: TermsShape, steps: Steps, findings: Findings) -> Terms:
    """Return the limits of one subject, and note what in them contradicts itself."""
    budgets: tuple[Budget, ...] = () if shape.budget is None else (_budget(shape.budget),)
    budgets += tuple(_budget_of(each) for each in shape.budgets.values())
    wrong = contradiction(budgets)
    if wrong is not None:
        findings.wrong((*steps, "budgets"), wrong)
    found = Terms(shape.rpm, shape.tpm, shape.rpd, shape.tpd, shape.concurrency, budgets)
    if isinstance(shape, KeyDefaultsShape) and not (found.bounds_cost and found.concurrency):
        findings.wrong(
            steps, "must bound budget (a hard one of cost) and concurrency: a key that leaks must not cost without end"
        )
    for minute, day in (("rpm", "rpd"), ("tpm", "tpd")):
        low, high = getattr(found, day), getattr(found, minute)
        if low is not None and high is not None and high > low:
            findings.wrong((*steps, minute), f"is above {day}, which lets {low} through in a whole day")
        elif low is not None and low == high:
            findings.warn((*steps, minute), f"{minute} can never bind: {day} lets {low} through in a whole day")
    return found


def _budget(written: tuple[Decimal, str]) -> Budget:
    return Budget(usd_to_nusd(written[0]), written[1])


def _budget_of(shape: BudgetShape) -> Budget:
    amount, per = shape.limit
    return Budget(usd_to_nusd(amount), per, shape.of, shape.action)


def _check_models(models: Mapping[str, Terms], findings: Findings) -> None:
    """A model's budgets count what its calls cost, once the route is chosen: no charge, and nothing left to lower."""
    for name, terms in models.items():
        for each in terms.budgets:
            if each.of == "charge" or each.action == "downgrade":
                steps = ("limits", "models", name, "budgets")
                findings.wrong(steps, "a model's budgets are of cost, and hard or soft")


def _check_members(found: Limits, findings: Findings) -> None:
    """Nobody is told of single members: a budget that only alerts would alert nobody."""
    for steps, terms in _terms_of_members(found):
        if any(each.action == "soft" for each in terms.budgets):
            findings.wrong((*steps, "budgets"), "members' budgets are hard or downgrade")


def _check_downgrades(found: Limits, tiers: TiersShape, findings: Findings) -> None:
    """A downgrade needs a tier below another: two that name models, and not the same ones."""
    if len({tuple(each) for each in (tiers.simple, tiers.medium, tiers.complex) if each}) > 1:
        return
    for steps, terms in _all_terms(found):
        if any(each.action == "downgrade" for each in terms.budgets):
            findings.wrong((*steps, "budgets"), "has action downgrade, and no tier is below another to serve instead")


def _all_terms(found: Limits) -> list[tuple[Steps, Terms]]:
    single: list[tuple[Steps, Terms]] = [
        (("limits", "key_defaults"), found.key_defaults),
        (("limits", "all"), found.all),
    ]
    single += [(("plans", name, "limits"), terms) for name, terms in found.plans.items()]
    single += [(("limits", "plans", name), terms) for name, terms in found.together.items()]
    for section in ("customers", "models", "features"):
        single += [(("limits", section, name), terms) for name, terms in getattr(found, section).items()]
    return single + _terms_of_members(found)


def _terms_of_members(found: Limits) -> list[tuple[Steps, Terms]]:
    listed: list[tuple[Steps, Terms]] = [(("limits", "members"), found.members)]
    for section, each in (("customers", found.members_of_customers), ("plans", found.members_of_plans)):
        listed += [(("limits", section, name, "members"), terms) for name, terms in each.items()]
    return [(steps, terms) for steps, terms in listed if not terms.is_none]


def _warn_of_idle(found: Limits, known: Known, findings: Findings) -> None:
    """Warn of limits that can never bind, because a wider subject's is lower."""
    for steps, terms, wider, whose in _nested(found, known):
        if terms != Limits().key_defaults:
            for sentence in _idle(terms, wider):
                findings.warn(steps, f"{'.'.join(map(str, steps))}: {sentence} of {whose}")


def _nested(found: Limits, known: Known) -> Iterator[tuple[Steps, Terms, Terms, str]]:
    """Yield subjects with those that they lie whole in, as (where, terms, terms of the wider one, its name)."""
    for steps, terms in _all_terms(found):
        if steps != ("limits", "all"):
            yield steps, terms, found.all, "all together"
    for name, terms in found.plans.items():
        yield ("plans", name, "limits"), terms, found.together.get(name, NO_TERMS), f"the plan {name} together"
    for name, terms in found.members_of_plans.items():
        yield ("limits", "plans", name, "members"), terms, found.plans.get(name, NO_TERMS), f"a customer of plan {name}"
    for name, terms in found.members_of_customers.items():
        yield ("limits", "customers", name, "members"), terms, found.customers.get(name, NO_TERMS), f"customer {name}"
    plans = () if known.plans is None else known.plans
    highest = _highest([found.plans.get(name, NO_TERMS) for name in plans])
    for name, terms in found.customers.items():
        yield ("limits", "customers", name), terms, highest, "every plan"


def _highest(plans: Collection[Terms]) -> Terms:
    """Return what binds at any plan: of measures that all limit, the highest."""
    if not plans:
        return NO_TERMS
    rates = [None if None in each else max(each) for each in zip(*(terms.rates() for terms in plans), strict=True)]
    rpm, tpm, rpd, tpd, concurrency = rates
    return Terms(rpm, tpm, rpd, tpd, concurrency)


def _idle(inner: Terms, outer: Terms) -> list[str]:
    sentences = []
    for name in (*_MEASURES, "concurrency"):
        mine, its = getattr(inner, name), getattr(outer, name)
        if mine is not None and its is not None and mine > its:
            sentences.append(f"{name} {mine} can never bind, as it is above the {its}")
    lowest = {(each.per, each.of): each.nusd for each in outer.budgets if each.action == "hard"}
    for each in inner.budgets:
        nusd = lowest.get((each.per, each.of))
        if nusd is not None and each.nusd > nusd:
            sentences.append(f"the budget per {each.per} can never bind, as it is above the one")
    return sentences
