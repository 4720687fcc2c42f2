"""Routing as the YAML states it → its values, and what of it cannot be."""

from collections.abc import Mapping

from margin.sellbook import TIERS, SellBook
from proxy.settings.findings import Findings
from proxy.settings.problems import Steps
from proxy.settings.routing import Health, Retries, Routing
from proxy.settings.routing_shape import HealthShape, RetriesShape, RoutingShape
from proxy.settings.rules import checks_of, headers_of, rules_of
from proxy.settings.values import Deployment


def routing_of(
    shape: RoutingShape, found: Mapping[str, Deployment], sellbook: SellBook | None, findings: Findings
) -> Routing:
    """Return how `auto` chooses; a target has no effect until thresholds are solved from it."""
    if shape.target is not None:
        _check_target(shape, findings)
    _check_order(shape, found, findings)
    rules = rules_of(shape.rules, found, sellbook, findings)
    return Routing(
        baseline=shape.baseline,
        sessions_idle_s=shape.sessions.idle,
        margin_floor=shape.margin_floor,
        mode=shape.mode,
        target_quality=None if shape.target is None else shape.target.quality,
        target_share=None if shape.target is None else shape.target.share,
        deadline_s=shape.deadline,
        retries=_retries_of(shape.retries),
        health=_health_of(shape.health, findings),
        order=shape.order,
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
