"""The shapes of what a chat request may hold, as far as we judge, price or route by it. The rest is the provider's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.wire.errors import Malformed
from proxy.wire.fields import check_numbers


def check_parts(parts: list[Any], where: str) -> None:
    """Check the parts of a message's content."""
    if not parts:
        raise Malformed(f"`{where}` must not be empty.", param=where)
    for index, part in enumerate(parts):
        at = f"{where}[{index}]"
        kind = _object(part, at).get("type")
        if not isinstance(kind, str):
            raise Malformed(f"`{at}` must be an object with a `type`.", param=at)
        if kind == "text":
            _text(part.get("text"), f"{at}.text")
        elif kind == "image_url":
            _text(_object(part.get("image_url"), f"{at}.image_url").get("url"), f"{at}.image_url.url")


def check_tools(tools: list[Any], where: str) -> None:
    """Check the tools on offer."""
    for index, tool in enumerate(tools):
        at = f"{where}[{index}]"
        kind = _object(tool, at).get("type")
        _text(kind, f"{at}.type")
        if kind == "function":
            _text(_object(tool.get("function"), f"{at}.function").get("name"), f"{at}.function.name")


def check_tool_calls(calls: Any, where: str) -> None:
    """Check the calls an assistant made."""
    if not isinstance(calls, list):
        raise Malformed(f"`{where}` must be an array.", param=where)
    for index, call in enumerate(calls):
        _object(call, f"{where}[{index}]")


def check_settings(fields: Mapping[str, Any]) -> None:
    """Check the fields whose wrong shape every provider refuses."""
    check_numbers(fields, ("temperature", "top_p", "frequency_penalty", "presence_penalty"))
    if fields.get("metadata") is not None:
        _object(fields["metadata"], "metadata")
    if fields.get("service_tier") is not None:
        _text(fields["service_tier"], "service_tier")
    stop = fields.get("stop")
    if stop is not None and not isinstance(stop, str | list):
        raise Malformed("`stop` must be a string or an array of strings.", param="stop")


def check_response_format(wanted: Any) -> bool:
    """Check the format asked for; tell whether it is JSON."""
    if wanted is None:
        return False
    kind = _object(wanted, "response_format").get("type")
    if not isinstance(kind, str):
        raise Malformed("`response_format` must have a `type`.", param="response_format")
    if kind == "json_schema":
        schema = _object(wanted.get("json_schema"), "response_format.json_schema")
        if schema.get("schema") is not None:
            _object(schema["schema"], "response_format.json_schema.schema")
    return kind in {"json_schema", "json_object"}


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"`{where}` must be an object.", param=where)
    return value


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise Malformed(f"`{where}` must be a string.", param=where)
