"""Posts what we tell others to the one address that the configuration states for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx

from proxy.upstream.pool import PoolLimits
from proxy.upstream.transport import Transport

AT_ONCE = 4
"""Connections: alerts are few, and whoever takes them in is one address."""


class PostFailed(Exception):
    """Nobody can say that it arrived; the text is the phase that failed, in a word or two."""


class Poster:
    """Posts bodies over kept connections of one loop; follows no redirect, reads no proxy from the environment."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = PoolLimits(connections_max=AT_ONCE, per_origin_max=AT_ONCE, idle_per_origin_max=AT_ONCE)
        self._transport = Transport(limits=limits) if transport is None else transport

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> int:
        """Return the status of the answer, whose body nobody reads.

        Raises:
            PostFailed: there was no answer in time.
        """
        request = httpx.Request("POST", url, headers=headers, content=body)
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._transport.handle_async_request(request)
                await response.aclose()
        except TimeoutError:
            raise PostFailed("timeout") from None
        except httpx.TransportError as error:
            raise PostFailed(type(error).__name__) from None
        return response.status_code

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()
