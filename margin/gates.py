"""What a plan lets its customers use beyond tiers: models, features, integrations, and how many keys a team has."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from margin.plan_error import PlanError

_LISTS: Final = ("models", "features", "surfaces")


@dataclass(frozen=True, slots=True)
class Access:
    """What a plan includes; None is no bound.

    Args:
        models: Our names of the models that may serve it.
        features: The features that its requests may name.
        surfaces: The endpoints that it may use.
        keys_max: How many live keys a customer may have.

    Raises:
        PlanError: A list names nothing, or there may be no key: nobody could use the plan.
    """

    models: AbstractSet[str] | None = None
    features: AbstractSet[str] | None = None
    surfaces: AbstractSet[str] | None = None
    keys_max: int | None = None

    def __post_init__(self) -> None:
        for name in ("models", "surfaces"):
            if getattr(self, name) == frozenset():
                raise PlanError(f"gates.{name}", "names none, so nobody could use the plan; null for all")
        if self.keys_max is not None and self.keys_max < 1:
            raise PlanError("gates.keys", "must be at least 1; null for any number")

    @property
    def is_open(self) -> bool:
        """Whether nothing is bound."""
        return self == Access()

    def includes(self, model: str) -> bool:
        """Tell whether a model of ours may serve."""
        return self.models is None or model in self.models

    def terms(self) -> dict[str, Any]:
        """Return what is bound as plain JSON values."""
        lists = {name: sorted(getattr(self, name)) for name in _LISTS if getattr(self, name) is not None}
        return lists if self.keys_max is None else lists | {"keys": self.keys_max}
