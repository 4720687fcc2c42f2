"""What a caller says about answers from memory: `x-penstock-cache`, or the standard `cache-control` of a request.

The words are those of RFC 9111, 5.2.1: *no-store* neither reads nor keeps, *no-cache* asks the provider and keeps its
answer, *max-age=N* takes none that is older than N seconds. Ours are exact; of the standard header, what we do not know
is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from proxy.wire.errors import Malformed

HEADER: Final = "x-penstock-cache"
_DIGITS_MAX: Final = 9  # of seconds: thirty years


class Words(NamedTuple):
    """Whether an answer may be read, whether it may be kept, and how old one may be, in seconds; None: any age."""

    reads: bool = True
    keeps: bool = True
    age_s_max: int | None = None


UNSAID: Final = Words()


def read(headers: Mapping[bytes, bytes]) -> Words:
    """Return what the headers say.

    Raises:
        Malformed: our own header says what it cannot.
    """
    ours = headers.get(b"x-penstock-cache")
    if ours is not None:
        return _ours(ours)
    standard = headers.get(b"cache-control")
    if standard is None:
        return UNSAID
    found = UNSAID
    for word in standard.lower().split(b","):
        found = _with(found, word.strip()) or found
    return found


def _ours(value: bytes) -> Words:
    found = _with(UNSAID, value.strip().lower())
    if found is None:
        raise Malformed(f"`{HEADER}` must be `no-store`, `no-cache` or `max-age=SECONDS`.", param=HEADER)
    return found


def _with(words: Words, word: bytes) -> Words | None:
    if word == b"no-store":
        return words._replace(reads=False, keeps=False)
    if word == b"no-cache":
        return words._replace(reads=False)
    name, _, seconds = word.partition(b"=")
    if name == b"max-age" and seconds.isdigit() and len(seconds) <= _DIGITS_MAX:
        return words._replace(age_s_max=int(seconds))
    return None
