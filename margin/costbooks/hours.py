"""Hours of the day at which a provider bills another price, in UTC.

DeepSeek bills its peak hours twice as high (api-docs.deepseek.com/quick_start/pricing). genai-prices
knows hours, LiteLLM's map hours and days of the week; both kinds of hours are kept.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from margin.card import Card

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Days of the week, as written; their numbers are the positions."""

EVERY_DAY: Final = tuple(range(len(DAYS)))

HOUR_S: Final = 3600
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
_EPOCH_DAY_S: Final = 3 * DAY_S  # 1970-01-01 was a Thursday

_WINDOW: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")

Window = tuple[int, int]
"""Seconds of a day: from, and up to but not including. An end at or before the start is tomorrow's."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A card and the hours at which it counts.

    Args:
        windows: When, in seconds of a UTC day.
        card: What is billed then.
        days: On which days of the week the windows start; 0 is Monday.

    Raises:
        ValueError: No window or no day, or one that does not exist.
    """

    windows: tuple[Window, ...]
    card: Card
    days: tuple[int, ...] = EVERY_DAY

    def __post_init__(self) -> None:
        if not self.windows or not self.days or not set(self.days) <= set(EVERY_DAY):
            raise ValueError(f"hours need windows and days of the week, not {self.windows} on {self.days}")
        for start_s, end_s in self.windows:
            if not (0 <= start_s < DAY_S and 0 <= end_s <= DAY_S and start_s != end_s):
                raise ValueError(f"a window is within a day and has a length, not {start_s} to {end_s} seconds")

    @property
    def text(self) -> str:
        """The hours as people write them: `01:00-04:00, 06:00-10:00 mon-fri`."""
        return write_windows(self.windows) + ("" if self.days == EVERY_DAY else f" {write_days(self.days)}")

    def spans(self) -> Iterator[Window]:
        """Yield the hours as seconds of the week, from Monday 00:00 UTC; none reaches over its end."""
        for day in self.days:
            for start_s, end_s in self.windows:
                begin = day * DAY_S + start_s
                end = day * DAY_S + (end_s if end_s > start_s else end_s + DAY_S)
                yield begin, min(end, WEEK_S)
                if end > WEEK_S:
                    yield 0, end - WEEK_S


@dataclass(frozen=True, slots=True)
class Week:
    """The card of each second of the week.

    Args:
        card: What is billed at all other hours.
        hours: Other cards at their hours.

    Raises:
        ValueError: Two of the hours overlap.
    """

    card: Card
    hours: tuple[Hours, ...]
    _starts_s: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _cards: tuple[Card, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spans = sorted(((span, each.card) for each in self.hours for span in each.spans()), key=lambda found: found[0])
        _check_apart([span for span, _ in spans])
        starts_s, cards = [0], [self.card]
        for (start_s, end_s), card in spans:
            starts_s += [start_s, end_s]
            cards += [card, self.card]
        object.__setattr__(self, "_starts_s", tuple(starts_s))
        object.__setattr__(self, "_cards", tuple(cards))

    def at(self, unix_s: int) -> Card:
        """Return the card of a moment, in unix seconds."""
        second = (unix_s + _EPOCH_DAY_S) % WEEK_S
        return self._cards[bisect_right(self._starts_s, second) - 1]

    def boundaries_s(self) -> set[int]:
        """Return the seconds of the week at which the card may change, 0 always among them."""
        return set(self._starts_s) - {WEEK_S}

    def of_second(self, week_s: int) -> Card:
        """Return the card of a second of the week, from Monday 00:00 UTC."""
        return self._cards[bisect_right(self._starts_s, week_s) - 1]


def _check_apart(spans: list[Window]) -> None:
    for (_, end_s), (start_s, _) in pairwise(spans):
        if start_s < end_s:
            raise ValueError(f"hours: {moment(start_s)} UTC has two prices; hours may touch, not overlap")


def moment(week_s: int) -> str:
    """Write a second of the week: `tue 06:30`."""
    return f"{DAYS[week_s // DAY_S]} {_clock(week_s % DAY_S)}"


def read_windows(text: str) -> tuple[Window, ...]:
    """Read `01:00-04:00, 22:30-00:30`; `24:00` and `00:00` both end a day.

    Raises:
        ValueError: Not times of a day.
    """
    return tuple(_window(each.strip()) for each in text.split(","))


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} are no hours; write them like '01:00-04:00', in UTC")
    start_h, start_m, end_h, end_m = (int(part) for part in found.groups())
    start_s, end_s = start_h * HOUR_S + start_m * 60, end_h * HOUR_S + end_m * 60
    if start_m > 59 or end_m > 59 or start_s >= DAY_S or end_s > DAY_S or start_s == end_s:
        raise ValueError(f"{text!r} are no hours of a day; a whole day is '00:00-24:00'")
    return start_s, end_s


def read_days(text: str) -> tuple[int, ...]:
    """Read `mon-fri`, or `sat, sun`.

    Raises:
        ValueError: Not days of the week, or not in their order.
    """
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        ends = (first, last or first)
        if not set(ends) <= set(DAYS) or DAYS.index(ends[0]) > DAYS.index(ends[1]):
            raise ValueError(f"{part.strip()!r} are no days; write them like 'mon-fri' or 'sat, sun'")
        days |= set(range(DAYS.index(ends[0]), DAYS.index(ends[1]) + 1))
    return tuple(sorted(days))


def write_windows(windows: Iterable[Window]) -> str:
    """Write windows as `read_windows` reads them."""
    return ", ".join(f"{_clock(start_s)}-{_clock(end_s)}" for start_s, end_s in windows)


def write_days(days: Iterable[int]) -> str:
    """Write days as `read_days` reads them."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs)


def _clock(day_s: int) -> str:
    return f"{day_s // HOUR_S:02d}:{day_s % HOUR_S // 60:02d}"
