"""Answers in Redis, which bounds them by its own `maxmemory`. The one place that imports its client.

The client's own patience is taken from it: it asks once, within the deadline, and what is slower is away.
"""

from __future__ import annotations

from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from proxy.caching.stores.store import WRITE_S, Away

CONNECTIONS_MAX: Final = 16
VALUE_BYTES_MAX: Final = 32 * 1024 * 1024


class InRedis:
    """The backend in Redis.

    Args:
        url: Where it is: `redis://`, `rediss://` or `unix://`, with what its password is.
        whose: What keeps the keys of one Penstock from another's in the same Redis.
        deadline_s: How long one look-up may take, connecting included.
    """

    def __init__(self, url: str, whose: str, deadline_s: float) -> None:
        self._whose = whose
        self._pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url, max_connections=CONNECTIONS_MAX, timeout=deadline_s, socket_timeout=WRITE_S,
            socket_connect_timeout=deadline_s, retry=Retry(NoBackoff(), 0), client_name="penstock",
        )  # fmt: skip
        self._redis = Redis(connection_pool=self._pool)

    async def get(self, key: bytes, customer: int) -> bytes | None:
        """Return what is kept under a key."""
        try:
            found = await self._redis.get(self._name(key, customer))
        except (RedisError, OSError) as error:
            raise Away(type(error).__name__) from error
        assert not isinstance(found, str), "its client was not told to decode"
        return found

    async def put(self, key: bytes, customer: int, value: bytes, ttl_s: float) -> None:
        """Keep a value for so long."""
        if len(value) > VALUE_BYTES_MAX:
            return
        try:
            await self._redis.set(self._name(key, customer), value, px=max(round(ttl_s * 1000), 1))
        except (RedisError, OSError) as error:
            raise Away(type(error).__name__) from error

    async def close(self) -> None:
        """Hang up."""
        await self._redis.aclose()
        await self._pool.aclose()

    def _name(self, key: bytes, customer: int) -> str:
        return f"penstock:{self._whose}:answer:{customer}:{key.hex()}"
