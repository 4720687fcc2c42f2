"""Days that a command is asked about, as moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from proxy.keeper.refusing import Refused

NS = 1_000_000_000
FOREVER_T = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days in UTC, as [since, until) in nanoseconds."""

    since_t: int = 0
    until_t: int = FOREVER_T

    @classmethod
    def of(cls, since: str | None, until: str | None) -> Span:
        """Return the days from one to another, which is the last that counts; None is no bound.

        Raises:
            Refused: one is no day, or none lies between them.
        """
        start_t = 0 if since is None else _day_t(since)
        end_t = FOREVER_T if until is None else _day_t(until) + 86_400 * NS
        if start_t >= end_t:
            raise Refused(f"no day lies between {since} and {until}")
        return cls(start_t, end_t)

    @property
    def is_everything(self) -> bool:
        """Whether there is no bound."""
        return self == EVERYTHING

    def has(self, day: str) -> bool:
        """Tell whether a day is within; one that is not known is."""
        return not day or self.since_t <= _day_t(day) < self.until_t


EVERYTHING = Span()


def _day_t(text: str) -> int:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Refused(f'"{text}" is no day; write it like 2026-11-20') from None
    return int(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp()) * NS
