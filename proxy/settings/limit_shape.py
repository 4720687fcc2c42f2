"""The YAML of limits: of keys, customers, models, features, plans, and of all together."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from proxy.settings.fields import Budget, Flag, Name, Section, Usd, Whole
from proxy.settings.limits import Limits, Runaway

_SHIPPED = Limits()
_RUNAWAY = Runaway()


def _shipped_budget() -> tuple[Decimal, str]:
    found = _SHIPPED.key_defaults.budgets[0]
    return Decimal(found.nusd) / 1_000_000_000, found.per


class BudgetShape(Section):
    """One budget, where `budget` does not say enough."""

    limit: Budget = Field(description="US dollars per hour, day, week or month in UTC, or over the last so many hours.")
    of: Literal["cost", "charge"] = Field(
        "cost", description="cost is what providers bill us; charge what the customer pays, by its price per credit."
    )
    action: Literal["hard", "soft", "downgrade"] = Field(
        "hard",
        description="hard refuses (402); soft only alerts; downgrade serves the simple tier until there is room.",
    )


class TermsShape(Section):
    """What one subject may use at most; the tightest of all limits of a request binds."""

    rpm: Whole | None = Field(None, ge=1, description="Requests within any minute.")
    tpm: Whole | None = Field(None, ge=1, description="Tokens within any minute, in and out.")
    rpd: Whole | None = Field(None, ge=1, description="Requests within any 24 hours.")
    tpd: Whole | None = Field(None, ge=1, description="Tokens within any 24 hours, in and out.")
    concurrency: Whole | None = Field(None, ge=1, description="Requests open at once.")
    budget: Budget | None = Field(
        None, description="US dollars of cost per hour, day, week or month in UTC, or per 24h, 7d and so on."
    )
    budgets: dict[Name, BudgetShape] = Field(
        default_factory=dict, max_length=8, description="More of them, or of another kind, by a name of yours."
    )


class GroupShape(TermsShape):
    """What many may use together, and each of them by itself."""

    members: TermsShape | None = Field(
        None, description="What each member (`x-penstock-member`) may use besides; hard or downgrade budgets."
    )


class KeyDefaultsShape(TermsShape):
    """What a key may use when it states no limits of its own."""

    concurrency: Whole | None = Field(_SHIPPED.key_defaults.concurrency, ge=1, description="Requests open at once.")
    budget: Budget | None = Field(
        _shipped_budget(),
        description="US dollars of cost per hour, day, week or month in UTC, or per 24h, 7d and so on.",
    )


class RunawayShape(Section):
    """When a customer spends far more than it usually does."""

    enabled: Flag = Field(default=True, description="Whether anybody looks.")
    factor: Whole = Field(
        int(_RUNAWAY.factor), ge=2, description="This many times the usual cost per minute is too much."
    )
    floor: Usd = Field(
        Decimal(_RUNAWAY.floor_nusd) / 1_000_000_000, description="US dollars of cost per minute that never are."
    )
    action: Literal["alert", "pause"] = Field(
        _RUNAWAY.action, description="alert tells; pause also stops the key that spent most."
    )


class LimitsShape(Section):
    """What may be used at most."""

    key_defaults: KeyDefaultsShape = Field(
        default_factory=KeyDefaultsShape, description="For keys without limits of their own."
    )
    all: TermsShape = Field(default_factory=TermsShape, description="For everybody together.")
    members: TermsShape = Field(
        default_factory=TermsShape, description="For each member of each customer, as `x-penstock-member` names them."
    )
    customers: dict[Name, GroupShape] = Field(default_factory=dict, description="For single customers, by name.")
    plans: dict[Name, GroupShape] = Field(
        default_factory=dict, description="For all customers of a plan together; for each of them, plans.yaml says it."
    )
    models: dict[Name, TermsShape] = Field(default_factory=dict, description="For single models: their calls count.")
    features: dict[Name, TermsShape] = Field(
        default_factory=dict, description="For single features, as `x-penstock-feature` names them."
    )
    runaway: RunawayShape = Field(
        default_factory=RunawayShape, description="When a customer spends far more than it usually does."
    )
