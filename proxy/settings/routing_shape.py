"""The YAML of routing: how `auto` chooses, and what is done when a model does not answer."""

from typing import Literal

from pydantic import Field

from proxy.settings.fields import Duration, Name, Section, Share, Whole
from proxy.settings.routing import Routing

_ROUTING = Routing()


class SessionsShape(Section):
    """How long a conversation keeps its model."""

    idle: Duration = Field(_ROUTING.sessions_idle_s, description="Without a request for so long, it may change.")


class TargetShape(Section):
    """A business target for `auto`; thresholds are solved from it."""

    quality: Share = Field(description="The share of frontier quality to keep, 0..1.")


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


class RoutingShape(Section):
    """How `auto` chooses."""

    baseline: Name = Field(
        _ROUTING.baseline,
        description="What savings are measured against: requested, frontier, or a model.",
    )
    sessions: SessionsShape = Field(
        default_factory=SessionsShape, description="How long a conversation keeps its model."
    )
    margin_floor: Share | None = Field(
        None, description="The gross margin, 0..1, below which the guard acts; null for none."
    )
    mode: Literal["enforce", "observe"] = Field(
        _ROUTING.mode,
        description="enforce routes; observe only records what it would have done.",
    )
    target: TargetShape | None = Field(None, description="A target instead of the shipped cut points.")
    deadline: Duration = Field(
        _ROUTING.deadline_s,
        gt=0,
        description="How long a request may take, all its calls together; `x-penstock-deadline` asks for less.",
    )
    retries: RetriesShape = Field(default_factory=RetriesShape, description="Calls that follow a failed one.")
    health: HealthShape = Field(default_factory=HealthShape, description="When a model is left alone for a while.")
