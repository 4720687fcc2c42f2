"""The YAML of who judges `auto`, what is kept to learn from, and who else is asked."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from proxy.settings.fields import Budget, Duration, Flag, Name, Section, Share, Size, Text, Whole
from proxy.settings.values import Labels, Prompts

_LABELS, _LABELS_ENABLED, _PROMPTS = Labels(), False, Prompts()
_A_DAY = (Decimal(5), "day")
"""What each kind of call of our own may cost where nobody says: it is noticed, and ruins nobody."""
_HEARD_S = 0.3
"""A pause that callers hardly notice before a first token, which takes longer."""


class PromptsShape(Section):
    """Prompts kept with their labels, only of those who opted in."""

    plans: list[Name] = Field([], description="Plans whose customers opted in; nobody else's prompts are kept.")
    customers: list[Name] = Field([], description="Customers who opted in besides.")
    ttl: Duration = Field(_PROMPTS.ttl_s, gt=0, description="For how long a prompt is kept; its label may stay longer.")
    max_bytes: Size = Field(
        _PROMPTS.bytes_max, description="What prompts that no label was made of yet take of the keeper's memory."
    )


class LabelsShape(Section):
    """What is kept to learn from: of each request the numbers of words that the weights know."""

    enabled: Flag = Field(_LABELS_ENABLED, description="Whether decisions keep it, and `/v1/feedback` is taken.")
    ttl: Duration = Field(_LABELS.ttl_s, description="For how long a label is kept.")
    customer_max: Whole = Field(_LABELS.customer_max, ge=1, description="Most labels of one customer; the oldest go.")
    all_max: Whole = Field(_LABELS.all_max, ge=1, le=10**6, description="Most labels; the oldest go.")
    retry: Duration = Field(
        _LABELS.retry_s,
        description="The same asked again within it, of a stronger tier or as the answer was wrong, is a label.",
    )
    prompts: PromptsShape = Field(
        default_factory=PromptsShape, description="Whose prompts are kept with their labels; nobody's unless named."
    )


class JudgeShape(Section):
    """A model asked how hard a request is, only where the trained judge finds two tiers nearly alike."""

    enabled: Flag = Field(default=False, description="Whether it is asked. It moves who serves, never what is charged.")
    model: Name = Field("simple", description="Who is asked: one of `models`, or a tier, whose first is.")
    near: Share = Field(
        Decimal("0.1"),
        description="How much likelier the judged tier may be than the next; with thresholds, how far the score may "
        "be from one.",
    )
    deadline: Duration = Field(
        _HEARD_S, gt=0, le=10, description="How long a request waits for it; then the trained judgement stands."
    )
    share: Share = Field(Decimal("0.1"), description="The share of requests for which it is asked at most.")
    budget: Budget = Field(_A_DAY, description="US dollars that asking may cost, as of `limits`; then it is not asked.")
    cache: Whole = Field(
        10_000,
        le=10**6,
        description="Answers that each worker remembers, by a keyed hash of customer and prompt; 0 for none.",
    )


class ShadowsShape(Section):
    """Of a share of requests another tier's answer is asked for, too, and compared: labels to learn from."""

    enabled: Flag = Field(
        default=False, description="Whether any is; needs `classifier.labels`. Nobody is charged for it."
    )
    share: Share = Field(
        Decimal("0.01"), gt=0, description="The share of requests that `auto` routed of those sampled."
    )
    tier: Literal["below", "above"] = Field(
        "below", description="Who is asked: the tier below the one that served, or above."
    )
    plans: list[Name] = Field([], description="Plans whose customers are sampled; nobody else is.")
    customers: list[Name] = Field([], description="Customers who are sampled besides.")
    budget: Budget = Field(
        _A_DAY, description="US dollars that asking may cost, as of `limits`; then nobody is sampled."
    )
    waiting: Whole = Field(
        64, ge=1, le=10_000, description="Samples that each worker has in hand; beyond them none is taken."
    )
    compare: Literal["rule", "model"] = Field(
        "rule",
        description="How answers are compared: by what stands in them, or, where that says nothing, by the model "
        "of `classifier.judge`.",
    )


class ClassifierShape(Section):
    """Who judges `auto`."""

    weights: Text | None = Field(
        None, description="A file that `penstock learn` wrote, against this file's folder; unset, the shipped weights."
    )
    labels: LabelsShape = Field(default_factory=LabelsShape, description="What is kept to learn from.")
    judge: JudgeShape = Field(default_factory=JudgeShape, description="A model asked in doubt; off by default.")
    shadows: ShadowsShape = Field(default_factory=ShadowsShape, description="Samples of what another tier answers.")
