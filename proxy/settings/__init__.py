"""The configuration: YAML and environment → typed, frozen, explained values.

Reading order: `settings` (what comes out), `values` (its parts), `shape` (what goes in), `loading`
(how one becomes the other). Nothing outside this package reads YAML or knows pydantic's shapes.
"""

from typing import Any

from margin.sellbook import TIERS, Tier
from proxy.settings.asides import Advisor, Shadows
from proxy.settings.changes import Changed, difference, difference_of, effective, fixed_changes
from proxy.settings.classifier import Classifier
from proxy.settings.entries import Entry
from proxy.settings.limits import NO_TERMS, RATES, Budget, Limits, Runaway, Terms
from proxy.settings.loading import load
from proxy.settings.problems import Problem, SettingsError
from proxy.settings.routing import Checks, Flaw, Health, Retries, Routing, Rule
from proxy.settings.settings import Settings, startup_errors
from proxy.settings.sources import files
from proxy.settings.values import (
    AnswerStore,
    Caching,
    Conversations,
    Deployment,
    Idempotency,
    Keeping,
    Labels,
    Provider,
    Sandbox,
    SandboxCustomer,
    Secret,
    Semantic,
    Server,
    Store,
    Timeouts,
    Trim,
)

__all__ = [
    "NO_TERMS",
    "RATES",
    "TIERS",
    "Advisor",
    "AnswerStore",
    "Budget",
    "Caching",
    "Changed",
    "Checks",
    "Classifier",
    "Conversations",
    "Deployment",
    "Entry",
    "Flaw",
    "Health",
    "Idempotency",
    "Keeping",
    "Labels",
    "Limits",
    "Problem",
    "Provider",
    "Retries",
    "Routing",
    "Rule",
    "Runaway",
    "Sandbox",
    "SandboxCustomer",
    "Secret",
    "Semantic",
    "Server",
    "Settings",
    "SettingsError",
    "Shadows",
    "Store",
    "Terms",
    "Tier",
    "Timeouts",
    "Trim",
    "difference",
    "difference_of",
    "effective",
    "files",
    "fixed_changes",
    "load",
    "plans_schema",
    "schema",
    "startup_errors",
]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration's YAML, every key described, for editors."""
    from proxy.settings.editors import json_schema
    from proxy.settings.shape import SettingsShape

    return json_schema(SettingsShape)


def plans_schema() -> dict[str, Any]:
    """Return the JSON Schema of the sell book's YAML, every key described, for editors."""
    from proxy.settings.editors import json_schema
    from proxy.settings.plan_shape import PlansShape

    return json_schema(PlansShape)
