"""A deadline that is set with every request and almost never reached."""

import asyncio
from collections.abc import Callable


class Alarm:
    """One deadline that moves often and rarely strikes.

    Moving it only notes the new time; the loop's timer is left where it is and, when it strikes too
    early, is set again. So a deadline per request costs no timer per request.
    """

    __slots__ = ("_due", "_loop", "_strike", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, strike: Callable[[], None]) -> None:
        self._loop = loop
        self._strike = strike
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, delay_s: float | None) -> None:
        """Strike once, `delay_s` from now (None: never), in place of any earlier setting."""
        if delay_s is None:
            self._due = None
            return
        self._due = due = self._loop.time() + delay_s
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._ring)

    def clear(self) -> None:
        """Do not strike."""
        self._due = None

    def stop(self) -> None:
        """Do not strike, and leave no timer behind."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._ring)
        else:
            self._due = None
            self._strike()
