"""How long answers are: a bounded sketch of output tokens by plan and tier, learnt from this worker's settlements.

Kept in memory only: after a start holds are at their ceiling until enough was seen.
"""

from __future__ import annotations

import math

SAMPLES_MIN = 200
"""A 0.95 quantile then has ten samples above it; from fewer it is a guess."""
SAMPLES_MAX = 4_096
"""Then all counts are halved, so that the sketch follows what changes."""
STEPS_PER_DOUBLING = 8
"""Bounds of the counts grow by 9 %: a quantile is at most that much too large, and never too small."""
COUNTS_MAX = 30 * STEPS_PER_DOUBLING
"""Up to a billion tokens."""
SKETCHES_MAX = 512
"""Plans times tiers; each is two kilobytes."""


class Sketch:
    """Counts of token numbers in steps that grow by a constant factor."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0] * COUNTS_MAX
        self._total = 0

    def add(self, tokens: int) -> None:
        """Count one answer."""
        step = 0 if tokens <= 1 else math.ceil(math.log2(tokens) * STEPS_PER_DOUBLING)
        self._counts[min(step, COUNTS_MAX - 1)] += 1
        self._total += 1
        if self._total >= SAMPLES_MAX:
            self._counts = [each // 2 for each in self._counts]
            self._total = sum(self._counts)

    def quantile(self, share: float) -> int | None:
        """Return a number of tokens that at least `share` of the answers stay within; None before enough were seen."""
        if self._total < SAMPLES_MIN:
            return None
        need, counted = math.ceil(share * self._total), 0
        for step, count in enumerate(self._counts):
            counted += count
            if counted >= need:
                return math.ceil(2 ** (step / STEPS_PER_DOUBLING))
        return None


class Outputs:
    """The sketches of one worker, by version of a plan and tier."""

    def __init__(self) -> None:
        self._sketches: dict[tuple[str, str], Sketch] = {}

    def of(self, plan_version: str, tier: str) -> Sketch:
        """Return a sketch, a fresh one at first use; the oldest goes when there are too many."""
        found = self._sketches.get((plan_version, tier))
        if found is None:
            if len(self._sketches) >= SKETCHES_MAX:
                del self._sketches[next(iter(self._sketches))]
            found = self._sketches[(plan_version, tier)] = Sketch()
        return found
