"""What is wrong with a price file, said so that it can be put right: what was found, what may be, what is near."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from margin.costbook import CostBookError


def check_keys(raw: dict[str, Any], allowed: Sequence[str]) -> None:
    """Refuse keys that are not allowed.

    Raises:
        CostBookError: With each of them, and what it may have meant.
    """
    unknown = sorted(set(raw) - set(allowed))
    if unknown:
        found = ", ".join(f"{key}{meant(key, allowed)}" for key in unknown)
        raise CostBookError(f"found {found}; allowed are {', '.join(allowed)}")


def meant(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean …?)`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def list_of(raw: dict[str, Any], key: str) -> list[Any]:
    """Return a list, which must be there.

    Raises:
        CostBookError: It is not.
    """
    found = raw.get(key)
    if not isinstance(found, list):
        raise CostBookError(f"{key}: found {kind(found)}; a list is allowed")
    return found


def text_of(raw: dict[str, Any], key: str) -> str:
    """Return a text, which must be there and not be empty.

    Raises:
        CostBookError: It is not.
    """
    found = raw.get(key)
    if not isinstance(found, str) or not found:
        raise CostBookError(f"{key}: found {found!r}; text in quotes is allowed")
    return found


def text_or_none(raw: dict[str, Any], key: str) -> str | None:
    """Return a text that may be missing.

    Raises:
        CostBookError: It is something else.
    """
    return text_of(raw, key) if raw.get(key) is not None else None


def count_or_none(raw: dict[str, Any], key: str) -> int | None:
    """Return a positive integer that may be missing.

    Raises:
        CostBookError: It is something else.
    """
    found = raw.get(key)
    if found is not None and (type(found) is not int or found <= 0):
        raise CostBookError(f"{key}: found {found!r}; a positive integer or null is allowed")
    return found


def kind(found: object) -> str:
    """Name a JSON value's kind."""
    return "nothing" if found is None else type(found).__name__
