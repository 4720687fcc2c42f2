"""What a key reaches: its lists of models and tiers, held against the configuration of this moment."""

from __future__ import annotations

from typing import Protocol

from proxy.settings import TIERS, Deployment, Settings, Tier


class Bounds(Protocol):
    """The lists of a key's terms; None is no bound."""

    @property
    def models(self) -> frozenset[str] | None:
        """Names of deployments."""
        ...

    @property
    def tiers(self) -> frozenset[Tier] | None:
        """Tiers that may serve."""
        ...


def allows(bounds: Bounds | None, deployment: Deployment) -> bool:
    """Tell whether a key may call a deployment at all."""
    return bounds is None or bounds.models is None or deployment.name in bounds.models


def allows_named(bounds: Bounds | None, deployment: Deployment) -> bool:
    """Tell whether a key may ask for a deployment by its name: in the tier that this is charged as, too."""
    if bounds is None:
        return True
    return allows(bounds, deployment) and (bounds.tiers is None or deployment.tier in bounds.tiers)


def tiers_within(settings: Settings, bounds: Bounds | None) -> tuple[Tier, ...]:
    """Return the tiers that `auto` may serve a key from, lowest first: those with a model that it may call."""
    if bounds is None:
        return TIERS
    return tuple(
        tier
        for tier in TIERS
        if (bounds.tiers is None or tier in bounds.tiers) and any(allows(bounds, each) for each in settings.tiers[tier])
    )


def nearest(tier: Tier, allowed: tuple[Tier, ...]) -> Tier:
    """Return the lowest allowed tier from `tier` up, or else the highest below it; `allowed` is not empty."""
    above = [each for each in allowed if TIERS.index(each) >= TIERS.index(tier)]
    return above[0] if above else allowed[-1]
