"""The answers of one worker, in memory, bounded by bytes; the one that was asked for longest ago goes first.

Two maps. *Answers* by what decides them: customer, route and fields. *Known* requests by their very bytes: whoever
sends them again need not be read, judged and routed again. The customer is in both keys, and again in what is stored.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from margin.usage import Usage
from proxy.caching.words import Words

OVERHEAD_BYTES: Final = 2_048
"""What an entry takes beyond its texts: the objects around them. Measured with tracemalloc, rounded up."""
FIELDS_FACTOR: Final = 4
"""A body read into Python's objects takes this many times its size, at most, for text of some length."""
SHARE_MAX: Final = 8
"""No entry may take more than one part in this many of the whole."""


class Kept(NamedTuple):
    """A whole answer as it was given first: body, what it used, who made it, for which exchange, when (ns)."""

    customer: int
    body: bytes
    usage: Usage
    deployment: str
    exchange: str
    t: int


class Resembling(NamedTuple):
    """How near the prompt is that an answer was given to, and how many such answers were checked, and were wrong."""

    score: float
    samples: int
    errors: int


class Found(NamedTuple):
    """An answer to give again, and the events of a stream. `resembling`: it was given to one that means the same."""

    kept: Kept
    events: list[bytes] | None
    resembling: Resembling | None = None


class Place(NamedTuple):
    """Where the answer to a request is kept, and where what was understood of it is; and what its caller says."""

    sight: bytes
    key: bytes
    words: Words


class Known(NamedTuple):
    """What was understood of a request under a configuration, a plan and a key's terms; `key` is its answer's."""

    customer: int
    key: bytes
    under: tuple[Any, ...]
    understood: tuple[Any, ...]


class Answers:
    """Both maps, each in the order of last use."""

    def __init__(self) -> None:
        self._answers: dict[bytes, Kept] = {}
        self._known: dict[bytes, tuple[Known, int]] = {}
        self.used_bytes = 0

    def find(self, key: bytes, customer: int, since_t: int) -> Kept | None:
        """Return the customer's answer under a key, unless it is older than `since_t`."""
        found = self._answers.get(key)
        if found is None or found.customer != customer:
            return None
        if found.t < since_t:
            return None
        # The last in a dict is the one used last.
        del self._answers[key]
        self._answers[key] = found
        return found

    def keep(self, key: bytes, answer: Kept, bytes_max: int) -> bool:
        """Keep an answer, and drop what was used longest ago, until all fits; tell whether it is kept."""
        size = len(answer.body) + OVERHEAD_BYTES
        if size * SHARE_MAX > bytes_max:
            return False
        old = self._answers.pop(key, None)
        if old is not None:
            self.used_bytes -= len(old.body) + OVERHEAD_BYTES
        self._answers[key] = answer
        self.used_bytes += size
        self._shrink(bytes_max)
        return True

    def known(self, sight: bytes, customer: int, under: tuple[Any, ...]) -> Known | None:
        """Return what is known of a request by its bytes, under the very values that it was understood under."""
        found = self._known.get(sight)
        if found is None:
            return None
        known = found[0]
        if known.customer != customer or any(a is not b for a, b in zip(known.under, under, strict=True)):
            return None
        return known

    def knows(self, sight: bytes) -> bool:
        """Tell whether a request is known by its bytes, under whatever configuration."""
        return sight in self._known

    def learn(self, sight: bytes, known: Known, body_bytes: int, bytes_max: int) -> None:
        """Know a request from here on."""
        size = body_bytes * FIELDS_FACTOR + OVERHEAD_BYTES
        if size * SHARE_MAX > bytes_max:
            return
        old = self._known.pop(sight, None)
        if old is not None:
            self.used_bytes -= old[1]
        self._known[sight] = (known, size)
        self.used_bytes += size
        self._shrink(bytes_max)

    def _shrink(self, bytes_max: int) -> None:
        while self.used_bytes > bytes_max:
            if self._known:
                _, size = self._known.pop(next(iter(self._known)))
                self.used_bytes -= size
            else:
                answer = self._answers.pop(next(iter(self._answers)))
                self.used_bytes -= len(answer.body) + OVERHEAD_BYTES

    def __len__(self) -> int:
        return len(self._answers)
