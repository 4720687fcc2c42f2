"""By which key a provider is to bring requests with the same beginning to the same of its machines.

OpenAI keeps a prompt's cache on the machine that answered, and finds it again by the prompt's beginning together with
`prompt_cache_key`; of one key it sends about fifteen requests a minute to the same machine, and spreads the rest (its
guide on prompt caching). So each customer and beginning has a key of its own, and one that is asked more often has two,
four, eight: each conversation stays with one of them. Pure but for its memory, which is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

MINUTE_NS: Final = 60_000_000_000
PER_MINUTE_MAX: Final = 15
KEPT_MAX: Final = 8_192
"""Beginnings that are remembered: some 2 MB."""
SPLIT_MAX: Final = 64
"""Into so many keys at most: beyond that the machines of a provider are many enough to find it anywhere."""


@dataclass(slots=True)
class _Beginning:
    minute: int
    count: int = 0
    keys: int = 1


class Shards:
    """What one worker has seen of how often beginnings come."""

    def __init__(self) -> None:
        self._beginnings: OrderedDict[bytes, _Beginning] = OrderedDict()

    def __len__(self) -> int:
        return len(self._beginnings)

    def key(self, owner: str, head: bytes, talk: bytes, t: int, workers: int = 1) -> str:
        """Note a request, and return its key: opaque, of 32 characters.

        Args:
            owner: Whose it is: the customer, and where the call goes.
            head: What many conversations share: tools and instructions.
            talk: What tells this conversation from others.
            t: The moment, in nanoseconds.
            workers: Among how many requests are spread.
        """
        name = blake2b(b"%d:" % len(owner) + owner.encode() + head, digest_size=16).digest()
        found = self._beginnings.setdefault(name, _Beginning(t // MINUTE_NS))
        self._beginnings.move_to_end(name)
        if len(self._beginnings) > KEPT_MAX:
            self._beginnings.popitem(last=False)
        if found.minute != t // MINUTE_NS:
            found.minute, found.count = t // MINUTE_NS, 0
        found.count += 1
        if found.count * workers > PER_MINUTE_MAX * found.keys and found.keys < SPLIT_MAX:
            found.keys *= 2  # never fewer again: a conversation would change its machine once more
        at = int.from_bytes(blake2b(talk, digest_size=8).digest(), "little") % found.keys
        return blake2b(b"%d" % at, key=name, digest_size=16).hexdigest()
