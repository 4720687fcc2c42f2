"""A request of the Responses API: the few fields we read, typed and checked; everything else kept by value.

What names a thing on the provider's account (a conversation, an item, a file, a prompt's template) is refused whoever
serves it: the account is ours, its things are many customers', and whose each is only we could say. Responses are the
exception, as we know whose they are. Source: OpenAI's API reference, "Create a model response".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from proxy.wire.errors import Malformed
from proxy.wire.fields import COUNT_MAX, TEXT_MAX, array, boolean, check_numbers, integer, model, weight
from proxy.wire.strict import read_object

ITEMS_MAX = 20_000
"""Items of one input: as many as chat takes messages."""
ROLES = frozenset({"system", "developer", "user", "assistant"})
IMAGE_TYPES = frozenset({"input_image", "computer_screenshot"})
MEDIA_TYPES = IMAGE_TYPES | {"input_file", "input_audio"}
_NUMBERS = ("temperature", "top_p", "top_logprobs", "max_tool_calls")
_OBJECTS = ("metadata", "reasoning", "text", "stream_options")
_TEXTS = ("instructions", "service_tier", "truncation", "user", "safety_identifier", "prompt_cache_key")
_NOT_OURS = {
    "background": "answers that are made while nobody waits are not served",
    "conversation": "conversations of the provider's account are not served; `previous_response_id` goes on with one",
    "prompt": "templates of the provider's account are not served",
}


class Before(NamedTuple):
    """A conversation that a request goes on with: its items, or whose account stores it and how long it is there."""

    items: list[dict[str, Any]]
    size_bytes: int
    """What it adds to the request; of one that a provider stores, what its tokens come to."""
    provider: str | None = None


class ResponsesRequest(NamedTuple):
    """What we read of a request. `fields` is the whole object as it was sent; it is never changed in place."""

    fields: Mapping[str, Any]
    body_bytes: int
    model: str
    messages: list[dict[str, Any]]
    """The instructions and the input's items, as a judge reads them."""
    items: list[dict[str, Any]]
    """The input: a text is an item of the user's."""
    stream: bool
    output_max: int | None
    tools: int
    wants_schema: bool
    has_images: bool
    has_audio: bool
    images: int
    media_parts: int
    media_bytes: int
    """What images, audio and files weigh in the body: their tokens do not follow their size."""
    previous: str | None
    """The response whose conversation it goes on with."""
    is_stored: bool
    """Whether others may go on with it: unless it says `store: false`."""
    before: Before | None = None
    """That conversation, once it was found."""
    choices: int = 1
    prompts: int = 1
    include_usage: bool = True
    surface: str = "responses"

    def body_for(self, model: str) -> bytes:
        """Serialise what was judged, for the provider's `model`; a conversation that we keep goes along."""
        changed: dict[str, Any] = {**self.fields, "model": model}
        if self.before is not None and self.before.provider is None:
            del changed["previous_response_id"]
            changed["input"] = [*filter(_is_legible, self.before.items), *self.items]
        return orjson.dumps(changed)

    def going_on(self, before: Before) -> ResponsesRequest:
        """Return the request with the conversation that it goes on with: judged, counted and held for as a whole."""
        found = list(_media(before.items))
        images = sum(part["type"] in IMAGE_TYPES for part in found)
        return self._replace(
            before=before,
            messages=[*before.items, *self.messages],
            body_bytes=self.body_bytes + before.size_bytes,
            has_images=self.has_images or images > 0,
            images=self.images + images,
            media_parts=self.media_parts + len(found),
            media_bytes=self.media_bytes + sum(map(weight, found)),
        )


def read(body: bytes) -> ResponsesRequest:
    """Read a request.

    Raises:
        Malformed: with `param` naming the field.
    """
    fields = read_object(body)
    for name, why in _NOT_OURS.items():
        if fields.get(name) not in (None, False):
            raise Malformed(f"`{name}` cannot be taken: {why}.", param=name)
    _check_settings(fields)
    items = _items(fields)
    tools = array(fields, "tools")
    _check_tools(tools)
    media = list(_media(items))
    types = [part["type"] for part in media]
    limit = integer(fields, "max_output_tokens", low=1, high=COUNT_MAX, default=0)
    images = sum(kind in IMAGE_TYPES for kind in types)
    return ResponsesRequest(
        fields=fields,
        body_bytes=len(body),
        model=model(fields),
        messages=_messages(fields, items),
        items=items,
        stream=boolean(fields, "stream"),
        output_max=limit or None,
        tools=len(tools),
        wants_schema=_wants_schema(fields),
        has_images=images > 0,
        has_audio="input_audio" in types,
        images=images,
        media_parts=len(media),
        media_bytes=sum(map(weight, media)),
        previous=_previous(fields),
        is_stored=boolean(fields, "store", default=True),
    )


def _messages(fields: Mapping[str, Any], items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    instructions = fields.get("instructions")
    return [{"role": "system", "content": instructions}, *items] if instructions else items


def _previous(fields: Mapping[str, Any]) -> str | None:
    found = fields.get("previous_response_id")
    if found is None:
        return None
    if not isinstance(found, str) or not 0 < len(found) <= TEXT_MAX:
        raise Malformed(
            f"`previous_response_id` must be a response's id, of at most {TEXT_MAX} characters.",
            param="previous_response_id",
        )
    return found


# ---- the input -----------------------------------------------------------------------------------------------------


def _items(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = fields.get("input")
    if isinstance(given, str) and given:
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise Malformed("`input` must be a text or an array of items, and not empty.", param="input")
    if len(given) > ITEMS_MAX:
        raise Malformed(f"`input` holds more than {ITEMS_MAX} items.", param="input")
    for index, item in enumerate(given):
        _check_item(item, f"input[{index}]")
    return given


def kind_of(item: Mapping[str, Any]) -> Any:
    """Return what an item is. One with a role and no type is a message."""
    return item.get("type") or ("message" if "role" in item else None)


def _check_item(item: Any, where: str) -> None:
    if not isinstance(item, dict):
        raise Malformed(f"`{where}` must be an object.", param=where)
    kind = kind_of(item)
    if not isinstance(kind, str):
        raise Malformed(f"`{where}.type` must say what the item is.", param=f"{where}.type")
    if kind == "item_reference":
        raise Malformed(f"`{where}` names an item on the provider's account; send the item itself.", param=where)
    if kind == "message":
        if item.get("role") not in ROLES:
            allowed = ", ".join(sorted(ROLES))
            raise Malformed(f"`{where}.role` must be one of: {allowed}.", param=f"{where}.role")
        _check_content(item.get("content"), f"{where}.content")
    elif kind == "function_call":
        _check_texts(item, ("call_id", "name", "arguments"), where)
    elif kind.endswith("_output"):
        _check_content(item.get("output"), f"{where}.output")


def _check_texts(item: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in names:
        if not isinstance(item.get(name), str):
            raise Malformed(f"`{where}.{name}` must be a string.", param=f"{where}.{name}")


def _check_content(content: Any, where: str) -> None:
    """Check what a message or a tool's result says: a text, parts, or (of a computer) one part."""
    if isinstance(content, str):
        return
    parts = [content] if isinstance(content, dict) else content
    if not isinstance(parts, list):
        raise Malformed(f"`{where}` must be a string or an array of parts.", param=where)
    for index, part in enumerate(parts):
        at = f"{where}[{index}]"
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise Malformed(f"`{at}` must be an object with a `type`.", param=at)
        if part.get("file_id") is not None:
            raise Malformed(f"`{at}.file_id` names a file on the provider's account.", param=f"{at}.file_id")
        name = "refusal" if part["type"] == "refusal" else "text"
        if name in part and not isinstance(part[name], str):
            raise Malformed(f"`{at}.{name}` must be a string.", param=f"{at}.{name}")


def _media(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        for content in (item.get("content"), item.get("output")):
            parts = [content] if isinstance(content, dict) else content
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, dict) and part.get("type") in MEDIA_TYPES:
                    yield part


def _is_legible(item: Mapping[str, Any]) -> bool:
    """Whether a provider that did not write an item can read it: reasoning only if its writer put it in there."""
    return item.get("type") != "reasoning" or item.get("encrypted_content") is not None


# ---- settings ------------------------------------------------------------------------------------------------------


def _check_settings(fields: Mapping[str, Any]) -> None:
    check_numbers(fields, _NUMBERS)
    for name in _OBJECTS:
        if not isinstance(fields.get(name), dict | None):
            raise Malformed(f"`{name}` must be an object.", param=name)
    for name in _TEXTS:
        if not isinstance(fields.get(name), str | None):
            raise Malformed(f"`{name}` must be a string.", param=name)
    if fields.get("stream_options") is not None and not boolean(fields, "stream"):
        raise Malformed("`stream_options` needs `stream: true`.", param="stream_options")
    array(fields, "include")


_STORED_TOOLS = ("vector_store_ids", "container", "connector_id", "input_image_mask")


def _check_tools(tools: list[Any]) -> None:
    for index, tool in enumerate(tools):
        at = f"tools[{index}]"
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise Malformed(f"`{at}` must be an object with a `type`.", param=at)
        if tool["type"] == "function" and not isinstance(tool.get("name"), str):
            raise Malformed(f"`{at}.name` must be a string.", param=f"{at}.name")
        for name in _STORED_TOOLS:
            if isinstance(tool.get(name), str | list):
                raise Malformed(f"`{at}.{name}` names things on the provider's account.", param=f"{at}.{name}")


def _wants_schema(fields: Mapping[str, Any]) -> bool:
    text = fields.get("text")
    form = None if text is None else text.get("format")
    if form is None:
        return False
    kind = form.get("type") if isinstance(form, dict) else None
    if not isinstance(kind, str):
        raise Malformed("`text.format` must be an object with a `type`.", param="text.format")
    if kind == "json_schema" and not isinstance(form.get("schema"), dict):
        raise Malformed("`text.format.schema` must be an object.", param="text.format.schema")
    return kind in {"json_schema", "json_object"}
