"""Jumps of the clock, forward: what was promised by the old clock ends that much later by the new one."""

from __future__ import annotations

LEAP_NS = 1_000_000_000
"""A clock that runs ahead of the monotonic one by more than this between two looks was set, not slewed: NTP slews by
0.5 ms a second."""
LEAPS_MAX = 16
"""Jumps remembered; a hold that has seen more of them is reaped early, and its charge is an estimate."""


class Leaps:
    """How far the clock was set forward, and when."""

    def __init__(self, now_t: int, monotonic_ns: int) -> None:
        self._ahead_ns = now_t - monotonic_ns
        self._leaps: list[tuple[int, int]] = []

    def note(self, now_t: int, monotonic_ns: int) -> None:
        """Look at both clocks."""
        leap_ns = now_t - monotonic_ns - self._ahead_ns
        self._ahead_ns += leap_ns
        if leap_ns > LEAP_NS:
            self._leaps = [*self._leaps[1 - LEAPS_MAX :], (now_t - leap_ns, leap_ns)]

    def since_ns(self, t: int) -> int:
        """Return how far the clock was set forward after `t`."""
        return sum(leap_ns for at, leap_ns in self._leaps if t <= at)
