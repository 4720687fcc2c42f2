"""Which requests may be answered from memory, and what of them decides the answer.

Every field that can change the answer is in the key: all fields are, but for those named here. A field that the API
gets tomorrow is in the key from the first day.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.wire.ask import Ask

NOT_IN_KEY: Final = frozenset({
    "metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "store", "stream",
    "stream_options", "user",
})  # fmt: skip
"""What says who asks, how the answer travels, or what it costs: the answer is the same. Source: OpenAI's API reference,
"Create chat completion"; `store: true` is never answered from memory."""
TEMPERATURE_MAX: Final = 0.5
"""Who says more than this wants another text each time; who says less, or nothing, does not say so. OpenAI's reference
calls 0.2 focused and 0.8 random."""


def why_not(ask: Ask) -> str | None:
    """Say in a word why a request always goes to the provider; None when an answer may be given again.

    *varied*: it asks for variety, by its temperature. *choices*: for several answers. *tools*: an agent that asks
    again wants another step, unless it says temperature 0. *audio*, *search*, *stored*: its answer is not only text,
    depends on the day, or is to be kept at the provider.
    """
    fields = ask.fields
    temperature = fields.get("temperature")
    if temperature is not None and temperature > TEMPERATURE_MAX:
        return "varied"
    if ask.choices > 1:
        return "choices"
    if ask.tools and temperature != 0:
        return "tools"
    if ask.has_audio or "audio" in (fields.get("modalities") or ()):
        return "audio"
    if fields.get("web_search_options") is not None:
        return "search"
    return "stored" if fields.get("store") else None


def deciding(ask: Ask) -> dict[str, Any]:
    """Return the fields that decide the answer, in the order they were sent in: a schema's order may matter, too."""
    return {name: value for name, value in ask.fields.items() if name not in NOT_IN_KEY}
