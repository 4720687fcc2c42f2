"""Writes price files: one model a line, so that a changed price is a changed line of a diff."""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from margin.costbook import CostBookError
from margin.costbooks.reading import FORMAT

Entry = dict[str, Any]
"""A model, or one of its prices, as the file has it."""


def document(name: str, source: str, entries: Iterable[Entry]) -> dict[str, Any]:
    """Return a price file's content, its models sorted by provider and name."""
    models = sorted(entries, key=lambda entry: (entry["provider"], entry["model"]))
    head = {"format": FORMAT, "name": name, "currency": "USD", "per": 1_000_000, "source": source}
    return {**head, "models": models}


def render(book: Mapping[str, Any]) -> str:
    """Write a price file's content as its text."""
    head = {key: value for key, value in book.items() if key != "models"}
    lines = ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in book["models"])
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "models": [\n{lines}\n]}}\n'


def write(path: Path, book: Mapping[str, Any]) -> None:
    """Put a price file in place at once, so that a reader sees the old one or the new one.

    Raises:
        CostBookError: The folder cannot be written to.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write(render(book))
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise CostBookError(f"{path}: cannot be written: {error.strerror}") from None


def rate_text(rate: Decimal) -> str:
    """Write a rate without exponent and without trailing zeros."""
    return format(rate.normalize(), "f")


def texts(rates: Mapping[str, Decimal]) -> Entry:
    """Write rates, by the file's names of the buckets."""
    return {key: rate_text(rate) for key, rate in rates.items()}


def day_text(day: date | None) -> str | None:
    """Write a day from which a price holds; `None` is since always."""
    return None if day is None else day.isoformat()
