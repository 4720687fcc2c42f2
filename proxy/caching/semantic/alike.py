"""Do two answers say the same? A cheap rule, on purpose too strict: what it calls wrong costs a hit, not a customer.

They do when they are the same JSON, or call the same tools alike; when both are short and no guard speaks against them;
or when they are near by their letters, in one language, and nine tenths of their numbers, names and code are the same.
It does not understand: an answer that says the opposite in other words may pass, and one that is merely longer may not.
"""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from proxy.caching.semantic.guards import differs
from proxy.caching.semantic.reading import Reading, read
from proxy.caching.semantic.vectors import letters

CHARS_MAX: Final = 8_000
"""Of an answer: longer ones are not compared. It takes some milliseconds at most."""
NEAR_MIN: Final = 0.6
"""Cosine of two long answers by their letters; two of other questions are below 0.3."""
SHARED_MIN: Final = 0.9


def alike(one: bytes, other: bytes) -> bool | None:
    """Tell whether two chat completions say the same; None where nobody can tell: broken off, or too long."""
    mine, theirs = _said(one), _said(other)
    if mine is None or theirs is None:
        return None
    if isinstance(mine, str) and isinstance(theirs, str):
        return _alike(mine, theirs)
    return mine == theirs


def _said(body: bytes) -> str | list[Any] | None:
    """Return the text of a completion, or the tools that it calls; None if it is no whole answer."""
    try:
        choice = orjson.loads(body)["choices"][0]
        message = choice["message"]
        if choice["finish_reason"] == "tool_calls":
            return [(each["function"]["name"], _value(each["function"]["arguments"])) for each in message["tool_calls"]]
        text = message["content"]
        is_whole = choice["finish_reason"] == "stop" and isinstance(text, str) and len(text) <= CHARS_MAX
    except (ValueError, LookupError, TypeError):
        return None
    return text if is_whole else None


def _value(text: str) -> Any:
    """Return what JSON says, to be compared; the text itself where it is none."""
    try:
        return json.dumps(orjson.loads(text), sort_keys=True)
    except orjson.JSONDecodeError:
        return text


def _alike(one: str, other: str) -> bool:
    if one[:1] in "{[" and one and other:
        return bool(_value(one) == _value(other))
    if " ".join(one.casefold().split()) == " ".join(other.casefold().split()):
        return True
    mine, theirs = read(one), read(other)
    if mine.verbatim is None and theirs.verbatim is None and differs(mine, theirs, "strict") is None:
        return True
    first, second = letters(one), letters(other)
    if first is None or second is None or first.near(second) < NEAR_MIN:
        return False
    if mine.languages and theirs.languages and set(mine.languages).isdisjoint(theirs.languages):
        return False
    return _negated(mine) == _negated(theirs) and _shared(mine, theirs) >= SHARED_MIN


def _negated(reading: Reading) -> bool:
    """Tell whether a text says no anywhere."""
    return any(each.kind == "negation" for each in reading.words)


def _shared(one: Reading, other: Reading) -> float:
    """Return which part of all numbers and quoted things both have."""
    mine, theirs = ({each.form for each in reading.words if each.kind in _TOLD} for reading in (one, other))
    return len(mine & theirs) / len(mine | theirs) if mine or theirs else 1.0


_TOLD: Final = frozenset({"number", "literal", "unit", "name"})
