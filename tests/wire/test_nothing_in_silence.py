"""What another family has no word for is named by its place, wherever in a request it stands."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from proxy.wire import chat, chat_prompt, messages, messages_prompt, responses, responses_prompt
from proxy.wire.errors import Malformed

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
DATA = "data:image/png;base64,AAAA"
MARK = {"type": "ephemeral", "ttl": "5m"}
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": MARK}]},
        {"role": "user", "content": [
            {"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": DATA, "detail": "low"}},
        ]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "description": "d", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
    "stream": True, "stream_options": {"include_usage": True}, "metadata": {"user_id": "u"},
}  # fmt: skip
MESSAGES = {
    "model": "m", "max_tokens": 9,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
    "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "Look"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        ]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"city": "x"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
        ]},
    ],
    "tools": [{"name": "look", "description": "d", "input_schema": SCHEMA, "cache_control": MARK}],
    "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    "thinking": {"type": "adaptive"}, "metadata": {"user_id": "u"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
}  # fmt: skip
RESPONSES = {
    "model": "m",
    "input": [
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": DATA, "detail": "low"},
        ]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "sunny"}]},
    ],
    "tools": [{"type": "function", "name": "look", "description": "d", "parameters": SCHEMA, "strict": True}],
    "tool_choice": {"type": "function", "name": "look"}, "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}, "metadata": {"user_id": "u"},
    "stream": True, "stream_options": {"include_obfuscation": False},
}  # fmt: skip
FREE = {"parameters", "input_schema", "schema", "metadata"}
"""Objects whose fields are the caller's own; and the input of a call."""


def objects(found: Any, where: str = "") -> Iterator[str]:
    """Yield the place of each object in a request, but for those that hold whatever the caller likes."""
    if isinstance(found, list):
        for index, each in enumerate(found):
            yield from objects(each, f"{where}[{index}]")
    elif isinstance(found, dict):
        yield where
        for name, each in found.items():
            if name not in FREE and not (name == "input" and isinstance(each, dict)):
                yield from objects(each, f"{where}.{name}" if where else name)


def planted(request: dict[str, Any], where: str) -> bytes:
    """Return a request with a field from tomorrow in one of its objects."""
    found = orjson.loads(orjson.dumps(request))
    at: Any = found
    for step in where.replace("[", ".[").split("."):
        if step:
            at = at[int(step[1:-1])] if step[0] == "[" else at[step]
    at["zz"] = 1
    return orjson.dumps(found)


@pytest.mark.parametrize(
    ("request_", "read", "where"),
    [
        pytest.param(each, read, where, id=f"{name}-{where or 'top'}")
        for name, each, read in (
            ("chat", CHAT, lambda body: chat_prompt.read(chat.read(body))),
            ("messages", MESSAGES, lambda body: messages_prompt.read(messages.read(body))),
            ("responses", RESPONSES, lambda body: responses_prompt.read(responses.read(body))),
        )
        for where in objects(each)
    ],
)
def test_a_field_from_tomorrow_is_named(request_: dict[str, Any], read: Callable[[bytes], Any], where: str) -> None:
    """The request as it is can be said; with one more field, at any depth, the error says which."""
    read(orjson.dumps(request_))

    with pytest.raises(Malformed) as caught:
        read(planted(request_, where))

    assert caught.value.param == (f"{where}.zz" if where else "zz")
