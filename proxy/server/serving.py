"""The server of one worker: its listening socket, its connections, and how it ends."""

from __future__ import annotations

import asyncio
import socket

from proxy.outbox import Outbox
from proxy.server.accept import Acceptor
from proxy.server.connection import Connection
from proxy.server.turn import Open, Refuse

CUT_S = 1.0
"""What requests that were cut get to say so."""


class Server:
    """Serves until `stop`; then requests under way have `grace_s` to finish."""

    def __init__(self, open_turn: Open, refuse: Refuse, grace_s: float) -> None:
        self.open_turn, self.refuse = open_turn, refuse
        self.grace_s = grace_s
        self.is_closing = False
        self.connections: set[Connection] = set()
        self.outbox: Outbox
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Accept no more, and let what is under way finish."""
        self.is_closing = True
        self._stopped.set()

    async def serve(self, listener: socket.socket) -> None:
        """Serve; return when all connections are gone."""
        self.outbox = Outbox(asyncio.get_running_loop())
        acceptor = Acceptor(listener, lambda: Connection(self))
        await self._stopped.wait()
        acceptor.close()
        listener.close()
        await self._end()

    async def _end(self) -> None:
        deadline_s = asyncio.get_running_loop().time() + self.grace_s
        for each in list(self.connections):
            each.shut_down()
        await self._all_gone(deadline_s)
        cut = [task for each in list(self.connections) if (task := each.cut()) is not None]
        if cut:
            await asyncio.wait(cut, timeout=CUT_S)
        await asyncio.sleep(0)  # what they said goes out at the end of the loop's turn
        for each in list(self.connections):
            each.abort()

    async def _all_gone(self, deadline_s: float) -> None:
        """Wait until every connection is closed, or the deadline. Once per process: asking now and then will do."""
        loop = asyncio.get_running_loop()
        while self.connections and loop.time() < deadline_s:
            await asyncio.sleep(0.02)
