"""Usage as Anthropic reports it → disjoint buckets. The cached stand beside the input, the thought inside the output.

A stream reports twice: at its start with cache writes by lifetime, at its end with cumulative totals. Source: "Prompt
caching", and `Usage`, `MessageDeltaUsage` and `OutputTokensDetails` of the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from margin.usage import Usage, UsageError
from proxy.upstream.dialects import foreign

FAST: Final = "fast"
"""What the speed and the column of the price list are called."""
_DEARER: Final = frozenset({"us"})
"""Regions that are asked for, and cost a tenth more (page "Data residency"): the cost book has no regions."""


def merged(before: Mapping[str, Any], reported: Any) -> dict[str, Any]:
    """Return a report after a later one: totals are cumulative, and what it leaves out stays as it was."""
    later = reported if isinstance(reported, dict) else {}
    return {**before, **{name: value for name, value in later.items() if value is not None}}


def read_usage(reported: Mapping[str, Any]) -> Usage | None:
    """Return the buckets; None when there is no count of input or none of output.

    Raises:
        UsageError: the numbers contradict each other or are no counts.
    """
    if reported.get("input_tokens") is None or reported.get("output_tokens") is None:
        return None
    five_minutes, hour = _writes(reported)
    thinking = _count(foreign.inner(reported, "output_tokens_details"), "thinking_tokens")
    output = _count(reported, "output_tokens")
    if thinking > output:
        raise UsageError(f"thinking_tokens is {thinking} of {output} output_tokens")
    used = Usage(
        input=_count(reported, "input_tokens"),
        cache_read=_count(reported, "cache_read_input_tokens"),
        cache_write_5m=five_minutes,
        cache_write_1h=hour,
        output=output - thinking,
        reasoning=thinking,
    )
    # Its price list has a column for the fast mode, which it names by a field of its own.
    tier = FAST if reported.get("speed") == FAST else reported.get("service_tier")
    found = foreign.tiered(used, tier)
    # Web searches are billed by their number, and a region by a share: both beside what the tokens cost.
    has_fees = any(foreign.inner(reported, "server_tool_use").values()) or reported.get("inference_geo") in _DEARER
    return foreign.with_fees(found) if has_fees else found


def _writes(reported: Mapping[str, Any]) -> tuple[int, int]:
    """Return what was written to the cache for five minutes and for an hour: a total, or parts that add up to it."""
    total, parts = reported.get("cache_creation_input_tokens"), foreign.inner(reported, "cache_creation")
    if not parts:
        return _count(reported, "cache_creation_input_tokens"), 0
    five_minutes, hour = _count(parts, "ephemeral_5m_input_tokens"), _count(parts, "ephemeral_1h_input_tokens")
    if total is not None and _count(reported, "cache_creation_input_tokens") != five_minutes + hour:
        raise UsageError(f"cache_creation_input_tokens is {total}, but its parts are {five_minutes} and {hour}")
    return five_minutes, hour


def _count(reported: Mapping[str, Any], name: str) -> int:
    # Absent or null means that the provider has nothing to count there.
    found = reported.get(name)
    if found is None:
        return 0
    if isinstance(found, bool) or not isinstance(found, int):
        raise UsageError(f"{name} is {type(found).__name__}, not a count")
    return found
