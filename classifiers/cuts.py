"""The two cut points that turn a score into a tier, where they were solved from a target (`classifiers.tuning`)."""

from typing import NamedTuple

from classifiers.difficulty import LEVEL
from classifiers.kinds import TIERS, Task, Tier


class Cuts(NamedTuple):
    """From which score on an ask is medium, and from which it is complex.

    Attributes:
        medium: From this score on, 0..1.
        complex: From this one on; not below `medium`.
    """

    medium: float
    complex: float

    def tier(self, score: float, task: Task) -> Tier:
        """Return the tier of a score: within one of the task's own; what was not recognised is medium at least."""
        placed = (score >= self.medium) + (score >= self.complex)
        lowest, highest = REACH[task]
        return TIERS[lowest if placed < lowest else min(placed, highest)]

    def in_words(self, score: float, tier: Tier) -> str:
        """Say what a score comes to."""
        placed = TIERS[(score >= self.medium) + (score >= self.complex)]
        where = {
            "simple": f"below the cut point {self.medium:.3f}",
            "medium": f"between the cut points {self.medium:.3f} and {self.complex:.3f}",
            "complex": f"above the cut point {self.complex:.3f}",
        }[placed]
        bound = "" if tier == placed else f", {placed}, but a task moves by one tier at most"
        return f"the score {score:.3f} is {where}{bound} → {tier}"


REACH = {task: (level if task == "other" else max(0, level - 1), min(2, level + 1)) for task, level in LEVEL.items()}
"""The lowest and the highest tier of each task, as places in `TIERS`."""
