"""The deadline that moves with every request."""

import asyncio

from proxy.alarm import Alarm


def test_an_alarm_strikes_once_at_its_last_setting():
    """Moved later, sooner, or off, it strikes when it was last told to, and never early."""

    class Loop:
        now = 0.0
        timers: list[asyncio.TimerHandle] = []  # noqa: RUF012

        def time(self) -> float:
            return self.now

        def call_at(self, when, callback):
            timer = asyncio.TimerHandle(when, callback, (), loop)
            self.timers.append(timer)
            return timer

        def get_debug(self) -> bool:
            return False

        def _timer_handle_cancelled(self, timer) -> None:
            self.timers.remove(timer)

        def advance(self, to: float) -> None:
            self.now = to
            for timer in [t for t in self.timers if t.when() <= to]:
                self.timers.remove(timer)
                timer._callback()

    loop = Loop()
    struck: list[float] = []
    alarm = Alarm(loop, lambda: struck.append(loop.now))

    alarm.set(10)
    loop.advance(5)
    alarm.set(10)
    for moment in (10, 12, 15, 20):
        loop.advance(moment)
    assert struck == [5 + 10]
    alarm.set(10)
    alarm.set(1)
    for moment in (21, 30):
        loop.advance(moment)
    assert struck == [5 + 10, 20 + 1]
    alarm.set(1)
    alarm.clear()
    loop.advance(40)
    alarm.set(1)
    alarm.stop()
    loop.advance(50)
    assert struck == [5 + 10, 20 + 1]
    assert loop.timers == []
