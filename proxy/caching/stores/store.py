"""A store of answers as a worker sees it: what it does not give in time, or not as it was kept, it does not have.

Nothing waits for it longer than the deadline, and nobody at all for a while after it failed. What is kept is written
behind the answer, by so many writes at once; what comes meanwhile is not kept.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final, Protocol

from proxy.caching.answers import Kept
from proxy.caching.stores import envelope

ASKING_MAX: Final = 256
"""Look-ups at once. Whoever comes meanwhile asks the provider: a store that is so far behind is no help."""
WRITES_MAX: Final = 64
"""Writes at once."""
WRITES_BYTES_MAX: Final = 16 * 1024 * 1024
"""What waits to be written: one answer may take megabytes."""
WRITE_S: Final = 5.0
REST_S: Final = 1.0
"""How long a store that failed, or was late, is not asked."""


class Away(Exception):
    """The store cannot be reached, or cannot do it now."""


class Backend(Protocol):
    """What a store is made of: a map from keys to bytes, which forgets."""

    async def get(self, key: bytes, customer: int) -> bytes | None:
        """Return what is kept under a key.

        Raises:
            Away: it cannot be told.
        """
        ...

    async def put(self, key: bytes, customer: int, value: bytes, ttl_s: float) -> None:
        """Keep a value for so long, or drop it where it is too large.

        Raises:
            Away: it was not kept.
        """
        ...

    async def close(self) -> None:
        """Let go of it. Nothing is asked any more."""
        ...


class Store:
    """One worker's side of a store.

    Args:
        backend: Where values lie.
        secret: What envelopes are sealed with.
        deadline_s: How long a look-up may take.
    """

    def __init__(self, backend: Backend, secret: bytes, deadline_s: float) -> None:
        self._backend, self._secret, self._deadline_s = backend, secret, deadline_s
        self._rests_until = float("-inf")
        self._asking = 0
        self._writes: set[asyncio.Task[None]] = set()
        self._waiting_bytes = 0
        self.counts: Counter[str] = Counter()
        """What happened since it was last told, by a closed word."""

    async def find(self, key: bytes, customer: int, since_t: int, within_s: float) -> Kept | None:
        """Return the customer's answer under a key, unless it is older than `since_t` (ns) or does not come in time."""
        if time.monotonic() < self._rests_until or self._asking >= ASKING_MAX:
            self.counts["unasked"] += 1
            return None
        self._asking += 1
        try:
            async with asyncio.timeout(min(self._deadline_s, within_s)):
                found = await self._backend.get(key, customer)
        except TimeoutError:
            if within_s < self._deadline_s:  # its caller is in a hurry: that says nothing of the store
                self.counts["late"] += 1
            else:
                self._rest("late")
            return None
        except Away:
            self._rest("away")
            return None
        finally:
            self._asking -= 1
        if found is None:
            self.counts["miss"] += 1
            return None
        answer = envelope.opened(self._secret, key, customer, found)
        if answer is None:
            self.counts["refused"] += 1
            return None
        self.counts["hit" if answer.t >= since_t else "old"] += 1
        return answer if answer.t >= since_t else None

    def keep(self, key: bytes, answer: Kept, ttl_s: float) -> None:
        """Have an answer written; where too many wait, or too much, or the store rests, it is not."""
        is_full = len(self._writes) >= WRITES_MAX or self._waiting_bytes + len(answer.body) > WRITES_BYTES_MAX
        if is_full or time.monotonic() < self._rests_until:
            self.counts["unwritten"] += 1
            return
        self._waiting_bytes += len(answer.body)
        task = asyncio.ensure_future(self._write(key, answer, ttl_s))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _write(self, key: bytes, answer: Kept, ttl_s: float) -> None:
        try:
            async with asyncio.timeout(WRITE_S):
                sealed = envelope.sealed(self._secret, key, answer)
                await self._backend.put(key, answer.customer, sealed, ttl_s)
            self.counts["kept"] += 1
        except (TimeoutError, Away):
            self._rest("unwritten")
        finally:
            self._waiting_bytes -= len(answer.body)

    def _rest(self, why: str) -> None:
        self.counts[why] += 1
        self._rests_until = time.monotonic() + REST_S

    async def close(self) -> None:
        """Finish what is being written, and let go."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=WRITE_S)
        await self._backend.close()
