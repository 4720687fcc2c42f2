"""Usage as Gemini reports it → disjoint buckets. The cached are inside the prompt, the thoughts beside the candidates.

What is zero is left out, as everywhere in Google's JSON. Source: `UsageMetadata` of the API reference: the total is the
sum of prompt, candidates, tool-use prompt and thoughts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from margin.usage import Usage, UsageError
from proxy.upstream.dialects import foreign


def read_usage(reported: Mapping[str, Any]) -> Usage | None:
    """Return the buckets; None when there is no count of the prompt.

    Raises:
        UsageError: the numbers contradict each other or are no counts.
    """
    if reported.get("promptTokenCount") is None:
        return None
    prompt, candidates, tool_use, thoughts = (
        _count(reported, name)
        for name in ("promptTokenCount", "candidatesTokenCount", "toolUsePromptTokenCount", "thoughtsTokenCount")
    )
    total = reported.get("totalTokenCount")
    if total is not None and _count(reported, "totalTokenCount") != prompt + candidates + tool_use + thoughts:
        raise UsageError(
            f"totalTokenCount is {total}, but its parts are {prompt}, {candidates}, {tool_use} and {thoughts}"
        )
    used = Usage.nested(
        input_total=prompt + tool_use,
        cache_read=_count(reported, "cachedContentTokenCount"),
        audio_in=_audio(reported, "promptTokensDetails") - _audio(reported, "cacheTokensDetails"),
        output_total=candidates + thoughts,
        reasoning=thoughts,
        audio_out=_audio(reported, "candidatesTokensDetails"),
    )
    return foreign.tiered(used, _tier(reported.get("serviceTier")))


def _tier(told: Any) -> str | None:
    """Return the service tier in lower case, as prices name it; None where it is not stated."""
    tier = told.lower() if isinstance(told, str) else None
    return None if tier == "unspecified" else tier


def _audio(reported: Mapping[str, Any], name: str) -> int:
    """Return the tokens of audio in a list of counts by modality."""
    details = reported.get(name)
    listed = details if isinstance(details, list) else []
    return sum(_count(one, "tokenCount") for one in listed if isinstance(one, dict) and one.get("modality") == "AUDIO")


def _count(reported: Mapping[str, Any], name: str) -> int:
    found = reported.get(name)
    if found is None:
        return 0
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise UsageError(f"{name} is no count: {found!r:.40}")
    return found
