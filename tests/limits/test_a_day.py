"""A day and more on a simulated clock, with four workers: windows and budgets begin anew at the second they should."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from proxy.limits.shares import Amounts, Name
from tests.limits.simulated import NS, Calendar, Clock, House, simulate

START = datetime(2028, 2, 28, 22, tzinfo=UTC)
"""Two hours before the 29th; the month ends 26 hours later."""
RPM = Name("key", "k", "requests", "minute")
HOURLY = Name("key", "k", "cost", "hour cost hard")
DAILY = Name("customer", "1", "cost", "day cost hard")
MONTHLY = Name("all", "", "charge", "month charge hard")
ROLLING = Name("plan", "pro", "cost", "24h cost hard")
ONE = Amounts(tokens=0, cost_nusd=10, charge_nusd=10)
"""What a request holds, and comes to."""


async def through(clock: Clock, limits: dict[Name, int], until: timedelta) -> list[datetime]:
    """Ask as soon as one may, and a second before that; return when requests were let through."""
    house = House(clock, workers=4, seed=11, books=Calendar(START))
    began_s, found = clock.time(), []
    money = tuple(name for name in limits if name.measure in {"cost", "charge"})

    async def asked() -> bool:
        got = await house.ask(limits, ONE)
        if got is None:
            return False
        house.end(got, ONE, money)
        found.append(START + timedelta(seconds=clock.time() - began_s))
        return True

    while clock.time() - began_s < until.total_seconds():
        if await asked():
            continue
        wait_ns = house.refused[-1].retry_ns
        assert wait_ns is not None
        if wait_ns > 2 * NS:
            await asyncio.sleep(wait_ns / 1e9 - 1)
            assert not await asked(), "it was told to come later"
            wait_ns = house.refused[-1].retry_ns
            assert wait_ns is not None
            assert wait_ns <= 1.1 * NS
        await asyncio.sleep(wait_ns / 1e9)
    assert house.away == 0
    return found


def to_the_second(moments: list[datetime]) -> list[str]:
    """Write moments as days and times."""
    return [each.strftime("%d %H:%M:%S") for each in moments]


def test_minutes_hours_and_days_begin_anew_to_the_second():
    """Three a minute, 100 an hour, 1,200 a day: each binds in turn, over the end of a month."""
    limits = {RPM: 3, HOURLY: 1_000, DAILY: 12_000}

    found = simulate(lambda clock: through(clock, limits, timedelta(hours=27)))

    by_hour = Counter(each.replace(minute=0, second=0, microsecond=0) for each in found)
    hours = [START + timedelta(hours=n) for n in range(27)]
    # Two hours of the 28th, the twelve of the 29th that its budget lasts for, and the first of March.
    assert [by_hour[hour] for hour in hours] == [100] * 14 + [0] * 12 + [100]
    firsts = [next(each for each in found if each >= hour) for hour in hours if by_hour[hour]]
    assert to_the_second(firsts) == to_the_second([hour for hour in hours if by_hour[hour]])
    times = [each.timestamp() for each in found]
    assert all(later - first >= 60 for first, later in zip(times, times[3:], strict=False))


@pytest.mark.parametrize(
    ("limits", "days"),
    [({MONTHLY: 500}, ["28 22:00:00", "01 00:00:00"]), ({ROLLING: 500}, ["28 22:00:00", "29 23:00:00"])],
    ids=["a month ends", "rolling hours are forgotten whole"],
)
def test_what_is_spent_at_once_comes_back_to_the_second(limits, days):
    """Fifty at ten at night: fifty more at midnight of the month's end, or when their hour is 24 hours old."""
    found = simulate(lambda clock: through(clock, limits, timedelta(hours=27)))

    assert sorted(set(to_the_second(found)), key=days.index) == days
    assert Counter(to_the_second(found)) == dict.fromkeys(days, 50)
