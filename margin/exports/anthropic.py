"""Anthropic's reports: pages of `/v1/organizations/usage_report/messages` and of `/v1/organizations/cost_report`.

Usage is wanted grouped by model; its buckets are disjoint already. Amounts are in cents, as decimal text; those grouped
by description name the model, others are compared by day. Source: Anthropic's Admin API reference, Usage and Cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from margin.exports.account import Account, Buckets, DayCost, DayUse, cost, count, day_of, pages, results
from margin.exports.refusing import ExportRefused

CENTS = 100


def read(content: bytes) -> Account:
    """Read pages of usage, of costs, or of both.

    Raises:
        ExportRefused: it is no such report; it says why.
    """
    uses: list[DayUse] = []
    costs: list[DayCost] = []
    days: set[str] = set()
    for bucket, result in results(pages(content)):
        on = day_of(bucket.get("starting_at"), bucket.get("ending_at"))
        days.add(on)
        if "amount" in result:
            costs.append(_cost(on, result))
        elif "uncached_input_tokens" in result:
            uses.append(_use(on, result))
        else:
            raise ExportRefused(" a result is neither usage (uncached_input_tokens) nor a cost (amount)")
    return Account(tuple(uses), tuple(costs), frozenset(days), _folded)


def _use(on: str, result: Mapping[str, Any]) -> DayUse:
    model, created = result.get("model"), result.get("cache_creation")
    if not isinstance(model, str):
        raise ExportRefused(" its usage names no models; export it with group_by[]=model")
    written = created if isinstance(created, dict) else {}
    tokens = {
        "input": count(result, "uncached_input_tokens"),
        "cache_read": count(result, "cache_read_input_tokens"),
        "cache_write_5m": count(written, "ephemeral_5m_input_tokens"),
        "cache_write_1h": count(written, "ephemeral_1h_input_tokens"),
        "output": count(result, "output_tokens"),
    }
    return DayUse(on, model, tokens)


def _cost(on: str, result: Mapping[str, Any]) -> DayCost:
    if str(result.get("currency", "USD")).upper() != "USD":
        raise ExportRefused(" a cost must be in US dollars")
    model = result.get("model")
    return cost(on, model if isinstance(model, str) else "", result["amount"], per_usd=CENTS)


def _folded(ours: Buckets) -> dict[str, int]:
    """Fold our buckets into Anthropic's: thinking is output, images are input."""
    return {
        "input": ours.get("input", 0) + ours.get("audio_in", 0) + ours.get("image_in", 0),
        "cache_read": ours.get("cache_read", 0),
        "cache_write_5m": ours.get("cache_write_5m", 0),
        "cache_write_1h": ours.get("cache_write_1h", 0),
        "output": ours.get("output", 0) + ours.get("reasoning", 0) + ours.get("audio_out", 0),
    }
