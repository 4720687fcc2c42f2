"""The YAML of a sell book: every key, its type, its default and what it means."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from margin.sellbook import (
    HOLD_FLOOR_TOKENS,
    HOLD_QUANTILE,
    OPEN,
    SCHEDULE_MILLI,
    Archetype,
    CreditMode,
    Enforcement,
    GatePolicy,
    HoldSizing,
    Tier,
)
from proxy.settings.alert_shape import Percents, percents_field
from proxy.settings.fields import Credits, Flag, MeterRate, Name, Section, Share, Usd, Whole
from proxy.settings.limit_shape import TermsShape
from proxy.settings.price_shape import PricesShape
from proxy.settings.routing_shape import Steps
from proxy.settings.task_shape import OutcomeShape, TaskShape


def _shipped(tier: Tier) -> Decimal:
    return Decimal(SCHEDULE_MILLI[tier]) / 1000


class FeeShape(Section):
    """What a customer pays for being one."""

    amount: Usd = Field(description="US dollars.")
    per: Literal["month"] = Field("month", description="The period, in UTC.")


class ScheduleShape(Section):
    """Credits that a request is charged, by its charge tier."""

    simple: Credits = Field(_shipped("simple"), description="For a simple request.")
    medium: Credits = Field(_shipped("medium"), description="For a medium one.")
    complex: Credits = Field(_shipped("complex"), description="For a complex one.")


class MeteredShape(Section):
    """Credits per 1,000 tokens that a request uses, in the place of a schedule."""

    input: MeterRate = Field(description="Fresh input tokens.")
    cache_read: MeterRate | None = Field(
        None, description="Input tokens that the provider read from its prompt cache; unset, as input."
    )
    cache_write: MeterRate | None = Field(
        None, description="Input tokens that the provider wrote to it; unset, as input."
    )
    output: MeterRate = Field(description="Output tokens, hidden reasoning included.")


class ActionShape(Section):
    """Credits per action, in the place of a schedule."""

    credits: Credits = Field(description="Credits of an action, which a request is, whatever its tier.")
    tokens: Whole | None = Field(
        None, description="Tokens, in and out, that an action covers; each begun one beyond is another. Unset: all."
    )


class CreditsShape(Section):
    """How credits are counted and sold."""

    mode: CreditMode = Field(
        "entitlement",
        description="entitlement: the fee pays for them; prepaid: they are bought, and are revenue when burnt.",
    )
    schedule: ScheduleShape = Field(
        default_factory=ScheduleShape, description="Credits that a request is charged, by tier."
    )
    metered: MeteredShape | None = Field(
        None, description="Credits per 1,000 tokens; with it a request is charged by its usage, not by its tier."
    )
    action: ActionShape | None = Field(None, description="Credits per action; with it no tier is dearer than another.")
    holds: HoldSizing = Field(
        "strict",
        description="What a metered request puts aside: strict the most it can be charged, statistical as learnt.",
    )
    hold_quantile: Share = Field(
        HOLD_QUANTILE, description="Share of the requests whose output a statistical hold covers, between 0 and 1."
    )
    hold_floor: Whole = Field(HOLD_FLOOR_TOKENS, description="Output tokens that a statistical hold covers at least.")
    cached: Share = Field(
        Decimal(1), description="What an answer from memory is charged: 1 its price, 0 nothing, or a share between."
    )
    included: Credits = Field(Decimal(0), description="Credits that each period's fee includes.")
    enforce: Enforcement = Field(
        "none", description="none counts only; soft serves past the balance; hard refuses (402)."
    )
    price: Usd | None = Field(None, description="US dollars per prepaid credit.")
    overage: Usd | None = Field(None, description="US dollars per credit beyond the balance.")


class UsageShape(PricesShape):
    """What a quantity costs, added up over a month in UTC."""

    per: Whole = Field(1, description="How many units a price is for.")
    minimum: Whole = Field(0, description="Units that are paid for each month whether they are used or not.")


class SeatsShape(Section):
    """What a seat costs and includes."""

    price: Usd = Field(description="US dollars for each seat and month, accrued by the second.")
    included: Credits = Field(Decimal(0), description="Credits that each seat adds to the one pool, once a month.")


class CommitShape(Section):
    """What a customer promises to spend on usage and items."""

    amount: Usd = Field(description="US dollars of a term, at the plan's prices.")
    per: Literal["year", "month"] = Field("year", description="The term; the first begins with the customer.")
    beyond: MeterRate = Field(
        Decimal(1), description="What usage beyond the amount costs, as a multiple of the plan's prices."
    )


GatedSurface = Literal["chat", "messages", "responses", "completions", "embeddings"]


class GatesShape(Section):
    """What a plan may use."""

    max_tier: Tier | None = Field(None, description="The highest tier; null for all.")
    min_tier: Tier | None = Field(
        None, description="The lowest tier that serves; what is charged stays as judged. null for no floor."
    )
    policy: GatePolicy = Field("down", description="down serves a dearer request at max_tier; refuse answers 403.")
    charge_follows_gate: Flag = Field(default=True, description="Whether a request served lower is also charged lower.")
    models: list[Name] | None = Field(
        None, description="The models that may serve it, by our names; another is met as policy says. null for all."
    )
    features: list[Name] | None = Field(
        None, description="The features that `x-penstock-feature` may name; another is a 403. null for all."
    )
    surfaces: list[GatedSurface] | None = Field(
        None, description="The endpoints that it may use; another is a 403. null for all."
    )
    keys: Whole | None = Field(None, description="Live keys that a customer may have; null for any number.")


class PlanShape(Section):
    """What one kind of customer pays and may use."""

    description: str = Field("", max_length=4096, description="A sentence for people; no term.")
    fee: FeeShape | None = Field(None, description="What a customer pays for being one.")
    credits: CreditsShape = Field(default_factory=CreditsShape, description="How credits are counted and sold.")
    usage: dict[Name, UsageShape] = Field(
        default_factory=dict,
        description="What requests are charged by quantity, beside credits, by meter: calls, tokens, input_tokens, "
        "output_tokens or compute_minutes.",
    )
    items: dict[Name, UsageShape] = Field(
        default_factory=dict, description="What is charged for what somebody delivers, by a name of yours."
    )
    seats: SeatsShape | None = Field(None, description="What a seat costs and includes.")
    commit: CommitShape | None = Field(None, description="What a customer promises to spend on usage and items.")
    gates: GatesShape = Field(default_factory=GatesShape, description="What a plan may use.")
    tasks: dict[Name, TaskShape] = Field(default_factory=dict, description="How types of tasks are charged, by name.")
    outcomes: dict[Name, OutcomeShape] = Field(
        default_factory=dict, description="What outcomes cost that tasks are charged by, by name."
    )
    limits: TermsShape = Field(default_factory=TermsShape, description="What each customer of it may use at most.")
    alerts: Percents = Field(
        default_factory=percents_field,
        description="Percent of what a month includes, in credits and of each meter, at which it is told, once each.",
    )
    margin_floor: Share | None = Field(None, description="The gross margin, 0..1, that each customer of it must keep.")
    margin_steps: Steps | None = Field(
        None, description="What is done below it, one after the other; unset, as `routing.guard.steps` has it."
    )
    target_margin: Share | None = Field(
        None,
        description="The gross margin aimed at, 0..1, which page, reports and alerts hold it to; unset, the least "
        "of its archetype's.",
    )
    archetype: Archetype | None = Field(
        None, description="What kind of product it sells, and so the margin to aim at: copilot 70 to 80 %, agent 50 to "
        "65 %, service 60 to 75 %. No term."
    )  # fmt: skip


class PlansShape(Section):
    """The sell book of Penstock."""

    default: Name = Field(OPEN, description="The plan of a customer that has none.")
    plans: dict[Name, PlanShape] = Field(min_length=1, description="The plans, by name.")
