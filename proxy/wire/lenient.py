"""JSON of providers: what strict parsers refuse in the caller's words is passed on in the provider's.

Half a surrogate pair is the case in point: models cut emoji in two, and the other half comes in the next event.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def loads(data: bytes) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data, parse_constant=_refuse)


def dumps(value: Any) -> bytes:
    """Return JSON; half a surrogate pair becomes an escape, as it came."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
