"""A sliding window: what was counted in the last minute or day.

What comes within one second is one bucket, and counts until the last of it is as old as the window is long. So at no
moment were more than the limit counted within any such time; what came alone is forgotten to the nanosecond, and what
came within one second at most that second late.

A bucket is two numbers, and a day has 86,400 seconds. The windows of a worker share a `Room`: while more buckets than
it has are in use, days are counted by the minute, which forgets at most a minute late.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

NS = 1_000_000_000
MINUTE_NS = 60 * NS
DAY_NS = 86_400 * NS
SPANS_NS = {"minute": MINUTE_NS, "day": DAY_NS}

BUCKETS_MAX = 4 << 20
"""Buckets of all windows of a worker: 64 MiB of numbers, up to twice that as arrays grow and shrink. As many as 48
limits per day that are used in every second of it, or 4,000 that are used in a thousand."""
THIN_BUCKETS = 2 * DAY_NS // MINUTE_NS
"""A window with fewer buckets is not worth thinning: by the minute it could have half of them."""


class Room:
    """How many buckets there are, and how many there may be before days are counted by the minute."""

    __slots__ = ("buckets", "buckets_max")

    def __init__(self, buckets_max: int = BUCKETS_MAX) -> None:
        self.buckets, self.buckets_max = 0, buckets_max


class Window:
    """What was counted, oldest first. `t` never falls: callers use a monotonic clock."""

    __slots__ = ("_counts", "_first", "_gone_t", "_lasts", "_room", "span_ns", "total")

    def __init__(self, span_ns: int, room: Room) -> None:
        self.span_ns, self._room = span_ns, room
        self._lasts = array("q")
        """Of each bucket, when the last of it came."""
        self._counts = array("q")
        """What came in each: 64 bits hold millions of the largest usage, or limit, that is taken for one."""
        self._first = 0
        """Where the buckets begin; those before have left the window."""
        self._gone_t = -1
        """The last time at which something came that has left it."""
        self.total = 0
        """What the buckets hold; `slide` takes out what has left the window."""

    def slide(self, t: int) -> int:
        """Let what has left the window go; return what is in it."""
        lasts = self._lasts
        if lasts and lasts[self._first] <= t - self.span_ns:
            self._drop(t - self.span_ns)
        return self.total

    def add(self, count: int, t: int) -> int:
        """Count; return the beginning of its second, for `take_out`."""
        lasts, second = self._lasts, t - t % NS
        if lasts and lasts[-1] >= second:
            lasts[-1] = t
            self._counts[-1] += count
        else:
            self._begin(count, t)
        self.total += count
        return second

    def take_out(self, count: int, second: int) -> None:
        """Uncount what was counted too much in a second, if it still counts."""
        if second <= self._gone_t:
            return
        index = bisect_left(self._lasts, second, self._first)
        if index < len(self._lasts):
            self._counts[index] -= count
            self.total -= count
        if not self.total:
            self._keep_from(len(self._lasts))

    def frees_ns(self, count: int, t: int) -> int:
        """Return how long it takes until `count` of what is in the window has left it; all of it, if that is less."""
        left = min(count, self.total)
        if left == self.total:  # the common question needs no look at all of a day
            index = len(self._lasts) - 1
            while index >= self._first and not self._counts[index]:
                index -= 1
        else:
            index = self._first - 1
            while left > 0:
                index += 1
                left -= self._counts[index]
        return max(self._lasts[index] + self.span_ns - t, 0) if index >= self._first else 0

    # ---- buckets ----------------------------------------------------------------------------------------------------

    def _begin(self, count: int, t: int) -> None:
        if self.span_ns > MINUTE_NS and self._room.buckets >= self._room.buckets_max:
            if len(self._lasts) - self._first > THIN_BUCKETS:
                self._thin()
            if self._lasts and self._lasts[-1] >= t - t % MINUTE_NS:
                self._lasts[-1] = t
                self._counts[-1] += count
                return
        self._lasts.append(t)
        self._counts.append(count)
        self._room.buckets += 1

    def _drop(self, gone_t: int) -> None:
        upto = bisect_right(self._lasts, gone_t, self._first)
        self.total -= sum(self._counts[self._first : upto])
        self._gone_t = self._lasts[upto - 1]
        self._keep_from(upto)

    def _keep_from(self, index: int) -> None:
        self._room.buckets -= index - self._first
        self._first = index
        if 2 * index >= len(self._lasts):  # what is moved is never more than what goes
            del self._lasts[:index], self._counts[:index]
            self._first = 0

    def _thin(self) -> None:
        """Make one bucket of each minute."""
        lasts, counts = array("q"), array("q")
        for last, count in zip(self._lasts[self._first :], self._counts[self._first :], strict=True):
            if lasts and lasts[-1] >= last - last % MINUTE_NS:
                lasts[-1] = last
                counts[-1] += count
            else:
                lasts.append(last)
                counts.append(count)
        self._room.buckets -= len(self._lasts) - self._first - len(lasts)
        self._lasts, self._counts, self._first = lasts, counts, 0
