"""What is promised: each measure with its must and its aim, and the verdict on what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction


class Verdict(Enum):
    """How a measure stands."""

    AIM = "aim met"
    MUST = "must met"
    BROKEN = "**BROKEN**"
    OPEN = "open"
    """Its feature does not exist yet."""
    UNBOUND = "–"
    """Reported; nothing is promised."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A ratio that must be reached and one that is aimed at. `style` is how ratios of it are written."""

    sign: str
    must: Fraction
    aim: Fraction
    style: str = "×"

    def holds(self, ratio: float, limit: Fraction) -> bool:
        """Tell whether a ratio is on the right side of a limit."""
        return ratio >= float(limit) if self.sign == "≥" else ratio <= float(limit)


@dataclass(frozen=True, slots=True)
class Row:
    """A measure and what was found: figures with their units, and the ratio of each round.

    No ratios: the feature is not there yet, and `note` says which. `failure` says why a measure could not be taken or
    cannot be trusted; it counts as broken.
    """

    name: str
    ours: str
    theirs: str
    ratios: tuple[float, ...]
    bound: Bound | None
    note: str = ""
    failure: str | None = None
    style: str = "×"

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.ratios)

    @property
    def verdict(self) -> Verdict:
        """How it stands."""
        if self.failure is not None:
            return Verdict.BROKEN
        if not self.ratios:
            return Verdict.OPEN
        if self.bound is None:
            return Verdict.UNBOUND
        if self.bound.holds(self.ratio, self.bound.aim):
            return Verdict.AIM
        return Verdict.MUST if self.bound.holds(self.ratio, self.bound.must) else Verdict.BROKEN

    def cells(self) -> list[str]:
        """Return what the table shows."""
        style = self.style if self.bound is None else self.bound.style
        spread = ""
        if self.ratios:
            low, high = sorted((min(self.ratios), max(self.ratios)))
            spread = written(self.ratio, style)
            if len(self.ratios) > 1:
                spread += f" ({written(low, style)} … {written(high, style)})"
        limits = ["–", "–"]
        if self.bound is not None:
            limits = [f"{self.bound.sign} {written(float(each), style)}" for each in (self.bound.must, self.bound.aim)]
        said = " ".join(each for each in (self.verdict.value, self.failure or self.note) if each)
        return [self.name, self.ours, self.theirs, spread, *limits, said]


HEADS = ("measure", "Penstock", "beside", "ratio (lowest … highest round)", "must", "aim", "verdict")


def written(ratio: float, style: str) -> str:
    """Write a ratio: `×` as times, `1/` as a part, `%` as what is added to one."""
    if style == "%":
        return f"{(ratio - 1) * 100:+.1f} %"
    if style == "1/":
        # A latency that noise took below the direct one, or memory that did not grow, is no part of anything.
        return f"1/{1 / ratio:,.1f}".removesuffix(".0") if ratio > 0 else "0"
    digits = 0 if ratio >= 100 or ratio == int(ratio) else 2 if ratio < 2 else 1
    return f"{ratio:,.{digits}f}×"


def paired(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """Return the ratio of each round: what was measured close together is compared."""
    return tuple(one / other for one, other in zip(ours, theirs, strict=True))


def middle(values: Sequence[float], unit: str, digits: int = 0) -> str:
    """Write the median of some figures."""
    return f"{statistics.median(values):,.{digits}f} {unit}"


def is_broken(rows: Sequence[Row]) -> bool:
    """Tell whether any must is."""
    return any(row.verdict is Verdict.BROKEN for row in rows)


def times(sign: str, must: float, aim: float) -> Bound:
    """Return a bound on how many times."""
    return Bound(sign, Fraction(must), Fraction(aim))


def part(must: int, aim: int) -> Bound:
    """Return a bound on which part at most: one in `must`."""
    return Bound("≤", Fraction(1, must), Fraction(1, aim), "1/")


THROUGHPUT = times("≥", 30, 60)
CPU = times("≤", 28, 15)
LATENCY = part(20, 50)
TAIL = times("≤", 6, 2.5)
CACHE_HITS = times("≥", 60, 130)
CHUNK_PACED = part(8, 13)
CHUNK_BURST = part(40, 120)
SLOW_WALL = Bound("≤", Fraction(105, 100), Fraction(103, 100), "%")
SLOW_MEMORY = part(2, 5)
RESIDENT = part(2, 4)
START = part(4, 10)
BOOKS = Bound("≥", Fraction(9, 10), Fraction(97, 100))
