"""What a judge says about one ask: the closed sets of tiers and tasks, and the result."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Tier = Literal["simple", "medium", "complex"]
Task = Literal[
    "faq",  # one fact, definition or how-to
    "classification",  # a label out of a few
    "extraction",  # taking out or reshaping what the text already says: fields, formats, spelling
    "summarising",
    "drafting",  # prose for a purpose: mail, post, report; rewriting counts
    "analysis",  # explain, compare, assess
    "code",
    "mathematics",
    "reasoning",  # puzzles, proofs in words, decisions that follow from several premises
    "creative",
    "chat",  # greetings, thanks, small talk
    "translation",
    "planning",  # plans, schedules, system designs: many parts that must fit
    "other",  # no cue of any task was found
]

TIERS: tuple[Tier, ...] = ("simple", "medium", "complex")
TASKS: tuple[Task, ...] = (
    "faq",
    "classification",
    "extraction",
    "summarising",
    "drafting",
    "analysis",
    "code",
    "mathematics",
    "reasoning",
    "creative",
    "chat",
    "translation",
    "planning",
    "other",
)


class Judgement(NamedTuple):
    """How hard one ask is, and why.

    Attributes:
        tier: The most probable tier.
        task: The task class that set the tier before difficulty moved it.
        probabilities: Of simple, medium and complex, in that order; they sum to 1.
        score: 0..1, the need for a stronger model: P(medium) / 2 + P(complex).
        confidence: The probability of `tier`.
        reasons: Sentences a person understands, most important first.
        features: What was read, by name; kept in the decision record.
        version: Which judge spoke; the same version gives the same judgement for the same ask.
    """

    tier: Tier
    task: Task
    probabilities: tuple[float, float, float]
    score: float
    confidence: float
    reasons: tuple[str, ...]
    features: Mapping[str, float]
    version: str
