"""The simulator's invoice: JSON lines, one per billed call, with its exact price as a fraction of dollars."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import orjson

from margin.exports.refusing import ExportRefused
from margin.reconcile import Billed


def read(content: bytes) -> list[Billed]:
    """Return the billed calls.

    Raises:
        ExportRefused: a line is none of an invoice; it says which.
    """
    return [_billed(line, number) for number, line in enumerate(content.splitlines(), start=1)]


def _billed(line: bytes, number: int) -> Billed:
    try:
        entry = orjson.loads(line)
        return Billed(
            entry["call_id"], entry["model"], Fraction(entry["amount_usd"]), str(entry.get("at", ""))[:10],
            _usage(entry.get("usage")),
        )  # fmt: skip
    except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, ArithmeticError, AttributeError):
        raise ExportRefused(f"{number} is no invoice line (call_id, model, amount_usd)") from None


def _usage(told: dict[str, Any] | None) -> dict[str, int] | None:
    """Return disjoint buckets; the invoice counts reasoning inside output."""
    if told is None:
        return None
    found = {
        "input": told["input"],
        "cache_read": told["cache_read"],
        "cache_write_5m": told["cache_write"],
        "cache_write_1h": told.get("cache_write_1h", 0),
        "output": told["output"] - told["reasoning"],
        "reasoning": told["reasoning"],
    }
    return {bucket: count for bucket, count in found.items() if count}
