"""Fairness under load: near the bound on open requests no customer may hold more than its part.

What is open is never taken away. So a part is held to as requests come, and the last places are for who has few open:
whoever filled the house while it was empty finds no more of it, and others do.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

NEAR_PART = 2
"""Above a half of the bound parts are kept to; below it there is room for everybody."""
RESERVE_PART = 8
"""The last eighth of the bound is for customers that have few open."""
FEW_PART = 256
"""Few: fewer than this part of the bound, or none. So 32 customers find as many places in the last eighth each."""
SPAN_S = 10.0
"""How long requests that end are counted, to say how soon a place is free; longer while none does."""
WAIT_MAX_S = 60
"""The longest wait that is told: who comes back then is told anew."""


class Crowd:
    """Who has how many requests open here.

    Args:
        clock: In seconds.
    """

    __slots__ = ("_clock", "_left", "_left_at_mark", "_mark_s", "_near_s", "_open")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[int, int] = {}
        self._left = self._left_at_mark = 0
        self._mark_s = self._near_s = clock()

    def enter(self, customer: int, open_now: int, bound: int) -> bool:
        """Let one more request of a customer in, unless the house is nearly full and its part is used up.

        Args:
            customer: Whose it is.
            open_now: How many requests are open, this one included.
            bound: How many may be.
        """
        mine = self._open.get(customer, 0)
        if open_now > bound // NEAR_PART and not self._has_room(mine, open_now, bound):
            return False
        self._open[customer] = mine + 1
        return True

    def _has_room(self, mine: int, open_now: int, bound: int) -> bool:
        now_s, was_near_s = self._clock(), self._near_s
        self._near_s = now_s
        # Counted anew when the house fills, and then from time to time; not while nobody leaves.
        if now_s - was_near_s > SPAN_S or (now_s - self._mark_s > SPAN_S and self._left != self._left_at_mark):
            self._mark_s, self._left_at_mark = now_s, self._left
        shared = bound - bound // RESERVE_PART
        if open_now > shared:
            return mine < max(bound // FEW_PART, 1)
        return mine < max(shared // (len(self._open) + (mine == 0)), 1)

    def wait_s(self, open_now: int = 1, customer: int | None = None) -> int:
        """Return in how many seconds a place is free, as fast as they came free lately; 1 to 60.

        Args:
            open_now: How many requests are open.
            customer: Whose place; None: anybody's.
        """
        span_s, left = self._clock() - self._mark_s, self._left - self._left_at_mark
        mine = 0 if customer is None else self._open.get(customer, 0)
        if mine:
            span_s *= max(open_now / mine, 1)
        # Where none came free for so long the next may take as long again.
        return min(max(math.ceil(span_s / (left or 1)), 1), WAIT_MAX_S)

    def leave(self, customer: int, *, is_end: bool = True) -> None:
        """One of its requests is over; not `is_end`, it only begins, or was refused: that tells of no wait."""
        self._left += is_end
        left = self._open[customer] - 1
        if left:
            self._open[customer] = left
        else:
            del self._open[customer]
