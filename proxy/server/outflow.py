"""What goes out on one connection, in order: whole answers together with those of others, parts of streams at once."""

from __future__ import annotations

import asyncio

from proxy.outbox import Outbox


class Outflow:
    """The writing half of a connection.

    Attributes:
        is_paused: The caller does not take its answer as fast as we write it.
    """

    __slots__ = ("_drained", "_is_leaving", "_outbox", "_transport", "is_paused")

    def __init__(self, transport: asyncio.Transport, outbox: Outbox) -> None:
        self._transport, self._outbox = transport, outbox
        self._is_leaving = self.is_paused = False
        self._drained: asyncio.Future[None] | None = None

    def leave(self, data: bytes) -> None:
        """Send a whole answer at the end of the loop's turn. Until then nothing overtakes it."""
        self._is_leaving = True
        self._outbox.put(self._write_left, data)

    def _write_left(self, data: bytes) -> None:
        self._is_leaving = False
        if not self._transport.is_closing():
            self._transport.write(data)

    def flush(self) -> None:
        """Send what is about to leave, now: the connection is about to end."""
        if self._is_leaving:
            self._outbox.flush()

    def write(self, data: bytes) -> None:
        """Send now."""
        self.flush()
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the caller has taken most of what was sent.

        Raises:
            ConnectionResetError: it left.
        """
        self._drained = self._outbox.loop.create_future()
        try:
            await self._drained
        finally:
            self._drained = None

    def resume(self) -> None:
        """The caller took most of it."""
        self.is_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def lost(self) -> None:
        """The caller is gone."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError("the caller left"))
