"""Requests that are being answered, by where their answer will be kept: who asks the same meanwhile waits for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial


class Flights:
    """The answers of one worker that are on their way. A flight lands when its exchange closes, however it closes."""

    def __init__(self) -> None:
        self._flights: dict[bytes, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def has(self, key: bytes) -> bool:
        """Tell whether somebody fetches this answer."""
        return key in self._flights

    def begin(self, key: bytes) -> partial[None]:
        """Note that somebody does; return what to call once it is over."""
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        return partial(self._land, key, flight)

    def _land(self, key: bytes, flight: asyncio.Future[None]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.done():
            flight.set_result(None)

    async def landed(self, key: bytes, within_s: float) -> None:
        """Wait until it is over, or so long. Whoever waits can be cancelled: the flight goes on."""
        flight = self._flights.get(key)
        if flight is not None and within_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await asyncio.shield(flight)
