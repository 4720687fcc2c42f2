"""Periods begin and end to the second, in UTC, whatever the month."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.periods import HOUR_NS, ends_t, first_hour, frees_t

NS = 10**9


def t(text: str) -> int:
    """Return a moment in nanoseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


def shown(moment: int) -> str:
    """Write one."""
    return datetime.fromtimestamp(moment // NS, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("per", "at", "start", "end"),
    [
        ("hour", "2026-11-27 06:59:59", "2026-11-27 06:00:00", "2026-11-27 07:00:00"),
        ("day", "2026-11-27 23:59:59", "2026-11-27 00:00:00", "2026-11-28 00:00:00"),
        ("day", "2028-02-29 00:00:00", "2028-02-29 00:00:00", "2028-03-01 00:00:00"),
        ("week", "2026-11-29 23:59:59", "2026-11-23 00:00:00", "2026-11-30 00:00:00"),
        ("week", "2026-11-30 00:00:00", "2026-11-30 00:00:00", "2026-12-07 00:00:00"),
        ("month", "2026-12-31 23:59:59", "2026-12-01 00:00:00", "2027-01-01 00:00:00"),
        ("month", "2028-02-29 12:00:00", "2028-02-01 00:00:00", "2028-03-01 00:00:00"),
        ("month", "2027-02-28 23:59:59", "2027-02-01 00:00:00", "2027-03-01 00:00:00"),
    ],
)
def test_a_period_has_its_first_hour_and_its_end(per, at, start, end):
    """Days, weeks from Monday and months of the calendar, leap days included."""
    assert shown(first_hour(per, t(at)) * HOUR_NS) == start
    assert shown(ends_t(per, t(at))) == end


@given(st.sampled_from(["hour", "day", "week", "month"]), st.integers(0, 4_000_000_000 * NS))
def test_periods_follow_each_other_without_a_gap(per, moment):
    """At its end the next one begins, and up to a nanosecond before it is still the same."""
    end = ends_t(per, moment)

    assert first_hour(per, moment) * HOUR_NS <= moment < end
    assert first_hour(per, end) * HOUR_NS == end
    assert first_hour(per, end - 1) == first_hour(per, moment)


@given(st.integers(1, 744), st.integers(10**18, 2 * 10**18))
def test_rolling_hours_count_until_all_of_them_is_older(hours, moment):
    """Whatever was spent within the last so many hours counts; nothing that is an hour older does."""
    first = first_hour(f"{hours}h", moment) * HOUR_NS

    assert first <= moment - hours * HOUR_NS < first + HOUR_NS


def test_rolling_hours_give_back_what_is_oldest_first():
    """Of 24 hours, 60 spent at five and 30 at nine: 61 are free when those of nine are forgotten, 91 never."""
    now, five = t("2026-11-27 10:30:00"), t("2026-11-27 05:00:00") // HOUR_NS
    spent = {five: 60, five + 4: 30}

    said = [frees_t("24h", now, spent, short) for short in (1, 60, 61, 90)]

    assert [shown(each) for each in said if each is not None] == ["2026-11-28 06:00:00"] * 2 + [
        "2026-11-28 10:00:00"
    ] * 2
    assert first_hour("24h", said[0]) == five + 1
    assert first_hour("24h", said[0] - 1) == five
    assert frees_t("24h", now, spent, 91) is None
    assert shown(frees_t("24h", now, {})) == "2026-11-28 11:00:00"
    assert frees_t("day", now, {}, 91) == ends_t("day", now)
