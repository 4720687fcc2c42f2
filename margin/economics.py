"""The arithmetic of unit economics: shares, bands of margin, and how unevenly something lies among customers.

Every ratio is an exact fraction, and None where there is nothing to divide by: of no revenue a margin is not 0 %.
Bounds and bands are those of the pricing brief.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple

COST_PER_RESOLUTION_MAX: Final = Fraction(30, 100)
"""Of the price of a resolution."""
COST_PER_MEMBER_MAX: Final = Fraction(20, 100)
"""Of the revenue per active member."""
MODEL_COST_MAX: Final = Fraction(25, 100)
"""Of the revenue."""

POWER_TIMES: Final = 5
"""A power user costs more than so many times the average customer that was served; of five or fewer none can."""
TOURIST_DAYS_MAX: Final = 2
TOURIST_GONE_DAYS: Final = 14
"""Who tried it on at most two days and has not come back for fourteen is a tourist."""


class Band(NamedTuple):
    """A range of gross margin, both ends in it."""

    name: str
    low: Fraction
    high: Fraction


def _band(name: str, low: int, high: int) -> Band:
    return Band(name, Fraction(low, 100), Fraction(high, 100))


STAGES: Final = (
    _band("early", 25, 40), _band("growth", 50, 65), _band("mature", 65, 75), _band("classic SaaS", 80, 90),
)  # fmt: skip
"""What margin companies of a stage have; 65 % is growth's last and not mature's first."""

ARCHETYPES: Final[Mapping[str, Band]] = MappingProxyType(
    {each.name: each for each in (_band("copilot", 70, 80), _band("agent", 50, 65), _band("service", 60, 75))}
)
"""What margin a product of a kind aims at."""


def share(part: int, whole: int) -> Fraction | None:
    """Return part ÷ whole; None of nothing, and of less than nothing."""
    return Fraction(part, whole) if whole > 0 else None


def stage(margin: Fraction | None) -> str | None:
    """Return the stage whose band a margin lies in, or between or beside which; None of no margin."""
    if margin is None:
        return None
    below = None
    for band in STAGES:
        if margin < band.low:
            return f"below {band.name}" if below is None else f"between {below} and {band.name}"
        if margin <= band.high:
            return band.name
        below = band.name
    return f"above {below}"


def against(target: Fraction | None, margin: Fraction | None) -> str | None:
    """Return whether a margin is `below` its target or `met`; None where either is not known."""
    if target is None or margin is None:
        return None
    return "met" if margin >= target else "below"


def rank(values: Sequence[int], percent: int) -> int | None:
    """Return the value that so many percent are not above (nearest rank); None of none."""
    if not values:
        return None
    return sorted(values)[-(-percent * len(values) // 100) - 1]


def top_share(values: Sequence[int], parts: int = 10) -> tuple[int, Fraction | None]:
    """Return how many the top part of the values is, at least one, and its share of the sum."""
    count = -(-len(values) // parts)
    top = sorted(values, reverse=True)[:count]
    return count, share(sum(top), sum(values))


def gini(values: Sequence[int]) -> Fraction | None:
    """Return how unevenly positive values lie: 0 all alike, towards 1 all with one. None of a sum of nothing.

    https://en.wikipedia.org/wiki/Gini_coefficient: 2 Σ i·x / (n Σ x) - (n + 1) / n, with x in ascending order.
    """
    count, total = len(values), sum(values)
    if total <= 0:
        return None
    weighted = sum(index * value for index, value in enumerate(sorted(values), start=1))
    return Fraction(2 * weighted, count * total) - Fraction(count + 1, count)


def parts_of(count: int, parts: int = 10) -> list[tuple[int, int]]:
    """Divide so many, in order, into at most `parts` runs as even as can be; return each run's (first, end)."""
    parts = min(parts, count)
    edges = [count * part // parts for part in range(parts + 1)] if parts else []
    return list(pairwise(edges))


def is_power_user(cost_nusd: int, total_nusd: int, served: int) -> bool:
    """Tell whether a customer's cost is more than `POWER_TIMES` that of the average of those that were served."""
    return cost_nusd * served > POWER_TIMES * total_nusd


def is_tourist(days_active: int, days_gone: int) -> bool:
    """Tell whether a customer tried it and left."""
    return days_active <= TOURIST_DAYS_MAX and days_gone >= TOURIST_GONE_DAYS
