"""Texts and token ids: what embeddings and completions are made of, one or many, each on its own."""

from __future__ import annotations

from typing import Any

from proxy.wire.ask import BYTES_PER_TOKEN
from proxy.wire.errors import Malformed

Input = str | list[int]
"""One text, or one text as the ids of its tokens."""


def inputs_of(value: Any, name: str, *, many_max: int) -> list[Input]:
    """Return the inputs in a field: a text, token ids, or an array of either.

    Raises:
        Malformed: it is none of that, or holds nothing, or too many.
    """
    if isinstance(value, str) or _is_ids(value):
        value = [value]
    if not isinstance(value, list) or not value:
        raise Malformed(
            f"`{name}` must be a text, an array of token ids, or an array of either, and not empty.", param=name
        )
    if len(value) > many_max:
        raise Malformed(f"`{name}` holds more than {many_max} inputs.", param=name)
    for index, each in enumerate(value):
        if not isinstance(each, str) and not _is_ids(each):
            raise Malformed(f"`{name}[{index}]` must be a text or an array of token ids.", param=f"{name}[{index}]")
    if len({type(each) for each in value}) > 1:
        raise Malformed(f"`{name}` holds texts and token ids; send either.", param=name)
    return value


def check_filled(found: list[Input], name: str) -> None:
    """Check that no text is empty.

    Raises:
        Malformed: one is.
    """
    for index, each in enumerate(found):
        if not each:
            where = name if len(found) == 1 else f"{name}[{index}]"
            raise Malformed(f"`{where}` must not be empty.", param=where)


def weight_bytes(found: list[Input]) -> int:
    """Return what inputs weigh, in the bytes that tokens are counted by; an id is a token."""
    return sum(len(each.encode()) if isinstance(each, str) else len(each) * BYTES_PER_TOKEN for each in found)


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and set(map(type, value)) == {int} and min(value) >= 0
