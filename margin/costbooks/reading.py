"""Reads a cost book's JSON, and says exactly what is wrong with one that cannot be read."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson

from margin.costbook import SHIPPED, CostBook, CostBookError, PricedModel, PriceHistory
from margin.costbooks.complaints import check_keys, count_or_none, kind, list_of, text_of, text_or_none
from margin.costbooks.dated import RATE_KEYS, DatedPrice, read_price

__all__ = ["FILE_BYTES_MAX", "FORMAT", "RATE_KEYS", "book_of", "entry_of", "read_book", "read_document"]

FORMAT: Final = 1
"""The only layout of the file there has been; later keys were added to it, none changed."""

FILE_BYTES_MAX: Final = 16_000_000
"""Four times the largest source, LiteLLM's map; anything larger is not a price list."""

_SHOWN_CHARS: Final = 160  # two lines of a terminal: enough to find an object by

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
    return book_of(read_document(path), str(path))


def book_of(document: dict[str, Any], where: str) -> CostBook:
    """Turn a price file's JSON into a book.

    Args:
        document: What the file holds.
        where: What errors call it.

    Raises:
        CostBookError: With where, the entry, what was found and what is allowed.
    """
    try:
        _check_head(document)
        entries = tuple(entry_of(raw) for raw in list_of(document, "models"))
        return CostBook(text_of(document, "name"), text_of(document, "source"), entries)
    except (ValueError, TypeError) as error:
        raise CostBookError(f"{where}: {error}") from None


def read_document(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds.

    Raises:
        CostBookError: It cannot be read, holds something else, or says one thing twice.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CostBookError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise CostBookError(f"{path}: over {FILE_BYTES_MAX} bytes; no price list is so large")
    try:
        document = orjson.loads(raw)
        if path != SHIPPED:
            json.loads(raw, object_pairs_hook=_once)
    except orjson.JSONDecodeError as error:
        raise CostBookError(f"{path}: not JSON: {error}") from None
    except CostBookError as error:
        raise CostBookError(f"{path}: {error}") from None
    if not isinstance(document, dict):
        raise CostBookError(f"{path}: found {kind(document)}; a JSON object is allowed")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is written twice: of two prices, nobody can tell which was meant."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise CostBookError(f"{twice} is written twice in one object, {json.dumps(made)[:_SHOWN_CHARS]}")
    return made


def _check_head(document: dict[str, Any]) -> None:
    check_keys(document, _BOOK_KEYS)
    for key, allowed in (("format", FORMAT), ("currency", "USD"), ("per", 1_000_000)):
        found = document.get(key)
        if type(found) is not type(allowed) or found != allowed:
            raise CostBookError(f"{key}: found {found!r}; only {allowed!r} is allowed")


def entry_of(raw: Any) -> PricedModel:
    """Read one model of a price file.

    Raises:
        CostBookError: With the entry, what was found and what is allowed.
    """
    if not isinstance(raw, dict):
        raise CostBookError(f"models: found {kind(raw)}; objects are allowed")
    where = f"{raw.get('provider')}/{raw.get('model')}"
    try:
        check_keys(raw, _MODEL_KEYS)
        aliases = tuple(list_of(raw, "aliases")) if "aliases" in raw else ()
        if not all(isinstance(alias, str) for alias in aliases):
            raise CostBookError(f"aliases: found {aliases!r}; names in quotes are allowed")
        return _entry(text_of(raw, "provider"), text_of(raw, "model"), aliases, raw)
    except (ValueError, TypeError) as error:
        raise CostBookError(f"{where}: {error}") from None


def _entry(provider: str, model: str, aliases: tuple[str, ...], raw: dict[str, Any]) -> PricedModel:
    prices = _standing([read_price(each) for each in list_of(raw, "prices")])
    history = PriceHistory(
        cards=tuple((price.start_s, price.card) for price in prices),
        context_window=count_or_none(raw, "context_window"),
        output_max=count_or_none(raw, "output_max"),
        note=text_or_none(raw, "note"),
        hours=tuple((price.start_s, hours) for price in prices for hours in price.hours),
    )
    sources = tuple(price.source for price in prices)
    pinned_s = next((price.start_s for price in prices if price.pinned), None)
    return PricedModel(provider, model, aliases, history, sources if any(sources) else (), pinned_s)


def _standing(prices: list[DatedPrice]) -> list[DatedPrice]:
    """Return the prices that count: a pinned one ends what stands from its date on, whatever comes later."""
    pins = [price for price in prices if price.pinned]
    if len(pins) > 1:
        raise CostBookError(f"pinned: found {len(pins)} pinned prices; one is allowed")
    _check_dates([price for price in prices if not price.pinned])
    if not pins:
        return prices
    return [price for price in prices if not price.pinned and price.start_s < pins[0].start_s] + pins


def _check_dates(prices: list[DatedPrice]) -> None:
    for before, after in pairwise(prices):
        if after.start_s <= before.start_s:
            raise CostBookError(
                f"prices: found {_day(after)} after a date that is the same or later;"
                " each date is allowed once, ascending"
            )


def _day(price: DatedPrice) -> str:
    return "null" if price.start_s == 0 else f"{datetime.fromtimestamp(price.start_s, UTC):%Y-%m-%d}"
