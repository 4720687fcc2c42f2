"""Accepts connections in bursts.

The event loop's own server takes one connection per turn. Under load a turn is tens of milliseconds, so of 256 clients
that arrive together the last waited four seconds for its first answer while the first were served sixty times. Taking
all that wait, up to a bound, makes it fair.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

ACCEPTS_PER_TURN = 256
"""Some 5 ms of work: more would make those already connected wait."""
RETRY_S = 0.5
"""When the process is out of descriptors: wait for some to close, as every server does."""


class Acceptor:
    """Hands each connection of a listening socket to a protocol of its own."""

    def __init__(self, listener: socket.socket, new_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener, self._new_protocol = listener, new_protocol
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._is_open = True
        self._watch()

    def close(self) -> None:
        """Accept no more; connections stay."""
        self._is_open = False
        self._loop.remove_reader(self._listener.fileno())

    def _watch(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(self._listener.fileno())
                self._loop.call_later(RETRY_S, self._watch)
                return
            self._open(connection)

    def _open(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opening = self._loop.create_task(self._loop.connect_accepted_socket(self._new_protocol, connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opened)

    def _opened(self, opening: asyncio.Task[object]) -> None:
        self._opening.discard(opening)
        if not opening.cancelled():
            opening.exception()  # the peer was gone before we turned to it: nothing to do
