"""A sliding window: what was counted in the last span of time, in buckets.

A bucket is a second, and counts until all of it has left the window. So at no moment were more than the limit counted
within any span, and what was counted comes back at most a second late. Memory is three numbers for each bucket that is
not empty; of a day with too many its seconds are merged into minutes, and what was counted in those comes back with the
last of their seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """How long a window is, and how finely it is counted. `bucket_ns` times `buckets` is its length.

    Of more than `kept_max` buckets those of a minute are merged.
    """

    bucket_ns: int
    buckets: int
    kept_max: int

    @property
    def length_ns(self) -> int:
        """The length of the window."""
        return self.bucket_ns * self.buckets

    @property
    def forgotten_ns(self) -> int:
        """After this long nothing counts any more, in whatever part of a bucket it came."""
        return self.bucket_ns * (self.buckets + 1)


MERGED = 60
"""Buckets that are merged into one."""
MINUTE = Span(NS, 60, kept_max=61)
DAY = Span(NS, 86_400, kept_max=3_600)
"""An hour of seconds: half a megabyte of the busiest limit. Of one that lets less through each second is kept apart."""


class Window:
    """What was counted, by bucket, oldest first. `t` never falls: callers use a monotonic clock."""

    __slots__ = ("_buckets", "span", "total")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._buckets: deque[list[int]] = deque()  # its first second, its last one, what was counted
        self.total = 0
        """What the buckets hold; `slide` takes out what has left the window."""

    def slide(self, t: int) -> int:
        """Let what has left the window go; return what is in it."""
        buckets = self._buckets
        if buckets:
            gone = t // self.span.bucket_ns - self.span.buckets
            while buckets and buckets[0][1] < gone:
                self.total -= buckets.popleft()[2]
        return self.total

    def add(self, count: int, t: int) -> int:
        """Count; return the second, for `take_out`."""
        number = t // self.span.bucket_ns
        buckets = self._buckets
        if buckets and buckets[-1][1] == number:
            buckets[-1][2] += count
        else:
            buckets.append([number, number, count])
            if len(buckets) > self.span.kept_max:
                self._merge()
        self.total += count
        return number

    def _merge(self) -> None:
        """Keep minutes in place of seconds."""
        merged: deque[list[int]] = deque()
        for first, last, count in self._buckets:
            if merged and merged[-1][0] // MERGED == first // MERGED:
                merged[-1][1] = last
                merged[-1][2] += count
            else:
                merged.append([first, last, count])
        self._buckets = merged

    def take_out(self, count: int, number: int) -> None:
        """Uncount what was counted too much in a second, if it still counts."""
        for bucket in reversed(self._buckets):
            if bucket[0] <= number:
                if number <= bucket[1]:
                    bucket[2] -= count
                    self.total -= count
                return

    def frees_ns(self, count: int, t: int) -> int:
        """Return how long it takes until `count` of what is in the window has left it; all of it, if that is less."""
        left, last = count, None
        for _, last_second, held in self._buckets:
            left -= held
            last = last_second
            if left <= 0:
                break
        if last is None:
            return 0
        return max((last + self.span.buckets + 1) * self.span.bucket_ns - t, 0)
