"""Solves the two cut points from a target on labelled asks: the cheapest pair whose lower bound keeps the promise.

Quality kept is the mean outcome of the tiers that the cut points choose, over that of the complex tier. Its lower bound
is the smaller of two at one-sided 95 %: of a ratio of means (the delta method, Cochran, Sampling Techniques, 6.5), and
Wilson's of the share that is lost, which still holds where hardly an answer failed. What a pair promises on labels that
chose it is too good: so it is also shown on halves that did not choose theirs.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import sqrt
from random import Random
from typing import NamedTuple

from classifiers.cuts import REACH, Cuts
from classifiers.kinds import TIERS
from classifiers.labels import Label

LABELS_MIN = 100
"""Fewer decide nothing: with a hundred, three failures more or less are two points of quality."""
GRID = 96  # cut points are sought among so many quantiles of the score, each with each
Z = 1.645
SIMPLE_LOSS_MAX = 0.01  # with a share for the complex tier, what simple may cost in quality beside medium
ALL_UP = Cuts(0.0, 0.0)
"""Each ask one tier above its task's, or as high as its task goes."""
NEVER = 1.0  # above every score but a certainty

Prices = tuple[float, float, float]
"""What a request costs at each tier; only their ratios count."""


class Target(NamedTuple):
    """What is promised: a share of the complex tier's quality to keep, or the most that the complex tier may serve."""

    quality: float | None = None
    share: float | None = None


class Kept(NamedTuple):
    """What some way of choosing tiers comes to.

    Attributes:
        quality: The share of the complex tier's quality that it keeps; `low` its lower bound.
        saved: The share of the cost of sending everything to the complex tier that it saves.
        shares: How much simple, medium and complex serve.
    """

    quality: float
    low: float
    saved: float
    shares: tuple[float, float, float]


class Solution(NamedTuple):
    """Cut points, and what they come to.

    Attributes:
        cuts: The cut points.
        labels: On how many labels they were solved; `effective` is how many of equal weight would say as much.
        why_up: Why everything goes up instead; None where the target is met.
        kept: What they keep and save on those labels.
        unseen: The same on halves that did not choose their cut points.
        others: The same of other ways to choose, by name.
    """

    cuts: Cuts
    labels: int
    effective: float
    why_up: str | None
    kept: Kept
    unseen: Kept
    others: dict[str, Kept]


def solve(labels: Sequence[Label], target: Target, prices: Prices) -> Solution:
    """Return the cut points that meet the target by its bound: the cheapest for a quality, the best for a share.

    With too few labels, or where none meet it, everything goes up a tier.
    """
    cuts, why = _choose(labels, target, prices)
    halves = [Cuts(*_choose(half, target, prices)[0]) for half in _halves(labels)]
    chosen = [
        TIERS.index(halves[1 - half].tier(each.score, each.task))
        for half, part in enumerate(_halves(labels))
        for each in part
    ]
    unseen = kept(_ordered(labels), chosen, prices)
    found = kept(labels, [_placed(cuts, each) for each in labels], prices)
    return Solution(cuts, len(labels), _effective(labels), why, found, unseen, _others(labels, found, prices))


def _choose(labels: Sequence[Label], target: Target, prices: Prices) -> tuple[Cuts, str | None]:
    if len(labels) < LABELS_MIN:
        return ALL_UP, f"{len(labels)} labels are too few, {LABELS_MIN} are the least: everything goes up a tier"
    sums = _Sums(labels)
    best: tuple[tuple[float, ...], Cuts] | None = None
    for cuts in sums.pairs():
        found = sums.kept(cuts, prices)
        worth = (found.saved,) if target.quality is not None else (found.shares[2], found.saved)
        if (best is None or worth > best[0]) and _meets(sums, cuts, found, target, prices):
            best = worth, cuts
    if best is None:
        most = sums.kept(ALL_UP, prices)
        return ALL_UP, (
            f"no cut points can promise it on these labels: with everything a tier up, as far as tasks may go, "
            f"{most.quality:.1%} of the quality is kept, {most.low:.1%} at least"
        )
    return best[1], None


def _meets(sums: "_Sums", cuts: Cuts, found: Kept, target: Target, prices: Prices) -> bool:
    if target.quality is not None and found.low < target.quality:
        return False
    if target.share is None:
        return True
    if _upper(found.shares[2], sums.effective) > target.share:
        return False
    if target.quality is not None:
        return True
    without = sums.kept(Cuts(0.0, cuts.complex), prices)
    return found.low >= without.low - SIMPLE_LOSS_MAX * without.quality


def _placed(cuts: Cuts, label: Label) -> int:
    return TIERS.index(cuts.tier(label.score, label.task))


def _halves(labels: Sequence[Label]) -> tuple[list[Label], list[Label]]:
    order = list(labels)
    Random(len(order)).shuffle(order)  # noqa: S311 - which half a label is in is no secret
    return order[::2], order[1::2]


def _ordered(labels: Sequence[Label]) -> list[Label]:
    first, second = _halves(labels)
    return first + second


def kept(labels: Sequence[Label], chosen: Iterable[int], prices: Prices) -> Kept:
    """Return what a choice of tiers for each label comes to."""
    sums = _Sums.zero()
    shares = [0.0, 0.0, 0.0]
    for label, tier in zip(labels, chosen, strict=True):
        sums = tuple(a + b for a, b in zip(sums, _terms(label, tier), strict=True))
        shares[tier] += label.weight
    return _kept(sums, (shares[0], shares[1], shares[2]), _effective(labels), prices)


def _others(labels: Sequence[Label], tuned: Kept, prices: Prices) -> dict[str, Kept]:
    """Return what stands beside: chance with the same shares, an oracle, the shipped cut points, everything strong."""
    if not labels:
        return {}
    chance = Random(7)  # noqa: S311 - a figure to compare with
    found = {"random": kept(labels, chance.choices((0, 1, 2), tuned.shares, k=len(labels)), prices)}
    found["oracle"] = kept(labels, [_cheapest_best(each) for each in labels], prices)
    if all(each.judged is not None for each in labels):
        found["shipped"] = kept(labels, [TIERS.index(each.judged or "complex") for each in labels], prices)
    found["all complex"] = kept(labels, [2] * len(labels), prices)
    return found


def _cheapest_best(label: Label) -> int:
    return label.outcomes.index(max(label.outcomes))


def _effective(labels: Sequence[Label]) -> float:
    """Return how many labels of equal weight say as much (Kish)."""
    squares = sum(each.weight**2 for each in labels)
    return sum(each.weight for each in labels) ** 2 / squares if squares else 0.0


Terms = tuple[float, ...]
"""Sums over labels: weight × outcome, the same of the complex tier, and weight² × their products."""


def _terms(label: Label, tier: int) -> Terms:
    weight, got, strong = label.weight, label.outcomes[tier], label.outcomes[2]
    square = weight * weight
    return weight * got, weight * strong, square * got * got, square * got * strong, square * strong * strong


def _kept(sums: Terms, weights: tuple[float, float, float], effective: float, prices: Prices) -> Kept:
    total, strong = sum(weights) or 1.0, sums[1] or 1.0
    quality = sums[0] / strong
    spread = sqrt(max(0.0, sums[2] - 2 * quality * sums[3] + quality * quality * sums[4])) / strong
    low = min(quality - Z * spread, 1 - _upper(min(1.0, max(0.0, 1 - quality)), effective))
    shares = (weights[0] / total, weights[1] / total, weights[2] / total)
    cost = sum(share * price for share, price in zip(shares, prices, strict=True))
    return Kept(quality, low, 1 - cost / prices[2] if prices[2] else 0.0, shares)


def _upper(share: float, effective: float) -> float:
    """Return Wilson's one-sided upper bound of a share."""
    if effective <= 0:
        return 1.0
    z = Z * Z / effective
    return min(1.0, (share + z / 2 + Z * sqrt(share * (1 - share) / effective + z / (4 * effective))) / (1 + z))


class _Sums:
    """Prefix sums by score, for tasks of each reach, so that any pair of cut points is a few look-ups."""

    def __init__(self, labels: Sequence[Label]) -> None:
        scores = sorted(each.score for each in labels)
        step = max(1, len(scores) // GRID)
        self.grid = [0.0, *sorted(set(scores[step::step])), NEVER]
        self.effective = _effective(labels)
        self._by_reach: dict[tuple[int, int], list[list[Terms]]] = {}
        for reach in sorted(set(REACH.values())):
            part = [each for each in labels if REACH[each.task] == reach]
            self._by_reach[reach] = [list(self._prefix(part, tier)) for tier in range(3)]

    def _prefix(self, labels: list[Label], tier: int) -> Iterator[Terms]:
        """Yield the sums of all labels below each point of the grid; the last of a sum is that of their weights."""
        bins: list[Terms] = [(0.0,) * 6 for _ in self.grid]
        for label in labels:
            at = min(bisect_right(self.grid, label.score), len(self.grid) - 1)  # a score that is the cut point is above
            bins[at] = _plus(bins[at], (*_terms(label, tier), label.weight))
        return accumulate(bins, _plus)

    @staticmethod
    def zero() -> Terms:
        return (0.0,) * 5

    def pairs(self) -> Iterator[Cuts]:
        """Yield every pair of cut points."""
        for at, lower in enumerate(self.grid):
            for upper in self.grid[at:]:
                yield Cuts(lower, upper)

    def kept(self, cuts: Cuts, prices: Prices) -> Kept:
        """Return what a pair comes to."""
        places = bisect_left(self.grid, cuts.medium), bisect_left(self.grid, cuts.complex), len(self.grid) - 1
        sums, weights = self.zero(), [0.0, 0.0, 0.0]
        for (lowest, highest), prefixes in self._by_reach.items():
            for placed, end in enumerate(places):
                tier = max(lowest, min(placed, highest))
                part = (
                    _minus(prefixes[tier][end], prefixes[tier][places[placed - 1]]) if placed else prefixes[tier][end]
                )
                sums, weights[tier] = _plus(sums, part[:5]), weights[tier] + part[5]
        return _kept(sums, (weights[0], weights[1], weights[2]), self.effective, prices)


def _plus(one: Terms, other: Terms) -> Terms:
    return tuple(map(float.__add__, one, other))


def _minus(one: Terms, other: Terms) -> Terms:
    return tuple(map(float.__sub__, one, other))
