"""What a ranking of prompts is worth: AUC, the quality it keeps, what it saves. Definitions as in RouteLLM's paper."""

from collections.abc import Callable
from typing import Any

import numpy as np

STRONG_COST = 10.0
"""What a call of the strong model costs where one of the cheap model costs 1: the shipped credit schedule."""


def area(scores: Any, needed: Any) -> float:
    """Return the area under the curve: how often a prompt that needs the strong model ranks above one that does not."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    many = needed.sum()
    if not many or many == len(needed):
        return float("nan")
    return float((ranks[needed].sum() - many * (many + 1) / 2) / (many * (len(needed) - many)))


def gains(scores: Any, cheap: Any, strong: Any) -> Any:
    """Return the share of the gap recovered as 0, 1, 2, … of the highest-ranked prompts go to the strong model."""
    order = np.argsort(-scores, kind="stable")
    total = (strong - cheap).sum()
    return np.concatenate([[0.0], np.cumsum((strong - cheap)[order])]) / total


def mean_gain(scores: Any, cheap: Any, strong: Any) -> float:
    """Return APGR: the mean share of the gap recovered, over all shares of strong calls. Random has 0.5."""
    found = gains(scores, cheap, strong)
    return float(((found[1:] + found[:-1]) / 2).mean())


def calls_for(scores: Any, cheap: Any, strong: Any, wanted: float) -> float:
    """Return CPT: the smallest share of strong calls that recovers so much of the gap."""
    found = gains(scores, cheap, strong)
    return float(np.argmax(found >= wanted) / (len(found) - 1))


def saved(scores: Any, cheap: Any, strong: Any, kept: float) -> float:
    """Return the share of the all-strong cost that is saved at so much of the strong model's mean score."""
    order = np.argsort(-scores, kind="stable")
    quality = (cheap.sum() + np.concatenate([[0.0], np.cumsum((strong - cheap)[order])])) / strong.sum()
    share = np.argmax(quality >= kept) / len(order) if (quality >= kept).any() else 1.0
    return float((1 - share) * (1 - 1 / STRONG_COST))


def error(chances: Any, outcomes: Any, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal size."""
    order = np.array_split(np.argsort(chances, kind="stable"), bins)
    return float(sum(abs(chances[part].mean() - outcomes[part].mean()) * len(part) for part in order) / len(chances))


def interval(measure: Callable[[Any], float], count: int, rounds: int = 200, seed: int = 7) -> tuple[float, float]:
    """Return the 95 % interval of a measure of some rows, by resampling them."""
    chance = np.random.default_rng(seed)
    found = [measure(chance.integers(0, count, count)) for _ in range(rounds)]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, after Wilson: it holds for few, and for none."""
    if not of:
        return 0.0, 1.0
    share, z = count / of, 1.96**2 / of
    middle, spread = share + z / 2, (share * (1 - share) * z + z * z / 4) ** 0.5
    return (middle - spread) / (1 + z), (middle + spread) / (1 + z)
