"""The terms of a plan as the ledger needs them, carried by the journal so that a rebuild needs no configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from margin.components import Commit, Metered

NS = 1_000_000_000

_BY_QUANTITY = ("usage", "items")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan promises: fees, included credits, what credits are worth in dollars, and prices by quantity."""

    name: str
    version: str
    fee_nusd_month: int
    included_milli: int
    enforce: str
    price_nusd_per_credit: int | None
    overage_nusd_per_credit: int | None
    seat_nusd_month: int = 0
    seat_milli: int = 0
    usage: Mapping[str, Metered] = field(default_factory=dict)
    """What an exchange is charged by its quantities, by meter."""
    items: Mapping[str, Metered] = field(default_factory=dict)
    """What is charged for what somebody delivered, by name."""
    commit: Commit | None = None
    """What a customer promises to spend on both."""

    @classmethod
    def read(cls, name: str, record: dict[str, Any]) -> Terms:
        """Build from a *sellbook* record."""
        seats = record.get("seats", {})
        metered = {
            kind: {each: Metered.read(terms) for each, terms in record.get(kind, {}).items()} for kind in _BY_QUANTITY
        }
        return cls(
            name, record["version"], record["fee"], record["included"], record["enforce"], record["price"],
            record["overage"], seats.get("price", 0), seats.get("included", 0), **metered,
            commit=Commit.read(record["commit"]) if "commit" in record else None,
        )  # fmt: skip

    def stored(self) -> dict[str, Any]:
        """Return the record that `read` makes these terms of."""
        found: dict[str, Any] = {
            "version": self.version, "fee": self.fee_nusd_month, "included": self.included_milli,
            "enforce": self.enforce, "price": self.price_nusd_per_credit, "overage": self.overage_nusd_per_credit,
            "seats": {"price": self.seat_nusd_month, "included": self.seat_milli},
        }  # fmt: skip
        if self.commit is not None:
            found["commit"] = self.commit.terms()
        for kind in _BY_QUANTITY:
            found[kind] = {name: each.terms() for name, each in getattr(self, kind).items()}
        return found

    def metered(self, name: str) -> Metered | None:
        """Return the price of a meter, or of an item as ``item.NAME``; None where the plan has none."""
        kind, _, item = name.partition(".")
        return self.items.get(item) if kind == "item" else self.usage.get(name)

    @property
    def uncovered_nusd_per_credit(self) -> int:
        """What a credit without a grant is charged: overage, else the prepaid price, else nothing."""
        if self.overage_nusd_per_credit is not None:
            return self.overage_nusd_per_credit
        return 0 if self.price_nusd_per_credit is None else self.price_nusd_per_credit

    @property
    def is_periodic(self) -> bool:
        """Whether time alone changes this customer's books."""
        sums = (self.fee_nusd_month, self.included_milli, self.seat_nusd_month)
        return any(sums) or self.has_minimum or self.commit is not None

    @property
    def has_minimum(self) -> bool:
        """Whether a month may end with a shortfall."""
        return any(each.minimum for each in (*self.usage.values(), *self.items.values()))


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


def after_months(t: int, months: int) -> int:
    """Return the moment some months later in UTC: the same day and time, or the month's last day."""
    begin = datetime.fromtimestamp(t // NS, UTC)
    year, month = divmod(begin.year * 12 + begin.month - 1 + months, 12)
    last = Period.of(int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * NS).end_t - 1
    day_of_month = min(begin.day, datetime.fromtimestamp(last // NS, UTC).day)
    return int(begin.replace(year=year, month=month + 1, day=day_of_month).timestamp()) * NS + t % NS


def day(t: int) -> str:
    """Return the UTC day of a moment, ``2026-11-20``."""
    return _day(t // (86_400 * NS))


@lru_cache(maxsize=4)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86_400, UTC).strftime("%Y-%m-%d")
