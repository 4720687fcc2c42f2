"""The YAML of routing: how `auto` chooses, and what is done when a model does not answer."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from margin.sellbook import Tier
from proxy.settings.fields import Duration, Flag, Name, Section, Share, Text, Usd, Whole
from proxy.settings.floors import STEPS, Guard
from proxy.settings.routing import Hedge, Routing, Sessions

_ROUTING, _SESSIONS = Routing(), Sessions()
_HEDGE = Hedge()
_GUARD = Guard()


class SessionsShape(Section):
    """How a conversation keeps its model."""

    enabled: Flag = Field(default=True, description="Whether it does; else each request is routed alone.")
    idle: Duration = Field(_SESSIONS.idle_s, gt=0, description="Without a request for so long, it is forgotten.")
    max: Whole = Field(_SESSIONS.most, ge=1, le=10_000_000, description="Conversations that each worker remembers.")


class TargetShape(Section):
    """A business target for `auto`; thresholds are solved from it."""

    quality: Share | None = Field(None, description="The share of frontier quality to keep, 0..1.")
    share: Share | None = Field(None, description="The share of requests that complex may serve, 0..1.")


class ThresholdsShape(Section):
    """The cut points that `penstock tune` solved from a target."""

    medium: Share = Field(description="From this score of the judge on, 0..1, a request is medium.")
    complex: Share = Field(description="From this score on it is complex.")
    classifier: Text = Field(description="Whose scores: the version of the weights. Of others they have no effect.")


class RetriesShape(Section):
    """How many calls may follow one that failed."""

    attempts: Whole = Field(
        _ROUTING.retries.attempts_max, ge=1, le=16, description="Calls for one request, the first included."
    )
    share: Share = Field(
        _ROUTING.retries.share,
        description="Calls after the first, as a share of all requests, so that an outage is not multiplied.",
    )
    burst: Whole = Field(_ROUTING.retries.burst, description="How many of them may come at once beyond that share.")
    escalations: Share = Field(
        _ROUTING.retries.escalated_share,
        description="Answers asked for again one tier up, as a share of the requests whose answers are checked.",
    )


class HealthShape(Section):
    """When a model is left alone for a while."""

    window: Duration = Field(_ROUTING.health.window_s, gt=0, description="How far back its calls count.")
    calls: Whole = Field(
        _ROUTING.health.calls_min, ge=1, description="Calls in the window before anything is concluded from them."
    )
    failures: Share = Field(
        _ROUTING.health.failed_share, gt=0, description="The share of them, 0..1, that must have failed."
    )
    rest: Duration = Field(
        _ROUTING.health.rest_s, gt=0, description="How long nobody calls it then; after it one call tries."
    )
    rest_max: Duration = Field(
        _ROUTING.health.rest_max_s,
        gt=0,
        description="What a rest grows to, doubling with each failed try; also the most of a provider's retry-after.",
    )
    slow: Duration | None = Field(
        None, gt=0, description="A stream whose first byte takes longer counts as failed; unset, none does."
    )


Words = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1, max_length=1000),
]
"""Words of which one must be there; a single one needs no list."""
Patterns = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(max_length=100),
]
RuleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
HeaderName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class HedgeShape(Section):
    """When a slow call gets company: one more is made elsewhere, and whoever answers first serves."""

    quantile: Share = Field(
        _HEDGE.quantile, gt=0, lt=1,
        description="A call is slow when it takes longer to begin than this share of its model's answers.",
    )  # fmt: skip
    share: Share = Field(_HEDGE.share, description="Such calls, as a share of all requests.")
    delay_min: Duration = Field(_HEDGE.delay_min_s, description="No call is slow before that.")


class EscalateShape(Section):
    """What an answer must not be, or it is asked for again one tier up, at our cost."""

    flaws: list[Literal["schema", "truncated", "empty", "refusal"]] = Field(
        ["schema", "truncated", "empty", "refusal"],
        description="What is looked for: no JSON, or not of the schema asked for; cut off; empty; refused.",
    )
    reject: Patterns = Field([], description="Regular expressions (RE2) of which none may be found in it.")
    require: Patterns = Field([], description="Regular expressions (RE2) that must all be found in it.")
    callers: Flag = Field(default=False, description="Whether a caller's own counts, in `x-penstock-expect`.")
    streams: Literal["pass", "hold"] = Field(
        "pass", description="pass leaves streams unchecked; hold keeps one back until it is whole and checked."
    )


class WhenShape(Section):
    """The conditions of a rule: all of them must hold, and of each list one word must fit."""

    customer: Words | None = Field(None, description="Names of customers.")
    plan: Words | None = Field(None, description="Names of plans.")
    feature: Words | None = Field(None, description="What the header `x-penstock-feature` says.")
    task: Words | None = Field(None, description="Tasks as they are judged.")
    model: Words | None = Field(None, description="Names as they are asked for, before aliases.")
    header: dict[HeaderName, Words] = Field(
        default_factory=dict, description="Headers in lower case, and what one of them says; `*` is anything."
    )
    tags: dict[str, Words] = Field(
        default_factory=dict,
        description="Entries of the request's `metadata`, and what one of them says; `*` is anything.",
    )


class RuleShape(Section):
    """One rule of the policy."""

    name: RuleName = Field(description="Its word in `x-penstock-route`: small letters, digits and hyphens.")
    when: WhenShape = Field(default_factory=WhenShape, description="Its conditions; without any it always holds.")
    tier: Tier | None = Field(None, description="What a request is taken for, in place of judging: charged and served.")
    at_least: Tier | None = Field(None, description="The lowest tier that serves it; the charge stays as judged.")
    at_most: Tier | None = Field(
        None, description="The highest tier that serves it; the charge goes down as with a gate."
    )
    use: list[Name] = Field([], max_length=64, description="The models that serve it, in order, and nobody else.")
    escalate: EscalateShape | None = Field(
        None, description="How its answers are checked, in the place of `routing.escalate`."
    )


Steps = Annotated[list[Literal["tighten", "cap_medium", "cap_simple", "flex", "alert", "refuse"]], Field(max_length=6)]


class CustomerFloorShape(Section):
    """The floor of one customer."""

    margin_floor: Share = Field(description="The gross margin, 0..1, that it must keep; instead of its plan's.")
    margin_steps: Steps | None = Field(
        None, description="What is done below it; unset, as `routing.guard.steps` has it."
    )


class GuardShape(Section):
    """What is done for margins below their floor, and how soon."""

    steps: Steps = Field(
        [*STEPS], description="One after the other: tighten, cap_medium, cap_simple, flex, alert, refuse."
    )
    over: Literal["day", "month"] = Field(_GUARD.over, description="Whose margin counts: of the day or month in UTC.")
    wait: Duration = Field(_GUARD.wait_s, gt=0, description="How long a step is given before the next.")
    recover: Duration = Field(
        _GUARD.recover_s, gt=0, description="No next step while what is missing is made good within this."
    )
    release: Duration = Field(
        _GUARD.release_s, gt=0, description="How long a step lasts at least; longer when it had to be taken again soon."
    )
    clear: Share = Field(_GUARD.clear, description="How far above the floor a step is taken back.")
    evidence: Usd = Field(Decimal(1), description="US dollars of cost in the period below which nothing is concluded.")
    loss: Usd | None = Field(
        None,
        description="US dollars of cost in the period from which a customer without revenue counts as below its floor; "
        "unset, it never does.",
    )
    customers: dict[Name, CustomerFloorShape] = Field(
        default_factory=dict, description="Floors of single customers, by name."
    )


class RoutingShape(Section):
    """How `auto` chooses."""

    baseline: Name = Field(
        _ROUTING.baseline,
        description="What savings are measured against: requested, frontier, or a model.",
    )
    sessions: SessionsShape = Field(default_factory=SessionsShape, description="How a conversation keeps its model.")
    margin_floor: Share | None = Field(
        None, description="The gross margin, 0..1, of customers whose plan states none; null for none."
    )
    guard: GuardShape = Field(default_factory=GuardShape, description="What is done below a margin floor.")
    mode: Literal["enforce", "observe"] = Field(
        _ROUTING.mode,
        description="enforce routes; observe only records what it would have done.",
    )
    target: TargetShape | None = Field(None, description="What `penstock tune` solves the thresholds from.")
    thresholds: ThresholdsShape | None = Field(
        None, description="Where a request is medium, and complex; unset, the shipped cut points apply."
    )
    order: Literal["listed", "price"] = Field(
        _ROUTING.order,
        description="Who of a tier goes first: listed is the list's order, price who is expected to cost least.",
    )
    rules: list[RuleShape] = Field([], max_length=1000, description="The policy: the first rule that fits wins.")
    escalate: EscalateShape | None = Field(
        None, description="How answers to `auto` are checked before they are given; unset, they are not."
    )
    hedge: HedgeShape | None = Field(None, description="When a slow call gets company; unset, never.")
    deadline: Duration = Field(
        _ROUTING.deadline_s,
        gt=0,
        description="How long a request may take, all its calls together; `x-penstock-deadline` asks for less.",
    )
    retries: RetriesShape = Field(default_factory=RetriesShape, description="Calls that follow a failed one.")
    health: HealthShape = Field(default_factory=HealthShape, description="When a model is left alone for a while.")
