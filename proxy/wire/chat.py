"""A chat-completions request: the few fields we read, typed and checked; everything else kept by value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import orjson

from proxy.wire.errors import Malformed
from proxy.wire.fields import COUNT_MAX, array, boolean, include_usage, integer, model, weight
from proxy.wire.shapes import check_parts, check_response_format, check_settings, check_tool_calls, check_tools
from proxy.wire.strict import read_object

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
TEXT_TYPES = frozenset({"text", "refusal"})
MESSAGES_MAX = 20_000


class ChatRequest(NamedTuple):
    """What we read of a request. `fields` is the whole object as it was sent; it is never changed in place."""

    fields: Mapping[str, Any]
    body_bytes: int
    model: str
    messages: list[dict[str, Any]]
    stream: bool
    include_usage: bool
    output_max: int | None
    choices: int
    tools: int
    wants_schema: bool
    has_images: bool
    has_audio: bool
    images: int
    media_parts: int
    media_bytes: int
    """What images, audio and files weigh in the body: their tokens do not follow their size."""
    prompts: int = 1
    surface: str = "chat"

    def body_for(self, model: str) -> bytes:
        """Serialise what was judged, for the provider's `model`; a stream is asked to report its usage."""
        changed: dict[str, Any] = {**self.fields, "model": model}
        if self.stream and not self.include_usage:
            options = self.fields.get("stream_options")
            changed["stream_options"] = {**options, "include_usage": True} if options else {"include_usage": True}
        return orjson.dumps(changed)

    def with_fields(self, fields: Mapping[str, Any]) -> Self:
        """Return it as it is sent with other texts: what was read of it stays, as does what it was judged by."""
        return self._replace(fields=fields, messages=fields["messages"])


def read(body: bytes) -> ChatRequest:
    """Read a request.

    Raises:
        Malformed: with `param` naming the field.
    """
    fields = read_object(body)
    messages = _messages(fields)
    stream = boolean(fields, "stream")
    tools = array(fields, "tools")
    if tools:
        check_tools(tools, "tools")
    check_settings(fields)
    media = _media(messages)
    types = [part["type"] for part in media]
    return ChatRequest(
        fields=fields,
        body_bytes=len(body),
        model=model(fields),
        messages=messages,
        stream=stream,
        include_usage=include_usage(fields, stream=stream),
        output_max=_output_max(fields),
        choices=_choices(fields),
        tools=len(tools) + len(array(fields, "functions")),
        wants_schema=check_response_format(fields.get("response_format")),
        has_images="image_url" in types,
        has_audio="input_audio" in types,
        images=types.count("image_url"),
        media_parts=len(media),
        media_bytes=sum(map(weight, media)),
    )


def _messages(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Malformed("`messages` must be a non-empty array.", param="messages")
    if len(messages) > MESSAGES_MAX:
        raise Malformed(f"`messages` holds more than {MESSAGES_MAX} messages.", param="messages")
    for index, message in enumerate(messages):
        _check_message(message, index)
    return messages


def _check_message(message: Any, index: int) -> None:
    if not isinstance(message, dict):
        raise Malformed(f"`messages[{index}]` must be an object.", param=f"messages[{index}]")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        allowed = ", ".join(sorted(ROLES))
        raise Malformed(f"`messages[{index}].role` must be one of: {allowed}.", param=f"messages[{index}].role")
    content, calls = message.get("content"), message.get("tool_calls")
    if calls is not None:
        check_tool_calls(calls, f"messages[{index}].tool_calls")
    if isinstance(content, str):
        return
    where = f"messages[{index}].content"
    if isinstance(content, list):
        check_parts(content, where)
    elif content is not None:
        raise Malformed(f"`{where}` must be a string, an array of parts, or null.", param=where)
    elif role in {"user", "system", "developer"}:
        raise Malformed(f"`{where}` is missing.", param=where)


def _media(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lists = [message["content"] for message in messages if isinstance(message.get("content"), list)]
    return [part for parts in lists for part in parts if part["type"] not in TEXT_TYPES]


def _output_max(fields: Mapping[str, Any]) -> int | None:
    """Return the bound on each choice's tokens; the larger of both where two are sent, as both are sent on."""
    stated = [name for name in ("max_completion_tokens", "max_tokens") if fields.get(name) is not None]
    if not stated:
        return None
    return max(integer(fields, name, low=1, high=COUNT_MAX, default=1) for name in stated)


def _choices(fields: Mapping[str, Any]) -> int:
    """Return how many answers are made. Some servers also know `best_of`, which makes more than come back."""
    return max(integer(fields, name, low=1, high=COUNT_MAX, default=1) for name in ("n", "best_of"))
