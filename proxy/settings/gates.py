"""The gates of plans held against the models that there are."""

from collections.abc import Mapping

from margin.sellbook import TIERS, Plan
from proxy.settings.findings import Findings
from proxy.settings.plans import Sold
from proxy.settings.problems import Steps
from proxy.settings.values import Deployment


def check_gates(sold: Sold, deployments: Mapping[str, Deployment], findings: Findings) -> None:
    """Note lists of models that name what there is not, or nothing that the plan's tiers reach."""
    if sold.document is None:
        return
    own = Findings(sold.document)
    for name, plan in sold.book.plans.items():
        if plan.access is not None and plan.access.models is not None:
            _check(("plans", name, "gates", "models"), plan, deployments, own)
    findings.problems.extend(own.problems)


def _check(steps: Steps, plan: Plan, deployments: Mapping[str, Deployment], findings: Findings) -> None:
    assert plan.access is not None
    assert plan.access.models is not None
    unknown = sorted(plan.access.models - deployments.keys())
    for model in unknown:
        findings.unknown(steps, model, "model", list(deployments))
    cap = TIERS.index("complex" if plan.max_tier is None else plan.max_tier)
    tiers = [each.listed_tier for name, each in deployments.items() if plan.access.includes(name)]
    if not unknown and not any(tier is not None and TIERS.index(tier) <= cap for tier in tiers):
        findings.wrong(steps, f"names none of the tiers up to {TIERS[cap]}, so `auto` could serve nobody")
