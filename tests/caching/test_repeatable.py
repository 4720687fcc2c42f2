"""Which requests may be answered from memory, and what of them decides the answer."""

from typing import Any

import orjson
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from proxy.caching import repeatable
from proxy.wire import chat

BASE = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
KNOWN = {
    "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens",
    "messages", "modalities", "model", "moderation", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "prompt_cache_options", "reasoning_effort", "response_format", "seed", "stop", "temperature", "tool_choice",
    "tools", "top_logprobs", "top_p", "verbosity", "web_search_options", "audio",
}  # fmt: skip
"""Fields of the API that decide the answer, or keep it from being repeated."""


def read(**fields: Any) -> chat.ChatRequest:
    """Return a request with more fields."""
    return chat.read(orjson.dumps(BASE | fields))


def test_every_field_of_the_api_is_in_the_key_or_not() -> None:
    """A field that is new in the SDK is looked at before it is shipped; it is in the key until then."""
    fields = set(CompletionCreateParamsBase.__annotations__) | {"stream"}

    assert fields - KNOWN - repeatable.NOT_IN_KEY == set()
    assert fields >= repeatable.NOT_IN_KEY
    assert not KNOWN & repeatable.NOT_IN_KEY


@pytest.mark.parametrize("name", sorted(repeatable.NOT_IN_KEY))
def test_who_asks_and_how_it_travels_decides_nothing(name: str) -> None:
    """Two requests that differ in such a field only have one answer."""
    sent: dict[str, Any] = {"metadata": {"a": "b"}, "store": False, "stream": True, "stream_options": None}

    assert repeatable.deciding(read(**{name: sent.get(name, "anything")})) == repeatable.deciding(read())


@pytest.mark.parametrize(
    "fields", [{"seed": 7}, {"max_tokens": 5}, {"temperature": 0}, {"of_tomorrow": 1}, {"stop": ["x"]}], ids=str
)
def test_any_other_field_decides(fields: dict[str, Any]) -> None:
    """Unknown ones, too."""
    assert repeatable.deciding(read(**fields)) != repeatable.deciding(read())


TOOLS = [{"type": "function", "function": {"name": "look"}}]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"temperature": 0.5}, None),
        ({"temperature": 0.51}, "varied"),
        ({"n": 2}, "choices"),
        ({"tools": TOOLS}, "tools"),
        ({"tools": TOOLS, "temperature": 0.2}, "tools"),
        ({"tools": TOOLS, "temperature": 0}, None),
        ({"modalities": ["text", "audio"]}, "audio"),
        ({"web_search_options": {}}, "search"),
        ({"store": True}, "stored"),
        ({"store": False}, None),
    ],
    ids=str,
)
def test_what_is_not_the_same_twice_is_not_repeated(fields: dict[str, Any], why: str | None) -> None:
    """And for what reason."""
    assert repeatable.why_not(read(**fields)) == why
