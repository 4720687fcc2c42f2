"""A provider's account by day and model: tokens by bucket, and dollars where it states them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from json import JSONDecodeError, loads
from typing import Any

from margin.exports.refusing import ExportRefused

RESOLUTION_NUSD_MAX = 1_000
"""Amounts are read as rounded to their last digit, but never to more than a micro-dollar: trailing zeros are not
written, so an amount with few digits is rather exact than rounded."""

Buckets = Mapping[str, int]
_DATED = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")


@dataclass(frozen=True, slots=True)
class DayUse:
    """Tokens of a model on a day."""

    day: str
    model: str
    tokens: Buckets


@dataclass(frozen=True, slots=True)
class DayCost:
    """Dollars billed on a day; `model` is empty where the account does not say. `rounding_nusd` bounds its rounding."""

    day: str
    model: str
    amount_usd: Fraction
    rounding_nusd: Fraction


@dataclass(frozen=True, slots=True)
class Account:
    """What was read, the days it covers, and how our buckets fold into its coarser ones."""

    uses: tuple[DayUse, ...]
    costs: tuple[DayCost, ...]
    days: frozenset[str]
    coarse: Callable[[Buckets], dict[str, int]]


def pages(content: bytes) -> list[Any]:
    """Return the pages of an export: one JSON page, a list of pages, or one page a line. Numbers are read exactly.

    Raises:
        ExportRefused: it is no JSON, or a page has no `data`.
    """
    try:
        found = _documents(content.decode())
    except (JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise ExportRefused(" it is neither JSON nor JSON lines") from None
    for page in found:
        if not isinstance(page, dict) or not isinstance(page.get("data"), list):
            raise ExportRefused(" a page is an object with a list `data`")
    return found


def _documents(text: str) -> list[Any]:
    try:
        whole = loads(text, parse_float=Decimal)
    except JSONDecodeError:
        return [loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def results(found: Iterable[Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield each bucket with each of its results."""
    for page in found:
        for bucket in page["data"]:
            if not isinstance(bucket, dict) or not isinstance(bucket.get("results"), list):
                raise ExportRefused(" a bucket is an object with a list `results`")
            for result in bucket["results"]:
                if not isinstance(result, dict):
                    raise ExportRefused(" a result is an object")
                yield bucket, result


def count(result: Mapping[str, Any], name: str) -> int:
    """Return a count; absent or null is none."""
    value = result.get(name)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ExportRefused(f" `{name}` must be a count, not {value!r}")
    return value


def cost(day: str, model: str, amount: Any, *, per_usd: int) -> DayCost:
    """Return an amount that is stated in parts of a dollar, `per_usd` of them to one."""
    try:
        exact = Decimal(str(amount)) if isinstance(amount, str | int | Decimal) else Decimal("nan")
    except InvalidOperation:
        exact = Decimal("nan")
    if isinstance(amount, bool) or not exact.is_finite():
        raise ExportRefused(f" an amount must be a number, not {amount!r}")
    exponent = exact.as_tuple().exponent
    assert isinstance(exponent, int)
    last_digit_nusd = Fraction(10) ** (exponent + 9) * Fraction(1, per_usd)
    rounding = min(last_digit_nusd, Fraction(RESOLUTION_NUSD_MAX)) * Fraction(1, 2)
    return DayCost(day, model, Fraction(exact) * Fraction(1, per_usd), rounding)


def day_of(start: Any, end: Any) -> str:
    """Return the UTC day that a bucket lies in, from unix seconds or RFC 3339.

    Raises:
        ExportRefused: it is longer than a day, or no moments.
    """
    begin, until = _moment(start), _moment(end)
    if (until - begin).total_seconds() > 86_400:
        raise ExportRefused(" a bucket is longer than a day; export it by day")
    return begin.date().isoformat()


def _moment(value: Any) -> datetime:
    try:
        if isinstance(value, int):
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ExportRefused(f" {value!r} is no moment") from None


def bare(model: str, known: Iterable[str]) -> str:
    """Return the name we book a model under: its own, or the one without the date of its snapshot."""
    return model if model in known else stripped if (stripped := _DATED.sub("", model)) in known else model
