"""Regular expressions, in RE2's language (https://github.com/google/re2/wiki/Syntax): the one door to its library.

Callers may send one, and answers are long: Python's own engine takes time exponential in the text for `(a+)+$`, RE2
time linear in it for whatever is asked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

CHARS_MAX: Final = 512
"""Of one pattern: those that people write have some tens."""
MEMORY_BYTES_MAX: Final = 1 << 20
"""Of a compiled one and its states: RE2's own default is eight times as much, for sets of thousands of words."""


class Pattern:
    """A compiled expression, equal to whichever says the same."""

    __slots__ = ("_found", "text")

    def __init__(self, text: str, found: Any) -> None:
        self.text, self._found = text, found

    def is_in(self, text: str) -> bool:
        """Tell whether it is found anywhere in a text. Half a surrogate pair fits what any odd letter would."""
        return self._found.search(text.encode("utf-8", "replace")) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.text == other.text

    def __hash__(self) -> int:
        return hash((Pattern, self.text))

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


@lru_cache(maxsize=256)  # callers repeat theirs with each request
def pattern(text: str) -> Pattern:
    """Compile a pattern.

    Raises:
        ValueError: it is none; the text says why.
    """
    import re2  # a megabyte and five milliseconds that only who checks answers needs

    if not 1 <= len(text) <= CHARS_MAX:
        raise ValueError(f"must have 1 to {CHARS_MAX} characters")
    options = re2.Options()
    options.max_mem, options.log_errors = MEMORY_BYTES_MAX, False
    try:
        return Pattern(text, re2.compile(text.encode(), options))
    except re2.error as error:
        why = error.args[0]
        raise ValueError(f"is no pattern: {why.decode() if isinstance(why, bytes) else why}") from None
    except UnicodeEncodeError:
        raise ValueError("is no text") from None
