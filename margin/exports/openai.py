"""OpenAI's usage and costs: pages of `/v1/organization/usage/completions` and of `/v1/organization/costs`.

Usage is wanted grouped by model. `input_tokens` holds the cached and, where they are counted apart, the written ones;
output holds reasoning. Costs grouped by line item name the model before the last comma ("gpt-6-luna, input"); others
are compared by day. Source: OpenAI's API reference, Usage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from margin.exports.account import Account, Buckets, DayCost, DayUse, cost, count, day_of, pages, results
from margin.exports.refusing import ExportRefused

_WRITTEN = "input_cache_write_tokens"


def read(content: bytes) -> Account:
    """Read pages of usage, of costs, or of both.

    Raises:
        ExportRefused: it is no such export; it says why.
    """
    uses: list[DayUse] = []
    costs: list[DayCost] = []
    days: set[str] = set()
    counts_writes = False
    for bucket, result in results(pages(content)):
        kind, on = str(result.get("object", "")), day_of(bucket.get("start_time"), bucket.get("end_time"))
        days.add(on)
        if kind == "organization.costs.result":
            costs.append(_cost(on, result))
        elif kind.startswith("organization.usage.") and "input_tokens" in result:
            counts_writes = counts_writes or result.get(_WRITTEN) is not None
            uses.append(_use(on, result))
        else:
            raise ExportRefused(f" `{kind}` is neither usage in tokens nor costs")
    return Account(tuple(uses), tuple(costs), frozenset(days), _apart if counts_writes else _together)


def _use(on: str, result: Mapping[str, Any]) -> DayUse:
    model = result.get("model")
    if not isinstance(model, str):
        raise ExportRefused(" its usage names no models; export it with group_by=model")
    read_, written = count(result, "input_cached_tokens"), count(result, _WRITTEN)
    fresh = count(result, "input_tokens") - read_ - written
    if fresh < 0:
        raise ExportRefused(f" {model} on {on} has more cached tokens than tokens")
    tokens = {"input": fresh, "cache_read": read_, "cache_write": written, "output": count(result, "output_tokens")}
    return DayUse(on, model, tokens)


def _cost(on: str, result: Mapping[str, Any]) -> DayCost:
    amount, item = result.get("amount"), result.get("line_item")
    if not isinstance(amount, dict) or str(amount.get("currency", "usd")).lower() != "usd":
        raise ExportRefused(" a cost must have an amount in US dollars")
    model = item.rpartition(", ")[0] or item if isinstance(item, str) else ""
    return cost(on, model, amount.get("value"), per_usd=1)


def _apart(ours: Buckets) -> dict[str, int]:
    """Fold our buckets into those of an account that counts cache writes apart."""
    return {
        "input": ours.get("input", 0) + ours.get("audio_in", 0) + ours.get("image_in", 0),
        "cache_read": ours.get("cache_read", 0),
        "cache_write": ours.get("cache_write_5m", 0) + ours.get("cache_write_1h", 0),
        "output": ours.get("output", 0) + ours.get("reasoning", 0) + ours.get("audio_out", 0),
    }


def _together(ours: Buckets) -> dict[str, int]:
    """Fold our buckets into those of an account that counts what was written to the cache as input."""
    found = _apart(ours)
    return found | {"input": found["input"] + found["cache_write"], "cache_write": 0}
