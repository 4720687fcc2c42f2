"""A sliding window: what was counted in the last span of time, in buckets.

A bucket counts until all of it has left the window. So at no moment were more than the limit counted within any span,
and what was counted comes back at most one bucket late. Memory is one pair of numbers per bucket that is not empty.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """How long a window is, and how finely it is counted. `bucket_ns` times `buckets` is its length."""

    bucket_ns: int
    buckets: int

    @property
    def length_ns(self) -> int:
        """The length of the window."""
        return self.bucket_ns * self.buckets

    @property
    def forgotten_ns(self) -> int:
        """After this long nothing counts any more, in whatever part of a bucket it came."""
        return self.bucket_ns * (self.buckets + 1)


MINUTE = Span(NS, 60)
DAY = Span(60 * NS, 1_440)


class Window:
    """What was counted, by bucket, oldest first. `t` never falls: callers use a monotonic clock."""

    __slots__ = ("_buckets", "span", "total")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._buckets: deque[list[int]] = deque()
        self.total = 0
        """What the buckets hold; `slide` takes out what has left the window."""

    def slide(self, t: int) -> int:
        """Let what has left the window go; return what is in it."""
        buckets = self._buckets
        if buckets:
            gone = t // self.span.bucket_ns - self.span.buckets
            while buckets and buckets[0][0] < gone:
                self.total -= buckets.popleft()[1]
        return self.total

    def add(self, count: int, t: int) -> int:
        """Count; return the bucket, for `take_out`."""
        number = t // self.span.bucket_ns
        buckets = self._buckets
        if buckets and buckets[-1][0] == number:
            buckets[-1][1] += count
        else:
            buckets.append([number, count])
        self.total += count
        return number

    def take_out(self, count: int, number: int) -> None:
        """Uncount what was counted too much in a bucket, if it still counts."""
        for bucket in reversed(self._buckets):
            if bucket[0] == number:
                bucket[1] -= count
                self.total -= count
                return
            if bucket[0] < number:
                return

    def frees_ns(self, count: int, t: int) -> int:
        """Return how long it takes until `count` of what is in the window has left it; all of it, if that is less."""
        left, last = count, None
        for number, held in self._buckets:
            left -= held
            last = number
            if left <= 0:
                break
        if last is None:
            return 0
        return max((last + self.span.buckets + 1) * self.span.bucket_ns - t, 0)
