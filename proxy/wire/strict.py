"""Reads JSON strictly: what one parser takes as one thing and another as something else is refused, not guessed.

orjson refuses NaN, infinities, invalid UTF-8 and lone surrogates by itself, and takes the last of duplicate keys; since
the body that goes upstream is serialised from what was read here, a duplicate cannot smuggle anything. Left to check:
integers beyond 64 bits (orjson turns them into floats) and depth. Both have a cheap test on the bytes that rules the
problem out for nearly every body; only bodies that fail it are walked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import orjson

from proxy.wire.errors import Malformed

DEPTH_MAX = 64
"""Levels of nesting. Real requests stay under 20; JSON schemas of tools are the deepest part."""

NODES_MAX = 200_000
"""Values in one body: some ten times what fits a million-token context as short messages."""

PATH_MAX = 200
"""Characters of a path in an error: names in it are the caller's."""

_DIGITS = bytes(ord("0") if chr(i).isdigit() and i < 128 else 32 for i in range(256))
_LONG_RUN = b"0" * 19
"""2^63 has 19 digits: a shorter run of digits cannot leave 64 bits."""


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`.

    Raises:
        Malformed: not JSON, not an object, nested too deep, or holding a number that 64 bits cannot.
    """
    # orjson itself stops at depth 1024; the count of brackets bounds the depth from above.
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not valid JSON: {_position(error)}.", param=_culprit(body)) from None
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object.")
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX:
        _check_depth(value)
    if _LONG_RUN in body.translate(_DIGITS):
        _check_integers(body)
    return value


def _position(error: orjson.JSONDecodeError) -> str:
    if error.pos == 0 and "UTF-8" in error.msg:
        return "it is not UTF-8, or holds a lone surrogate"
    return f"{error.msg} (line {error.lineno}, column {error.colno})"


def _check_depth(value: Any) -> None:
    level, depth, nodes = [value], 0, 0
    while level:
        depth += 1
        if depth > DEPTH_MAX:
            raise Malformed(f"The body is nested deeper than {DEPTH_MAX} levels.")
        level = [child for node in level for child in _children(node)]
        nodes += len(level)
        if nodes > NODES_MAX:
            raise Malformed(f"The body holds more than {NODES_MAX} values.")


def _children(node: Any) -> list[Any]:
    inside = node.values() if isinstance(node, dict) else node
    return [child for child in inside if isinstance(child, dict | list)]


def _check_integers(body: bytes) -> None:
    # The standard parser hands every integer over as text before it becomes a number.
    try:
        path = _find(json.loads(body, parse_int=_integer), _is_beyond)
    except RecursionError:
        raise Malformed(f"The body is nested deeper than {DEPTH_MAX} levels.") from None
    if path is not None:
        raise Malformed(f"The integer at `{path}` does not fit into 64 bits.", param=path)


class _Beyond:
    """Stands where an integer was that 64 bits cannot hold."""


def _integer(digits: str) -> int | _Beyond:
    # Measured before it is converted: Python refuses to convert thousands of digits, and takes long for fewer.
    return _Beyond() if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64 else int(digits)


def _is_beyond(value: Any) -> bool:
    return isinstance(value, _Beyond)


def _culprit(body: bytes) -> str | None:
    """Return the path of what made a body no JSON, if a lenient parser can tell: NaN, an infinity, a lone surrogate."""
    try:
        return _find(json.loads(body, parse_int=_integer), _is_no_json)
    except (ValueError, RecursionError):
        return None


def _is_no_json(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value)


def _find(value: Any, is_wanted: Callable[[Any], bool]) -> str | None:
    """Return the path of the first value that is wanted, like ``messages[0].content``; None when there is none."""
    waiting, seen = [("", value)], 0
    while waiting and seen < NODES_MAX:
        path, node = waiting.pop()
        seen += 1
        if is_wanted(node):
            return path[:PATH_MAX]
        if isinstance(node, dict):
            waiting += [(f"{path}.{name}" if path else str(name), child) for name, child in reversed(node.items())]
        elif isinstance(node, list):
            waiting += [(f"{path}[{index}]", child) for index, child in reversed(list(enumerate(node)))]
    return None
