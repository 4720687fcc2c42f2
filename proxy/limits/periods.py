"""Periods of budgets in UTC: which hours count at a moment, and when they no longer do. By the wall clock, in ns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

HOUR_NS = 3_600 * 1_000_000_000


def first_hour(per: str, t: int) -> int:
    """Return the first hour that counts at `t`, in hours since 1970.

    Args:
        per: `hour`, `day`, `week` (from Monday), `month`, or the last so many hours, as `24h`. Of those an hour counts
            until all of it is older, so that never more than the budget is spent within that time.
        t: The moment.
    """
    hour = t // HOUR_NS
    if per[0].isdigit():
        return hour - int(per[:-1])
    return int(_start(per, t).timestamp()) // 3_600


def ends_t(per: str, t: int) -> int:
    """Return when the hour, day, week or month at `t` ends."""
    start = _start(per, t)
    if per == "month":
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    else:
        end = start + timedelta(hours={"hour": 1, "day": 24, "week": 168}[per])
    return int(end.timestamp()) * 1_000_000_000


def frees_t(per: str, t: int, spent: Mapping[int, int], short: int = 1) -> int | None:
    """Return when `short` of what is spent no longer counts: at the period's end, or hour by hour of rolling ones.

    Args:
        per: As above.
        t: The moment.
        spent: What was spent in each hour that counts at `t`. Of rolling hours in which nothing was, it is the time at
            which what is spent now is forgotten.
        short: How much must be forgotten. None comes back if rolling hours have less.
    """
    if not per[0].isdigit():
        return ends_t(per, t)
    counts_for = int(per[:-1]) + 1
    for hour in sorted(hour for hour, count in spent.items() if count):
        short -= spent[hour]
        if short <= 0:
            return (hour + counts_for) * HOUR_NS
    return None if any(spent.values()) else (t // HOUR_NS + counts_for) * HOUR_NS


def _start(per: str, t: int) -> datetime:
    moment = datetime.fromtimestamp(t // 1_000_000_000, UTC).replace(minute=0, second=0, microsecond=0)
    if per == "hour":
        return moment
    day = moment.replace(hour=0)
    if per == "day":
        return day
    return day.replace(day=1) if per == "month" else day - timedelta(days=day.weekday())
