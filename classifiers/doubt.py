"""Where a judgement could as well have been another tier: near a boundary between two."""

from classifiers.cuts import REACH
from classifiers.judgement import Judgement
from classifiers.kinds import TIERS, Tier


def other_tier(judged: Judgement, near: float) -> Tier | None:
    """Return the tier that is nearly as likely as the judged one; None where no other is.

    Args:
        judged: The judgement.
        near: How much likelier the judged tier may be, 0..1; with cut points, how far the score may be from one.
    """
    if judged.cuts is not None:
        return _beyond(judged, near)
    at = TIERS.index(judged.tier)
    second = max((place for place in range(len(TIERS)) if place != at), key=judged.probabilities.__getitem__)
    return TIERS[second] if judged.probabilities[at] - judged.probabilities[second] < near else None


def _beyond(judged: Judgement, near: float) -> Tier | None:
    """Return the tier on the other side of the nearest cut point, where the task may reach it."""
    assert judged.cuts is not None, "the caller looked"
    cut = min(judged.cuts, key=lambda each: abs(judged.score - each))
    if abs(judged.score - cut) >= near:
        return None
    across = judged.cuts.index(cut) + (judged.score < cut)
    lowest, highest = REACH[judged.task]
    found = TIERS[min(max(across, lowest), highest)]
    return None if found == judged.tier else found
