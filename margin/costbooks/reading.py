"""Reads a cost book's JSON, and says exactly what is wrong with one that cannot be read."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from margin.card import Card, exact_rate
from margin.costbook import CostBook, CostBookError, PricedModel, PriceHistory

FORMAT: Final = 1
"""The only layout of the file there has been."""

FILE_BYTES_MAX: Final = 8_000_000
"""Fifty times the shipped file; anything larger is not a price list."""

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

_BOOK_KEYS: Final = ("format", "name", "currency", "per", "source", "models")
_MODEL_KEYS: Final = (
    "provider",
    "model",
    "aliases",
    "context_window",
    "output_max",
    "note",
    "prices",
)


def read_book(path: Path) -> CostBook:
    """Read a cost book.

    Raises:
        CostBookError: With the file, the entry, what was found and what is allowed.
    """
    document = _document(path)
    try:
        _check_head(document)
        entries = tuple(_entry(raw) for raw in _list(document, "models"))
        return CostBook(_text(document, "name"), _text(document, "source"), entries)
    except (ValueError, TypeError) as error:
        raise CostBookError(f"{path}: {error}") from None


def _document(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CostBookError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise CostBookError(f"{path}: {len(raw)} bytes; at most {FILE_BYTES_MAX} are allowed")
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise CostBookError(f"{path}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise CostBookError(f"{path}: found {_kind(document)}; a JSON object is allowed")
    return document


def _check_head(document: dict[str, Any]) -> None:
    _check_keys(document, _BOOK_KEYS)
    for key, allowed in (("format", FORMAT), ("currency", "USD"), ("per", 1_000_000)):
        found = document.get(key)
        if type(found) is not type(allowed) or found != allowed:
            raise CostBookError(f"{key}: found {found!r}; only {allowed!r} is allowed")


def _entry(raw: Any) -> PricedModel:
    if not isinstance(raw, dict):
        raise CostBookError(f"models: found {_kind(raw)}; objects are allowed")
    where = f"{raw.get('provider')}/{raw.get('model')}"
    try:
        _check_keys(raw, _MODEL_KEYS)
        aliases = tuple(_list(raw, "aliases")) if "aliases" in raw else ()
        if not all(isinstance(alias, str) for alias in aliases):
            raise CostBookError(f"aliases: found {aliases!r}; names in quotes are allowed")
        return PricedModel(_text(raw, "provider"), _text(raw, "model"), aliases, _history(raw))
    except (ValueError, TypeError) as error:
        raise CostBookError(f"{where}: {error}") from None


def _history(raw: dict[str, Any]) -> PriceHistory:
    dated: list[tuple[int, Card]] = []
    for price in _list(raw, "prices"):
        start = _start(price)
        if dated and start <= dated[-1][0]:
            raise CostBookError(
                f"prices: found {price.get('from')!r} after a date that is the same or later;"
                " each date is allowed once, ascending"
            )
        dated.append((start, _card(price)))
    return PriceHistory(tuple(dated), _count(raw, "context_window"), _count(raw, "output_max"), _note(raw))


def _start(price: Any) -> int:
    """Return when a price starts: midnight UTC of its date, or 0 for one that always was."""
    if not isinstance(price, dict) or "from" not in price:
        raise CostBookError(f"prices: found {price!r}; objects with `from` are allowed")
    written = price["from"]
    if written is None:
        return 0
    try:
        day = datetime.strptime(written, "%Y-%m-%d").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise CostBookError(f"from: found {written!r}; null or a date like '2026-12-01' is allowed") from None
    return int(day.timestamp())


def _card(price: dict[str, Any]) -> Card:
    _check_keys(price, ("from", "tiers", *RATE_KEYS))
    tiers = [_tier(raw) for raw in _list(price, "tiers")] if "tiers" in price else []
    return Card(_rates(price), tuple(tiers))


def _tier(raw: Any) -> tuple[int, Mapping[str, Decimal]]:
    if not isinstance(raw, dict) or type(raw.get("above")) is not int:
        raise CostBookError(f"tiers: found {raw!r}; objects with an integer `above` are allowed")
    _check_keys(raw, ("above", *RATE_KEYS))
    return raw["above"], _rates(raw)


def _rates(raw: dict[str, Any]) -> dict[str, Decimal]:
    return {RATE_KEYS[key]: _rate(key, raw[key]) for key in raw if key in RATE_KEYS}


def _rate(key: str, written: object) -> Decimal:
    if not isinstance(written, str):
        raise CostBookError(f'{key}: found {written!r}; a decimal in quotes, "0.10", is allowed')
    return exact_rate(written)


def _check_keys(raw: dict[str, Any], allowed: tuple[str, ...]) -> None:
    unknown = sorted(set(raw) - set(allowed))
    if unknown:
        raise CostBookError(f"found {', '.join(unknown)}; allowed are {', '.join(allowed)}")


def _list(raw: dict[str, Any], key: str) -> list[Any]:
    found = raw.get(key)
    if not isinstance(found, list):
        raise CostBookError(f"{key}: found {_kind(found)}; a list is allowed")
    return found


def _text(raw: dict[str, Any], key: str) -> str:
    found = raw.get(key)
    if not isinstance(found, str) or not found:
        raise CostBookError(f"{key}: found {found!r}; text in quotes is allowed")
    return found


def _note(raw: dict[str, Any]) -> str | None:
    return _text(raw, "note") if raw.get("note") is not None else None


def _count(raw: dict[str, Any], key: str) -> int | None:
    found = raw.get(key)
    if found is not None and (type(found) is not int or found <= 0):
        raise CostBookError(f"{key}: found {found!r}; a positive integer or null is allowed")
    return found


def _kind(found: object) -> str:
    return "nothing" if found is None else type(found).__name__
