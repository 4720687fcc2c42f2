"""A request of Anthropic's Messages API: the few fields we read, typed and checked; everything else kept by value.

What names a thing on the provider's account (a container, a file, a server of tools) is refused whoever serves it: the
account is ours, and whose each thing is only we could say. Source: Anthropic's API reference, "Create a message".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import orjson

from proxy.wire.errors import Malformed
from proxy.wire.fields import COUNT_MAX, array, boolean, check_numbers, integer, model, weight
from proxy.wire.strict import read_object

MESSAGES_MAX = 100_000
"""The API's own bound."""
ROLES = frozenset({"user", "assistant", "system"})
MEDIA_TYPES = frozenset({"image", "document"})
_NUMBERS = ("temperature", "top_p")
_OBJECTS = ("metadata", "thinking", "output_config", "tool_choice")
_NOT_OURS = ("container", "mcp_servers")
_TEXT_OF: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "tool_use": ("id", "name"),
    "tool_result": ("tool_use_id",),
    "thinking": ("thinking",),
}
"""What a block must say, by its type."""


class MessagesRequest(NamedTuple):
    """What we read of a request. `fields` is the whole object as it was sent; it is never changed in place."""

    fields: Mapping[str, Any]
    body_bytes: int
    model: str
    messages: list[dict[str, Any]]
    """The instructions and the conversation, as a judge reads them."""
    stream: bool
    output_max: int | None
    tools: int
    wants_schema: bool
    has_images: bool
    images: int
    media_parts: int
    media_bytes: int
    """What images and documents weigh in the body: their tokens do not follow their size."""
    has_audio: bool = False
    choices: int = 1
    prompts: int = 1
    include_usage: bool = True
    surface: str = "messages"

    def body_for(self, model: str) -> bytes:
        """Serialise what was judged, for the provider's `model`."""
        return orjson.dumps({**self.fields, "model": model})

    def with_fields(self, fields: Mapping[str, Any]) -> Self:
        """Return it as it is sent with other texts: what was read of it stays, as does what it was judged by."""
        return self._replace(fields=fields)


def read(body: bytes, *, needs_limit: bool = True) -> MessagesRequest:
    """Read a request; one whose tokens are only counted needs no `max_tokens`.

    Raises:
        Malformed: with `param` naming the field.
    """
    fields = read_object(body)
    for name in _NOT_OURS:
        if fields.get(name):
            raise Malformed(f"`{name}` names things on the provider's account.", param=name)
    _check_settings(fields)
    messages = _messages(fields)
    tools = array(fields, "tools")
    _check_tools(tools)
    media = list(_media(messages))
    images = sum(block["type"] == "image" for block in media)
    return MessagesRequest(
        fields=fields,
        body_bytes=len(body),
        model=model(fields),
        messages=_as_judged(fields, messages),
        stream=boolean(fields, "stream"),
        output_max=_output_max(fields, is_needed=needs_limit),
        tools=len(tools),
        wants_schema=_wants_schema(fields),
        has_images=images > 0,
        images=images,
        media_parts=len(media),
        media_bytes=sum(map(weight, media)),
    )


def _output_max(fields: Mapping[str, Any], *, is_needed: bool) -> int | None:
    if fields.get("max_tokens") is None:
        if is_needed:
            raise Malformed("`max_tokens` is missing.", param="max_tokens")
        return None
    return integer(fields, "max_tokens", low=1, high=COUNT_MAX, default=1)


# ---- the conversation ----------------------------------------------------------------------------------------------


def blocks(content: Any) -> list[dict[str, Any]]:
    """Return content as blocks: a text is one of them."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def _messages(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    system = fields.get("system")
    if system is not None:
        _check_content(system, "system")
    found = fields.get("messages")
    if not isinstance(found, list) or not found:
        raise Malformed("`messages` must be a non-empty array.", param="messages")
    if len(found) > MESSAGES_MAX:
        raise Malformed(f"`messages` holds more than {MESSAGES_MAX} messages.", param="messages")
    for index, message in enumerate(found):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise Malformed(f"`{where}` must be an object.", param=where)
        role = message.get("role")
        if not isinstance(role, str) or role not in ROLES:
            raise Malformed(f"`{where}.role` must be one of: {', '.join(sorted(ROLES))}.", param=f"{where}.role")
        _check_content(message.get("content"), f"{where}.content")
    return found


def _check_content(content: Any, where: str) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise Malformed(f"`{where}` must be a string or an array of blocks.", param=where)
    for index, block in enumerate(content):
        at = f"{where}[{index}]"
        kind = block.get("type") if isinstance(block, dict) else None
        if not isinstance(kind, str):
            raise Malformed(f"`{at}` must be an object with a `type`.", param=at)
        for name in _TEXT_OF.get(kind, ()):
            if not isinstance(block.get(name), str):
                raise Malformed(f"`{at}.{name}` must be a string.", param=f"{at}.{name}")
        if kind == "tool_use" and not isinstance(block.get("input", {}), dict):
            raise Malformed(f"`{at}.input` must be an object.", param=f"{at}.input")
        if kind == "tool_result" and block.get("content") is not None:
            _check_content(block["content"], f"{at}.content")
        if kind in MEDIA_TYPES:
            _check_source(block.get("source"), f"{at}.source")


def _check_source(source: Any, where: str) -> None:
    if not isinstance(source, dict) or not isinstance(source.get("type"), str):
        raise Malformed(f"`{where}` must be an object with a `type`.", param=where)
    if source["type"] == "file":
        raise Malformed(f"`{where}` names a file on the provider's account.", param=where)


def _media(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        for block in blocks(message["content"]):
            if block["type"] in MEDIA_TYPES:
                yield block
            elif block["type"] == "tool_result":
                yield from (each for each in blocks(block.get("content")) if each["type"] in MEDIA_TYPES)


def _as_judged(fields: Mapping[str, Any], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the conversation with what tools gave as messages of their own: nobody asked that."""
    found = [] if fields.get("system") is None else [{"role": "system", "content": fields["system"]}]
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            found.append(message)
            continue
        given = [block for block in content if block["type"] == "tool_result"]
        found += [{"role": "tool", "content": block.get("content") or ""} for block in given]
        said = [block for block in content if block["type"] not in {"tool_result", "tool_use", "thinking"}]
        calls = sum(block["type"] == "tool_use" for block in content)
        if said or calls or not given:
            found.append({"role": message["role"], "content": said} | ({"tool_calls": [{}] * calls} if calls else {}))
    return found


# ---- settings ------------------------------------------------------------------------------------------------------


def _check_settings(fields: Mapping[str, Any]) -> None:
    check_numbers(fields, _NUMBERS)
    for name in _OBJECTS:
        if not isinstance(fields.get(name), dict | None):
            raise Malformed(f"`{name}` must be an object.", param=name)
    if not isinstance(fields.get("service_tier"), str | None):
        raise Malformed("`service_tier` must be a string.", param="service_tier")
    if not all(isinstance(each, str) for each in array(fields, "stop_sequences")):
        raise Malformed("`stop_sequences` must be an array of strings.", param="stop_sequences")


def _check_tools(tools: list[Any]) -> None:
    for index, tool in enumerate(tools):
        at = f"tools[{index}]"
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise Malformed(f"`{at}` must be an object with a `name`.", param=at)
        if not isinstance(tool.get("type", "custom"), str | None):
            raise Malformed(f"`{at}.type` must be a string.", param=f"{at}.type")
        if tool.get("type") in (None, "custom") and not isinstance(tool.get("input_schema"), dict):
            raise Malformed(f"`{at}.input_schema` must be an object.", param=f"{at}.input_schema")


def _wants_schema(fields: Mapping[str, Any]) -> bool:
    form = (fields.get("output_config") or {}).get("format")
    if form is None:
        return False
    if not isinstance(form, dict) or not isinstance(form.get("schema"), dict):
        raise Malformed("`output_config.format` must be an object with a `schema`.", param="output_config.format")
    return True
