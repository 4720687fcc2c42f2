"""Fairness under load: near the bound on open requests no customer may hold more than its part."""

from __future__ import annotations

NEAR_PART = 2
"""Above a half of the bound parts are kept to; below it there is room for everybody."""
RESERVE_PART = 8
"""An eighth of the bound is nobody's, so that whoever comes to a full house finds a place."""


class Crowd:
    """Who has how many requests open here."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[int, int] = {}

    def enter(self, customer: int, open_now: int, bound: int) -> bool:
        """Let one more request of a customer in, unless the house is nearly full and its part is used up."""
        mine = self._open.get(customer, 0)
        if open_now > bound // NEAR_PART and mine >= self._part(bound, is_new=mine == 0):
            return False
        self._open[customer] = mine + 1
        return True

    def _part(self, bound: int, *, is_new: bool) -> int:
        return max((bound - bound // RESERVE_PART) // (len(self._open) + is_new), 1)

    def leave(self, customer: int) -> None:
        """One of its requests is over."""
        left = self._open[customer] - 1
        if left:
            self._open[customer] = left
        else:
            del self._open[customer]
