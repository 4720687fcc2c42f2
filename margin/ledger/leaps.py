"""Jumps of the clock, forward: what was promised by the old clock ends that much later by the new one."""

from __future__ import annotations

from collections.abc import Iterable

from margin.ledger.state import Hold

LEAP_NS = 1_000_000_000
"""A clock that runs ahead of the monotonic one by more than this between two looks was set, not slewed: NTP slews by
0.5 ms a second."""
LEAPS_MAX = 16
"""Jumps remembered; a hold that has seen more of them is reaped early, and its charge is an estimate."""


Leap = tuple[int, int]
"""When the clock was set, by what it said before, and how far forward in nanoseconds."""


def stale(holds: Iterable[Hold], t: int, leaps: Iterable[Leap] = ()) -> list[str]:
    """Return the holds whose deadline was before `t`: a bug, or a worker that hangs.

    A clock that was set forward meanwhile gave them no more time to end in: their deadline moves with it.
    """
    late = [hold for hold in holds if hold.deadline_t < t]
    return [hold.x for hold in late if hold.deadline_t + sum(ns for at, ns in leaps if hold.t <= at) < t]


class Leaps:
    """How far the clock was set forward, and when, as who looks at it again and again sees it."""

    def __init__(self, now_t: int, monotonic_ns: int) -> None:
        self._ahead_ns = now_t - monotonic_ns
        self.seen: list[Leap] = []

    def note(self, now_t: int, monotonic_ns: int) -> None:
        """Look at both clocks."""
        leap_ns = now_t - monotonic_ns - self._ahead_ns
        self._ahead_ns += leap_ns
        if leap_ns > LEAP_NS:
            self.seen = [*self.seen[1 - LEAPS_MAX :], (now_t - leap_ns, leap_ns)]
