"""I18: what rounding comes to. Each amount is rounded once, so no line is off by more than half of its smallest unit.

I13 computes amounts again by the same arithmetic, and would not see a rounding that is wrong on both sides. This adds
up what was booked less what is exact, by price card and by meter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from margin.money import round_half_even

NUSD, MILLI = "nUSD", "thousandths of a credit"


@dataclass(slots=True)
class _Sum:
    lines: int = 0
    off: int = 0
    scale: int = 1


@dataclass(slots=True)
class Rounding:
    """Residues: what was booked less what is exact, by what they were priced by."""

    _sums: dict[tuple[str, str], _Sum] = field(default_factory=dict)

    def add(self, unit: str, by: str, residue: tuple[int, int]) -> bool:
        """Count a line's residue, as (numerator, denominator); tell whether rounding explains it."""
        off, scale = residue
        found = self._sums.setdefault((unit, by), _Sum(scale=scale))
        found.lines += 1
        found.off += off
        return 2 * abs(off) <= scale

    def violations(self) -> Iterator[str]:
        """Yield, in words, which sums are more than half a unit for each line."""
        for (unit, by), found in self._sums.items():
            if 2 * abs(found.off) > found.lines * found.scale:
                yield f"I18: rounding of {found.lines} lines by {by} adds up to {_whole(found)} {unit}"

    @property
    def lines(self) -> int:
        """How many cost lines were looked at."""
        return sum(found.lines for (unit, _), found in self._sums.items() if unit == NUSD)

    @property
    def residue_nusd(self) -> int:
        """What the rounding of costs comes to, to the next nano-dollar."""
        exact = sum(
            (Fraction(each.off, each.scale) for (unit, _), each in self._sums.items() if unit == NUSD), Fraction()
        )
        return round_half_even(exact.numerator, exact.denominator)


def _whole(found: _Sum) -> int:
    return round_half_even(found.off, found.scale)
