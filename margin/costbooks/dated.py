"""One dated price of a price file: its rates, context tiers, hours and service tiers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from margin.card import SERVICE_TIERS, Card, Rates, Tier, exact_rate
from margin.costbook import CostBookError
from margin.costbooks.complaints import check_keys, kind, list_of, meant, text_of, text_or_none
from margin.costbooks.hours import EVERY_DAY, Hours, read_days, read_windows

RATE_KEYS: Final[Mapping[str, str]] = {
    "input": "input",
    "cache_read": "cache_read",
    "cache_write": "cache_write_5m",
    "cache_write_1h": "cache_write_1h",
    "output": "output",
    "reasoning": "reasoning",
    "audio_in": "audio_in",
    "audio_out": "audio_out",
    "image_in": "image_in",
}
"""The file's names of the buckets: `cache_write` is the shortest, often the only, lifetime."""

KEYS: Final = ("from", "tiers", *RATE_KEYS, "hours", "service_tiers", "source", "pinned")


@dataclass(frozen=True, slots=True)
class DatedPrice:
    """One price of a file: since when, in unix seconds (0: always), and everything it bills by."""

    start_s: int
    card: Card
    hours: tuple[Hours, ...]
    source: str | None
    pinned: bool


def read_price(raw: Any) -> DatedPrice:
    """Read one price.

    Raises:
        CostBookError: It cannot be one; the message has its date.
        ValueError: A rate that cannot be.
    """
    start_s = _start_s(raw)
    try:
        check_keys(raw, KEYS)
        plain = Card(_rates(raw), _tiers(raw))
        service_tiers = _service_tiers(raw, plain)
        hours = tuple(_hours(each, plain, service_tiers) for each in list_of(raw, "hours")) if "hours" in raw else ()
        card = plain.with_service_tiers(service_tiers) if service_tiers else plain
        return DatedPrice(start_s, card, hours, text_or_none(raw, "source"), _pinned(raw))
    except (ValueError, TypeError) as error:
        place = "" if raw["from"] is None else f"from {raw['from']}: "
        raise CostBookError(f"{place}{error}") from None


def day_s(day: date) -> int:
    """Return when a day starts, in unix seconds: midnight UTC."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def _start_s(raw: Any) -> int:
    """Return when a price starts: midnight UTC of its date, or 0 for one that always was."""
    if not isinstance(raw, dict) or "from" not in raw:
        raise CostBookError(f"prices: found {raw!r}; objects with `from` are allowed")
    written = raw["from"]
    if written is None:
        return 0
    try:
        day = datetime.strptime(written, "%Y-%m-%d").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise CostBookError(f"from: found {written!r}; null or a date like '2026-12-01' is allowed") from None
    return int(day.timestamp())


def _pinned(raw: dict[str, Any]) -> bool:
    found = raw.get("pinned", False)
    if not isinstance(found, bool):
        raise CostBookError(f"pinned: found {found!r}; true or false is allowed")
    if found and raw["from"] is None:
        raise CostBookError("pinned: found no date; a pinned price needs `from`, the day from which it holds")
    return found


def _tiers(raw: dict[str, Any]) -> tuple[Tier, ...]:
    return tuple(_tier(each) for each in list_of(raw, "tiers")) if "tiers" in raw else ()


def _tier(raw: Any) -> Tier:
    if not isinstance(raw, dict) or type(raw.get("above")) is not int:
        raise CostBookError(f"tiers: found {raw!r}; objects with an integer `above` are allowed")
    check_keys(raw, ("above", *RATE_KEYS))
    return raw["above"], _rates(raw)


def _service_tiers(raw: dict[str, Any], standard: Card) -> dict[str, Card]:
    found = raw.get("service_tiers", {})
    if not isinstance(found, dict):
        raise CostBookError(f"service_tiers: found {kind(found)}; an object by tier is allowed")
    return {name: _service_tier(name, own, standard) for name, own in found.items()}


def _service_tier(name: str, raw: Any, standard: Card) -> Card:
    if name not in SERVICE_TIERS:
        allowed = ", ".join(SERVICE_TIERS)
        raise CostBookError(f"service_tiers: found {name}{meant(name, SERVICE_TIERS)}; allowed are {allowed}")
    if not isinstance(raw, dict):
        raise CostBookError(f"service_tiers: {name}: found {kind(raw)}; an object of rates is allowed")
    try:
        check_keys(raw, (*RATE_KEYS, "tiers"))
        return standard.repriced(_rates(raw), _tiers(raw))
    except (ValueError, TypeError) as error:
        raise CostBookError(f"service_tiers: {name}: {error}") from None


def _hours(raw: Any, standard: Card, service_tiers: Mapping[str, Card]) -> Hours:
    """Read hours; a service tier costs the same at every hour, so their card has the same ones."""
    if not isinstance(raw, dict):
        raise CostBookError(f"hours: found {kind(raw)}; objects with `utc` are allowed")
    try:
        check_keys(raw, ("utc", "days", *RATE_KEYS, "tiers"))
        days = text_or_none(raw, "days")
        card = standard.repriced(_rates(raw), _tiers(raw))
        card = card.with_service_tiers(service_tiers) if service_tiers else card
        return Hours(read_windows(text_of(raw, "utc")), card, EVERY_DAY if days is None else read_days(days))
    except (ValueError, TypeError) as error:
        raise CostBookError(f"hours: {error}") from None


def _rates(raw: dict[str, Any]) -> Rates:
    return {RATE_KEYS[key]: _rate(key, raw[key]) for key in raw if key in RATE_KEYS}


def _rate(key: str, written: object) -> Decimal:
    if not isinstance(written, str):
        raise CostBookError(f'{key}: found {written!r}; a decimal in quotes, "0.10", is allowed')
    return exact_rate(written)
