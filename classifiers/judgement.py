"""What a judge says about one ask."""

from collections.abc import Mapping
from typing import NamedTuple

from classifiers.cuts import Cuts
from classifiers.difficulty import reasons
from classifiers.kinds import Task, Tier


class Judgement(NamedTuple):
    """How hard one ask is, and why.

    Attributes:
        tier: The most probable tier; with cut points, the one they give the score.
        task: The task class that set the tier before difficulty moved it.
        probabilities: Of simple, medium and complex, in that order; they sum to 1.
        score: 0..1, the trained need for a stronger model: what thresholds are tuned on.
        confidence: The probability of `tier`.
        features: What counted, by name; kept in the decision record.
        version: Which weights spoke; the same version and cut points give the same judgement for the same ask.
        cuts: The cut points that placed the score; None: the probabilities placed it.
    """

    tier: Tier
    task: Task
    probabilities: tuple[float, float, float]
    score: float
    confidence: float
    features: Mapping[str, float]
    version: str
    cuts: Cuts | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences a person understands, most important first; put into words only when asked for."""
        placed = None if self.cuts is None else self.cuts.in_words(self.score, self.tier)
        return reasons(self.task, self.tier, self.features, placed)
