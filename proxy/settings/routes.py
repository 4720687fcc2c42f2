"""Routing as the YAML states it → its values, and what of it cannot be."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from margin.money import usd_to_nusd
from margin.sellbook import TIERS
from proxy.settings.findings import Findings
from proxy.settings.floors import Floor, Floors, Guard, Step
from proxy.settings.plans import Sold
from proxy.settings.problems import Steps
from proxy.settings.routing import Health, Hedge, Retries, Routing, Sessions
from proxy.settings.routing_shape import HealthShape, RetriesShape, RoutingShape
from proxy.settings.rules import checks_of, headers_of, rules_of
from proxy.settings.values import Deployment


def routing_of(shape: RoutingShape, found: Mapping[str, Deployment], sold: Sold | None, findings: Findings) -> Routing:
    """Return how `auto` chooses; a target has no effect until thresholds are solved from it."""
    if shape.target is not None:
        _check_target(shape, findings)
    _check_order(shape, found, findings)
    if shape.escalate is not None and len({each.listed_tier for each in found.values() if each.listed_tier}) < 2:
        findings.warn(
            ("routing", "escalate"), "routing.escalate has no effect: no model is of a higher tier than others"
        )
    rules = rules_of(shape.rules, found, None if sold is None else sold.book, findings)
    return Routing(
        baseline=shape.baseline,
        sessions=Sessions(shape.sessions.idle, shape.sessions.max) if shape.sessions.enabled else None,
        floors=_floors_of(shape, {} if sold is None else sold.floors, findings),
        mode=shape.mode,
        target_quality=None if shape.target is None else shape.target.quality,
        target_share=None if shape.target is None else shape.target.share,
        deadline_s=shape.deadline,
        retries=_retries_of(shape.retries),
        health=_health_of(shape.health, findings),
        order=shape.order,
        hedge=None
        if shape.hedge is None
        else Hedge(quantile=shape.hedge.quantile, share=shape.hedge.share, delay_min_s=shape.hedge.delay_min),
        checks=checks_of(shape.escalate, ("routing", "escalate"), findings),
        rules=rules,
        rule_headers=headers_of(rules),
        is_weighted=any(each.weight is not None for each in found.values()),
    )


def _check_target(shape: RoutingShape, findings: Findings) -> None:
    assert shape.target is not None
    steps: Steps = ("routing", "target")
    if shape.target.quality is None and shape.target.share is None:
        findings.wrong(steps, "says nothing: state quality or share")
    elif shape.thresholds is None:
        findings.warn(steps, "routing.target has no effect until `penstock tune --write` solves thresholds from it")


def _floors_of(
    shape: RoutingShape, plans: Mapping[str, tuple[Decimal | None, tuple[Step, ...] | None]], findings: Findings
) -> Floors:
    guard, margin = shape.guard, shape.margin_floor
    steps = tuple(guard.steps)
    if len(set(steps)) < len(steps):
        findings.wrong(("routing", "guard", "steps"), "has a step twice")
    found: dict[str, Floor] = {}
    for name, (its_margin, its_steps) in plans.items():
        if its_margin is None and margin is None:
            findings.warn(("plans",), f"margin_steps of the plan {name} have no effect: it has no margin_floor")
        else:
            least = its_margin if its_margin is not None else margin
            assert least is not None, "one of them is"
            found[name] = Floor(least, steps if its_steps is None else its_steps)
    return Floors(
        guard=Guard(
            over=guard.over, wait_s=guard.wait, recover_s=guard.recover, release_s=guard.release, clear=guard.clear,
            evidence_nusd=usd_to_nusd(guard.evidence),
            loss_nusd=None if guard.loss is None else usd_to_nusd(guard.loss),
        ),
        everybody=None if margin is None else Floor(margin, steps),
        plans=MappingProxyType(found),
        customers=MappingProxyType({
            name: Floor(each.margin_floor, steps if each.margin_steps is None else tuple(each.margin_steps))
            for name, each in guard.customers.items()
        }),
    )  # fmt: skip


def _check_order(shape: RoutingShape, found: Mapping[str, Deployment], findings: Findings) -> None:
    """Warn of what an order makes idle."""
    for name, each in found.items():
        if shape.order == "price" and each.weight is not None:
            findings.warn(("models", name, "weight"), f"the weight of {name} only parts equal prices: order is price")
        if shape.order != "price" and each.reserved_tpm is not None:
            findings.warn(("models", name, "reserved_tpm"), f"reserved_tpm of {name} has no effect: order is listed")


def _retries_of(shape: RetriesShape) -> Retries:
    return Retries(attempts_max=shape.attempts, share=shape.share, burst=shape.burst,
                   escalated_share=shape.escalations)  # fmt: skip


def _health_of(shape: HealthShape, findings: Findings) -> Health:
    if shape.rest_max < shape.rest:
        findings.wrong(("routing", "health", "rest_max"), "is shorter than rest")
    return Health(
        window_s=shape.window,
        calls_min=shape.calls,
        failed_share=shape.failures,
        rest_s=shape.rest,
        rest_max_s=shape.rest_max,
        slow_s=shape.slow,
    )


def check_fallbacks(found: Mapping[str, Deployment], findings: Findings) -> None:
    """Check that what serves instead of a named model exists, and is no lesser one."""
    for name, deployment in found.items():
        for index, other in enumerate(deployment.fallbacks):
            steps: Steps = ("models", name, "fallbacks", index)
            if other not in found:
                findings.unknown(steps, other, "model", [each for each in found if each != name])
            elif other == name or other in deployment.fallbacks[:index]:
                findings.wrong(steps, f'"{other}" was tried already')
            elif found[other].serves.isdisjoint(deployment.serves):
                findings.wrong(steps, f'"{other}" serves nothing that {name} does')
            elif _rank(found[other]) < _rank(deployment):
                findings.wrong(steps, f'"{other}" is of a lower tier than {name}, which was asked for')


def _rank(deployment: Deployment) -> int:
    """Return how high a model is, as naming it charges."""
    return TIERS.index(deployment.tier)
