"""What is left of budgets, for the headers of answers: the keeper is asked as a request comes in, and nobody waits.

With several workers each knows only what it spent itself. So the keeper is asked of a budget again when its last word
is a second old, in one question for all budgets that were wanted meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from proxy.limits.shares import Name, Purse

OLD_NS = 1_000_000_000
"""A word younger than this is not asked for again."""
APART_S = 0.02
"""Between two questions of a worker: the keeper answers fifty a second of each, a few of its milliseconds at most."""
NAMES_MAX = 64
"""Budgets in one question; more wait for the next."""
WAITING_MAX = 1_024
"""Budgets that wait to be asked about; of more, answers say nothing newer than before."""


class Inquiry:
    """Asks what is left of budgets, not too often."""

    def __init__(self, ask: Callable[[list[Name]], None], clock: Callable[[], int]) -> None:
        self._ask, self._clock = ask, clock
        self._waiting: dict[Name, Purse] = {}
        self._pause: asyncio.TimerHandle | None = None

    def want(self, purses: Sequence[Purse]) -> None:
        """Have the keeper say of each what is left, unless it did a moment ago."""
        t = self._clock()
        for each in purses:
            if t - each.asked_t >= OLD_NS and len(self._waiting) < WAITING_MAX:
                self._waiting[each.name] = each
        if self._waiting and self._pause is None:
            self._send()

    def _send(self) -> None:
        t = self._clock()
        names = list(self._waiting)[:NAMES_MAX]
        for name in names:
            self._waiting.pop(name).asked(t)
        self._pause = asyncio.get_running_loop().call_later(APART_S, self._go_on)
        self._ask(names)

    def _go_on(self) -> None:
        self._pause = None
        if self._waiting:
            self._send()
