"""Which worker holds how much of which limit. Pure: moments come in as arguments, by a monotonic clock.

The one invariant: what is lent of a limit, the shares of the dead that may still count among it, is never more than the
limit, less what the books say is spent where it is a budget. Only a limit that was lowered is exceeded for a while.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.limits.shares import Name
from proxy.limits.windows import SPANS_NS

_COUNTED = {"requests", "tokens"}


@dataclass(slots=True)
class _Limit:
    """One limit: how high it was last said to be, who holds what, and what of the dead still counts until when."""

    height: int
    lent: dict[str, int] = field(default_factory=dict)
    kept_back: list[tuple[int, int]] = field(default_factory=list)


class Loans:
    """All shares that are lent, by limit and worker journal."""

    def __init__(self) -> None:
        self._limits: dict[Name, _Limit] = {}
        self._gone: set[str] = set()

    def __len__(self) -> int:
        return len(self._limits)

    def set(self, name: Name, height: int) -> bool:
        """Note how high a limit is now; tell whether it is new here."""
        found = self._limits.get(name)
        if found is None:
            self._limits[name] = _Limit(height)
            return True
        found.height = height
        return False

    def keep_back(self, name: Name, count: int, until_ns: int) -> None:
        """Count what nobody holds: it was used before this process began, or by a worker that died."""
        if count > 0:
            self._limits[name].kept_back.append((until_ns, count))

    def lend(self, worker: str, name: Name, count: int) -> None:
        """Note a share given. To a dead worker it is not: an answer that was on its way to it is lost with it."""
        if worker not in self._gone:
            lent = self._limits[name].lent
            lent[worker] = lent.get(worker, 0) + count

    def give_back(self, worker: str, name: Name, count: int) -> None:
        """Note what a worker no longer holds."""
        found = self._limits.get(name)
        if found is None or worker in self._gone:
            return
        found.lent[worker] = found.lent.get(worker, 0) - count
        if found.lent[worker] == 0:
            del found.lent[worker]

    def declare_dead(self, worker: str) -> None:
        """From here on nothing is lent to a worker, or taken back from it, but by burying it."""
        self._gone.add(worker)

    def rates_of(self, worker: str) -> list[Name]:
        """Return the limits of requests and tokens that a worker holds a part of."""
        return [
            name for name, limit in self._limits.items() if limit.lent.get(worker) and name.measure in _COUNTED
        ]  # fmt: skip

    def bury_rate(self, worker: str, name: Name, used: list[tuple[int, int]]) -> None:
        """Take a dead worker's share of a rate back, but for what it may have used.

        Args:
            worker: Whose journal has been folded to the end.
            name: The limit.
            used: What anybody used that still counts, as (count, until when). The dead are among them, so that they
                take no more than this of a limit; nor with more than they were lent.
        """
        limit = self._limits[name]
        left = limit.lent.pop(worker, 0) + sum(count for _, count in limit.kept_back)
        limit.kept_back = []
        # The newest first: what is forgotten last is what may still be one of theirs at any time.
        for count, until in sorted(used, key=lambda each: -each[1]):
            self.keep_back(name, min(count, left), until)
            left -= min(count, left)

    def bury(self, worker: str, t: int) -> None:
        """Take all else of a dead worker's shares back; those of a rate when its windows have certainly run out.

        Its journal must have been folded to the end: from then on the books know what it spent.
        """
        self._gone.add(worker)
        for name, limit in self._limits.items():
            count = limit.lent.pop(worker, 0)
            if name.measure in _COUNTED:
                self.keep_back(name, count, t + SPANS_NS[name.per])

    def tidy(self, t: int) -> None:
        """Forget the limits that nobody holds a part of and nothing counts against."""
        for name in [name for name, limit in self._limits.items() if not limit.lent]:
            self._forget_past(self._limits[name], t)
            if not self._limits[name].kept_back:
                del self._limits[name]

    @staticmethod
    def _forget_past(limit: _Limit, t: int) -> None:
        limit.kept_back = [(until, count) for until, count in limit.kept_back if until > t]

    def free(self, name: Name, t: int, spent: int = 0) -> int:
        """Return what can be lent now. Below zero while a limit was lowered, or a provider billed beyond a ceiling."""
        limit = self._limits[name]
        self._forget_past(limit, t)
        return limit.height - spent - sum(limit.lent.values()) - sum(count for _, count in limit.kept_back)

    def next_freed_ns(self, name: Name, need: int, t: int) -> int | None:
        """Return in how long enough of what counts against a limit is gone; None when there is nothing."""
        left = need
        for until, count in sorted(self._limits[name].kept_back):
            left -= count
            if left <= 0:
                return until - t
        return None

    def holders(self, name: Name, *, besides: str) -> list[str]:
        """Return the other workers that hold a part of a limit."""
        return [worker for worker, count in self._limits[name].lent.items() if worker != besides and count]
