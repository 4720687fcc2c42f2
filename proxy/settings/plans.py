"""The sell book's YAML → its values; the terms themselves are checked where the values are made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from margin.components import METER_PARTS, Commit, Metered, Seats
from margin.gates import Access
from margin.meter import Actions, Meter
from margin.money import usd_to_nusd
from margin.plan_error import PlanError
from margin.sellbook import OPEN, TIERS, CreditTerms, Plan, SellBook
from proxy.settings import document as yaml_document
from proxy.settings import reading
from proxy.settings.alert_shape import check_percents
from proxy.settings.document import Document
from proxy.settings.entries import Entry, plan_entries
from proxy.settings.findings import Findings
from proxy.settings.floors import Step
from proxy.settings.limiting import terms_of
from proxy.settings.limits import Terms
from proxy.settings.plan_shape import CommitShape, CreditsShape, GatesShape, PlanShape, PlansShape, UsageShape
from proxy.settings.price_shape import must_tiers_of
from proxy.settings.problems import Steps
from proxy.settings.task_shape import outcomes_of, tasks_of


@dataclass(frozen=True, slots=True)
class Sold:
    """A sell book, every value of its YAML with its origin, and what each customer of a plan may use at most."""

    book: SellBook
    entries: tuple[Entry, ...]
    limits: Mapping[str, Terms] = field(default_factory=dict)
    floors: Mapping[str, tuple[Decimal | None, tuple[Step, ...] | None]] = field(default_factory=dict)
    """The margin that a plan's customers must keep, and what is done below it, as far as the plan says."""
    warnings: tuple[str, ...] = ()
    document: Document | None = None
    """The YAML, for what can only be checked against the rest of the configuration."""
    alerts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """At which percent of what a month includes it is told of a plan's customers."""


def read(path: Path, environ: Mapping[str, str]) -> Sold:
    """Read a sell book from its YAML.

    Raises:
        SettingsError: The file cannot be read, or what it says cannot be.
    """
    document, problems = yaml_document.read(path, environ)
    checked = reading.checked(PlansShape, document)
    unset = reading.unset_variables(document, allowed=reading.NOWHERE)
    findings = Findings(document, reading.merged(unset, problems, checked.problems), mended=checked.mended)
    shape = checked.shape
    plans = {} if shape is None else _plans(shape, findings)
    for name, plan in plans.items():
        _warn_of_falls(name, plan, findings)
    limits = {} if shape is None else _limits(shape, findings)
    floors = {} if shape is None else _floors(shape)
    alerts = {} if shape is None else _alerts(shape, findings)
    if shape is not None and shape.default not in shape.plans:
        findings.unknown(("default",), shape.default, "plan", list(shape.plans))
    findings.stop()
    assert shape is not None, "a shape that is refused leaves a problem"
    book = SellBook(plans=plans, default=shape.default)
    return Sold(book, plan_entries(document, shape), limits, floors, tuple(findings.warnings), document, alerts)


def built_in() -> Sold:
    """Return the sell book of who has none: the plan `open`."""
    shape = PlansShape(plans={OPEN: PlanShape()})
    return Sold(SellBook(), plan_entries(Document("", {}, {}, {}, {}), shape))


def _limits(shape: PlansShape, findings: Findings) -> dict[str, Terms]:
    found = {name: terms_of(plan.limits, ("plans", name, "limits"), findings) for name, plan in shape.plans.items()}
    return {name: terms for name, terms in found.items() if not terms.is_none}


def _alerts(shape: PlansShape, findings: Findings) -> dict[str, tuple[int, ...]]:
    return {
        name: check_percents(("plans", name, "alerts"), plan.alerts, findings) for name, plan in shape.plans.items()
    }


def _floors(shape: PlansShape) -> dict[str, tuple[Decimal | None, tuple[Step, ...] | None]]:
    return {
        name: (plan.margin_floor, None if plan.margin_steps is None else tuple(plan.margin_steps))
        for name, plan in shape.plans.items()
        if plan.margin_floor is not None or plan.margin_steps is not None
    }


def _plans(shape: PlansShape, findings: Findings) -> dict[str, Plan]:
    plans: dict[str, Plan] = {}
    for name, terms in shape.plans.items():
        try:
            plans[name] = _plan(name, terms)
        except PlanError as error:
            steps = (int(step) if step.isdecimal() else step for step in error.field.split("."))
            way: Steps = ("plans", name, *steps)
            findings.wrong(way, error.sentence)
    return plans


def _warn_of_falls(name: str, plan: Plan, findings: Findings) -> None:
    for kind in ("usage", "items"):
        for meter, metered in getattr(plan, kind).items():
            for fall in metered.tiers.falls():
                sentence = f"{fall.first:,} to {fall.last:,} units cost less than {fall.before:,}: mode is volume"
                findings.warn(("plans", name, kind, meter, "mode"), sentence)


def _plan(name: str, shape: PlanShape) -> Plan:
    return Plan(
        name=name,
        fee_nusd_month=None if shape.fee is None else usd_to_nusd(shape.fee.amount),
        credits=_credit_terms(shape.credits),
        max_tier=shape.gates.max_tier,
        min_tier=shape.gates.min_tier,
        gate_policy=shape.gates.policy,
        charge_follows_gate=shape.gates.charge_follows_gate,
        access=_access(shape.gates),
        target_margin=shape.target_margin,
        archetype=shape.archetype,
        usage={name: _metered(f"usage.{name}", each, METER_PARTS.get(name, 1)) for name, each in shape.usage.items()},
        items={name: _metered(f"items.{name}", each, 1) for name, each in shape.items.items()},
        seats=None if shape.seats is None else Seats(usd_to_nusd(shape.seats.price), _milli(shape.seats.included)),
        commit=_commit(shape.commit),
        description=shape.description,
        tasks=tasks_of(shape.tasks),
        outcomes=outcomes_of(shape.outcomes),
    )


def _access(shape: GatesShape) -> Access | None:
    models, features, surfaces = (
        None if each is None else frozenset(each) for each in (shape.models, shape.features, shape.surfaces)
    )
    found = Access(models, features, surfaces, shape.keys)
    return None if found.is_open else found


def _metered(way: str, shape: UsageShape, parts: int) -> Metered:
    try:
        return Metered(must_tiers_of(shape, shape.per, parts), shape.minimum)
    except PlanError as error:
        raise error.within(way) from None


def _commit(shape: CommitShape | None) -> Commit | None:
    if shape is None:
        return None
    try:
        return Commit(usd_to_nusd(shape.amount), 12 if shape.per == "year" else 1, shape.beyond)
    except PlanError as error:
        raise error.within("commit") from None


def _credit_terms(shape: CreditsShape) -> CreditTerms:
    _check_one_way(shape)
    action = shape.action
    return CreditTerms(
        mode=shape.mode,
        schedule_milli={
            tier: _milli(getattr(shape.schedule, tier) if action is None else action.credits) for tier in TIERS
        },
        included_milli=_milli(shape.included),
        enforce=shape.enforce,
        price_nusd_per_credit=None if shape.price is None else usd_to_nusd(shape.price),
        overage_nusd_per_credit=None if shape.overage is None else usd_to_nusd(shape.overage),
        metered=_meter(shape),
        holds=shape.holds,
        hold_quantile=shape.hold_quantile,
        cached_share=shape.cached,
        hold_floor_tokens=shape.hold_floor,
    )


def _check_one_way(shape: CreditsShape) -> None:
    """Refuse a request that is charged in two ways at once."""
    stated = {"schedule": "schedule" in shape.model_fields_set, "action": shape.action is not None}
    if shape.metered is not None and stated["schedule"]:
        raise PlanError("credits.schedule", "contradicts metered: a request is charged by its tier or by its usage")
    if shape.metered is not None and stated["action"]:
        raise PlanError("credits.action", "contradicts metered: a request is charged by actions or by tokens")
    if stated["schedule"] and stated["action"]:
        raise PlanError("credits.action", "contradicts schedule: a request is charged by its tier or as an action")
    if shape.action is not None and shape.action.tokens == 0:
        raise PlanError("credits.action.tokens", "must be one or more; leave it out for all")


def _meter(shape: CreditsShape) -> Meter | Actions | None:
    if shape.action is not None and shape.action.tokens is not None:
        return Actions(_milli(shape.action.credits), shape.action.tokens)
    rates = shape.metered
    if rates is None:
        return None
    return Meter(rates.input, rates.output, cache_read=rates.cache_read, cache_write=rates.cache_write)


def _milli(credits_count: Decimal) -> int:
    return int(credits_count * 1000)  # exact: the shape takes at most three decimals
