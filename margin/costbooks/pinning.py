"""Pins a model's price: as it stood on a day it stays, whatever the file or an import says of later days.

A pin is one more dated entry with `"pinned": true`, so history before it stays, and so do the entries after it,
which wait: without the pin everything is as it was.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from margin.costbook import CostBookError, PricedModel
from margin.costbooks.reading import book_of
from margin.costbooks.writing import Entry


@dataclass(frozen=True, slots=True)
class Pin:
    """A price file with a pin set or removed.

    Args:
        document: The file's new content.
        price: The pinned price, as the file has it.
        replaced: The pinned price that gave way to it, if there was one.
    """

    document: dict[str, Any]
    price: Entry
    replaced: Entry | None


def pinned(document: dict[str, Any], entry: PricedModel, day: date) -> Pin:
    """Pin a model's price of a day, from that day on.

    Raises:
        CostBookError: There is no price on that day, or the result would be no price file.
    """
    raw = _raw(document, entry)
    free = [price for price in raw["prices"] if not price.get("pinned")]
    valid = [price for price in free if price["from"] is None or date.fromisoformat(price["from"]) <= day]
    if not valid:
        raise CostBookError(f"{entry.provider}/{entry.model}: no price on {day}; the first is from {free[0]['from']}")
    source = valid[-1].get("source", document["source"])
    price = {**valid[-1], "from": day.isoformat(), "source": source, "pinned": True}
    prices = [*valid, price, *free[len(valid) :]]
    return Pin(_with_prices(document, raw, prices), price, _pin_of(raw))


def unpinned(document: dict[str, Any], entry: PricedModel) -> Pin:
    """Remove a model's pin.

    Raises:
        CostBookError: It has none.
    """
    raw = _raw(document, entry)
    pin = _pin_of(raw)
    if pin is None:
        raise CostBookError(f"{entry.provider}/{entry.model}: is not pinned")
    prices = [price for price in raw["prices"] if not price.get("pinned")]
    return Pin(_with_prices(document, raw, prices), pin, None)


def _raw(document: dict[str, Any], entry: PricedModel) -> Entry:
    found: Entry = next(
        raw for raw in document["models"] if (raw["provider"], raw["model"]) == (entry.provider, entry.model)
    )
    return found


def _pin_of(raw: Entry) -> Entry | None:
    return next((price for price in raw["prices"] if price.get("pinned")), None)


def _with_prices(document: dict[str, Any], raw: Entry, prices: list[Entry]) -> dict[str, Any]:
    models = [{**each, "prices": prices} if each is raw else each for each in document["models"]]
    changed = {**document, "models": models}
    book_of(changed, str(document["name"]))
    return changed
