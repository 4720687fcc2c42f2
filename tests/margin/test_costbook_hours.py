"""Hours of the week: read, written, and looked up to the second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.card import Card
from margin.costbook import PriceHistory
from margin.costbooks.hours import (
    DAY_S,
    WEEK_S,
    Hours,
    Week,
    moment,
    read_days,
    read_windows,
    write_days,
    write_windows,
)

PLAIN, PEAK = Card.of(input=1), Card.of(input=2)
MONDAY_S = 4 * DAY_S
"""1970-01-05, the first Monday of the unix clock."""


@pytest.mark.parametrize("text", ["01:00-04:00", "01:00-04:00, 06:00-10:00", "16:30-00:30", "00:00-24:00"])
def test_windows_are_written_as_they_are_read(text):
    """The way of a price file and of a table is one."""
    assert write_windows(read_windows(text)) == text


@pytest.mark.parametrize(
    ("text", "days"),
    [("mon-fri", (0, 1, 2, 3, 4)), ("sat-sun", (5, 6)), ("mon, wed, fri-sun", (0, 2, 4, 5, 6)), ("tue", (1,))],
)
def test_days_are_written_as_they_are_read(text, days):
    """Runs of days are joined by a dash."""
    assert read_days(text) == days
    assert read_days(write_days(days)) == days


@pytest.mark.parametrize("text", ["", "1:00-2:00", "01:00", "24:00-01:00", "01:60-02:00", "01:00-01:00", "01:00-24:30"])
def test_what_are_no_hours_is_refused(text):
    """A window has two times of one day and a length."""
    with pytest.raises(ValueError, match="no hours"):
        read_windows(text)


def test_a_window_through_midnight_ends_on_the_next_day():
    """On a Sunday, that is the Monday of the same week of the clock."""
    week = Week(PLAIN, (Hours(read_windows("23:00-01:00"), PEAK, read_days("sun")),))

    assert week.at(MONDAY_S + 6 * DAY_S + 23 * 3600) is PEAK
    assert week.at(MONDAY_S + 7 * DAY_S + 3599) is PEAK
    assert week.at(MONDAY_S + 3599) is PEAK
    assert week.at(MONDAY_S + 3600) is PLAIN
    assert week.at(MONDAY_S + DAY_S) is PLAIN


def test_hours_may_touch_but_not_overlap():
    """Two prices for one second would make the bill depend on the order of a file."""
    hours = [Hours(read_windows(text), PEAK) for text in ("01:00-04:00", "04:00-06:00", "05:59-07:00")]

    assert Week(PLAIN, tuple(hours[:2])).at(4 * 3600) is PEAK
    with pytest.raises(ValueError, match="mon 05:59 UTC has two prices"):
        Week(PLAIN, tuple(hours[1:]))


def test_a_second_of_the_week_is_written_with_its_day():
    """As error messages name it."""
    assert moment(0) == "mon 00:00"
    assert moment(WEEK_S - 60) == "sun 23:59"


minutes = st.integers(min_value=0, max_value=24 * 60 - 1)
days = st.sets(st.integers(min_value=0, max_value=6), min_size=1).map(lambda found: tuple(sorted(found)))
weeks_s = st.integers(min_value=0, max_value=520).map(lambda week: week * WEEK_S)


@given(minutes, minutes, days, st.integers(min_value=0, max_value=WEEK_S - 1), weeks_s)
def test_the_card_of_a_second_is_that_of_a_plain_reading(start, end, on, second, weeks):
    """A second is inside when its day is listed and it is in the window, or yesterday's reaches over midnight."""
    if start == end:
        return
    start_s, end_s, day, clock = start * 60, end * 60, second // DAY_S, second % DAY_S
    today = day in on and start_s <= clock and (clock < end_s or end_s <= start_s)
    since_yesterday = (day - 1) % 7 in on and end_s <= start_s and clock < end_s
    history = PriceHistory(((0, PLAIN),), hours=((0, Hours(((start_s, end_s),), PEAK, on)),))

    found = history.at(MONDAY_S + weeks + second)

    assert found is (PEAK if today or since_yesterday else PLAIN)


def test_a_new_price_in_time_ends_the_hours():
    """Hours stand beside one dated card, and beside no other."""
    hours = Hours(read_windows("00:00-12:00"), PEAK)
    history = PriceHistory(((0, PLAIN), (MONDAY_S, PLAIN)), hours=((0, hours),))

    assert history.at(MONDAY_S - DAY_S) is PEAK
    assert history.at(MONDAY_S) is PLAIN
    assert history.week_at(MONDAY_S).boundaries_s() == {0}
