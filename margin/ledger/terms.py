"""The terms of a plan as the ledger needs them, carried by the journal so that a rebuild needs no configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan promises: a monthly fee, included credits, and what credits are worth in dollars."""

    name: str
    version: str
    fee_nusd_month: int
    included_milli: int
    enforce: str
    price_nusd_per_credit: int | None
    overage_nusd_per_credit: int | None

    @classmethod
    def read(cls, name: str, record: dict[str, Any]) -> Terms:
        """Build from a *sellbook* record."""
        return cls(name, record["version"], record["fee"], record["included"], record["enforce"],
                   record["price"], record["overage"])  # fmt: skip

    @property
    def uncovered_nusd_per_credit(self) -> int:
        """What a credit without a grant is charged: overage, else the prepaid price, else nothing."""
        if self.overage_nusd_per_credit is not None:
            return self.overage_nusd_per_credit
        return 0 if self.price_nusd_per_credit is None else self.price_nusd_per_credit

    @property
    def is_periodic(self) -> bool:
        """Whether time alone changes this customer's books."""
        return self.fee_nusd_month > 0 or self.included_milli > 0


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar month in UTC, [start, end) in nanoseconds."""

    start_t: int
    end_t: int

    @classmethod
    def of(cls, t: int) -> Period:
        """Return the month that `t` lies in."""
        first = datetime.fromtimestamp(t // NS, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        last = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        return cls(int(first.timestamp()) * NS, int(last.timestamp()) * NS)

    @classmethod
    def named(cls, name: str) -> Period:
        """Return the month of a name; raises `ValueError`. A month has one name: as texts they are in order of time."""
        first = datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC)
        found = cls.of(int(first.timestamp()) * NS)
        if found.name != name:
            raise ValueError(f"{name} is written {found.name}")
        return found

    @property
    def name(self) -> str:
        """``2026-11``."""
        return datetime.fromtimestamp(self.start_t // NS, UTC).strftime("%Y-%m")


def day(t: int) -> str:
    """Return the UTC day of a moment, ``2026-11-20``."""
    return _day(t // (86_400 * NS))


@lru_cache(maxsize=4)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86_400, UTC).strftime("%Y-%m-%d")
