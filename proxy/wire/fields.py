"""Fields that every surface reads alike: typed, bounded, and refused with their name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.wire.errors import Malformed

TEXT_MAX = 256
"""Characters of a model name or an identity field: OpenAI's own limits are 64; longer ones only bloat records."""
COUNT_MAX = 2**63 - 1
"""A bound on `n` and `max_tokens`: what 64 bits hold. How much is too much the provider says, and what it may cost."""


def model(fields: Mapping[str, Any]) -> str:
    """Return the name of the model asked for.

    Raises:
        Malformed: there is none, or it is too long.
    """
    found = fields.get("model")
    if not isinstance(found, str) or not found:
        raise Malformed("`model` must be a non-empty string; `auto` lets the proxy choose.", param="model")
    if len(found) > TEXT_MAX:
        raise Malformed(f"`model` is longer than {TEXT_MAX} characters.", param="model")
    return found


def boolean(fields: Mapping[str, Any], name: str, *, where: str | None = None, default: bool = False) -> bool:
    """Return a field that is true or false; `default` where it is absent or null.

    Raises:
        Malformed: it is something else.
    """
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise Malformed(f"`{where or name}` must be true or false.", param=where or name)
    return value


def integer(fields: Mapping[str, Any], name: str, *, low: int, high: int, default: int) -> int:
    """Return a whole number within bounds; `default` where it is absent or null.

    Raises:
        Malformed: it is something else.
    """
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        limit = f"{low} or more" if high == COUNT_MAX else f"{low} to {high}"
        raise Malformed(f"`{name}` must be an integer, {limit}.", param=name)
    return value


def array(fields: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list; an empty one where it is absent or null.

    Raises:
        Malformed: it is something else.
    """
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"`{name}` must be an array.", param=name)
    return value


def include_usage(fields: Mapping[str, Any], *, stream: bool) -> bool:
    """Return whether a stream tells its caller what was used, by `stream_options`.

    Raises:
        Malformed: it is no stream, or they are no options.
    """
    options = fields.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise Malformed("`stream_options` needs `stream: true`.", param="stream_options")
    if not isinstance(options, dict):
        raise Malformed("`stream_options` must be an object.", param="stream_options")
    return boolean(options, "include_usage", where="stream_options.include_usage")


def check_numbers(fields: Mapping[str, Any], names: Iterable[str]) -> None:
    """Check fields that are numbers, where they are there.

    Raises:
        Malformed: one is something else; true and false are no numbers here.
    """
    for name in names:
        value = fields.get(name)
        if value is not None and type(value) is not float and type(value) is not int:
            raise Malformed(f"`{name}` must be a number.", param=name)


def check_texts(fields: Mapping[str, Any], names: Iterable[str]) -> None:
    """Check fields that are strings, where they are there.

    Raises:
        Malformed: one is something else.
    """
    for name in names:
        if not isinstance(fields.get(name), str | None):
            raise Malformed(f"`{name}` must be a string.", param=name)


def weight(part: Mapping[str, Any]) -> int:
    """Return the characters of the strings in a part that is no text, two levels deep, where URLs and base64 stand."""
    values = [*part.values()]
    values += [inner for value in values if isinstance(value, dict) for inner in value.values()]
    return sum(len(value) for value in values if isinstance(value, str))
