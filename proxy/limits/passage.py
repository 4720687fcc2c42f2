"""What one exchange, or one call of it, has taken of its limits, until it ends. Ended or undone once."""

from __future__ import annotations

from collections.abc import Callable

from proxy.limits.shares import Amounts, Share

Taken = tuple[Share, int, int]
"""A share, how much was taken of it, and what the share wants to know of that at the end."""


class Passage:
    """A right to go on: every limit has room for it, and keeps it."""

    __slots__ = ("_clock", "_taken")

    def __init__(self, taken: list[Taken], clock: Callable[[], int]) -> None:
        self._taken, self._clock = taken, clock

    def join(self, other: Passage) -> None:
        """Take over what another took."""
        self._taken += other._taken

    def add(self, share: Share, count: int, t: int) -> None:
        """Take more of a share that is among those taken."""
        for index, (found, before, taken) in enumerate(self._taken):
            if found is share:
                share.take(count, t)
                self._taken[index] = (share, before + count, taken)

    def end(self, actual: Amounts) -> None:
        """It is over, and came to this much."""
        t = self._clock()
        taken, self._taken = self._taken, []
        for share, count, token in taken:
            share.end(count, token, actual[share.place], t)

    def undo(self) -> None:
        """Nothing came of it: it never counted."""
        taken, self._taken = self._taken, []
        for share, count, token in taken:
            share.back(count, token)
