"""One worker process as the keeper sees it: its child process, its line, its journal, its leases."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from proxy.keeper.frames import CHANGES_PER_MESSAGE, LINE_BYTES_MAX, Frames, Message
from proxy.limits.shares import Name

ACK_DEADLINE_S = 5.0
RECALL_DEADLINE_S = 1.0
"""A worker answers at its loop's next turn; under a stampede a turn can take long."""

Ask = Callable[["Worker", Message], Awaitable[Any]]


class Worker:
    """A child process and the line to it."""

    def __init__(self, process: subprocess.Popen[bytes], frames: Frames) -> None:
        self.process, self.frames = process, frames
        self.journal: str | None = None
        self.is_up = False
        self.is_broken = False
        self.resting: list[str] = []
        self._heard_s = time.monotonic()
        self.version: str | None = None
        """The configuration it serves, once it was told to read one."""
        self._acks: dict[int, asyncio.Future[None]] = {}
        self._returns: dict[int, asyncio.Future[None]] = {}
        self._shares: dict[int, asyncio.Future[int | None]] = {}
        self._numbers = count(1)

    @classmethod
    async def spawn(cls, argv: list[str], listener: socket.socket) -> Worker:
        """Start a worker in our process group, with the listening socket and one end of a line."""
        ours, theirs = socket.socketpair()
        command = [*argv, "--keeper-fd", str(theirs.fileno()), "--listen-fd", str(listener.fileno())]
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own interpreter; returns at once
            command, pass_fds=(theirs.fileno(), listener.fileno()), stdin=subprocess.DEVNULL
        )
        theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LINE_BYTES_MAX)
        return cls(process, Frames(reader, writer))

    def tell(self, changes: list[Message]) -> Awaitable[None]:
        """Tell of changes, at once: what is said after this call is heard after them.

        Await what it returns until the worker has taken them in (or is dead, or too slow to wait for).
        """
        said = []
        for start in range(0, len(changes), CHANGES_PER_MESSAGE):
            number = next(self._numbers)
            said.append(number)
            self._acks[number] = asyncio.get_running_loop().create_future()
            self.frames.send({"changes": changes[start : start + CHANGES_PER_MESSAGE], "number": number})
        return self._taken_in(said)

    async def _taken_in(self, said: list[int]) -> None:
        for number in said:
            done = self._acks[number]
            await _wait(done, ACK_DEADLINE_S)
            if not done.done():
                # It would go on serving what no longer holds, such as a revoked key.
                self.kill()
            self._acks.pop(number)

    async def reload(self, version: str) -> bool:
        """Have the worker read the configuration; True when it now serves `version`."""
        number = next(self._numbers)
        done = self._acks[number] = asyncio.get_running_loop().create_future()
        self.frames.send({"reload": version, "number": number})
        await _wait(done, ACK_DEADLINE_S)
        self._acks.pop(number, None)
        return self.version == version

    async def recall(self, customer: int) -> bool:
        """Ask a lease back; what comes was noted when this returns. False: no answer in time."""
        number = next(self._numbers)
        done = self._returns[number] = asyncio.get_running_loop().create_future()
        self.frames.send({"recall": number, "customer": customer})
        await _wait(done, RECALL_DEADLINE_S)
        self._returns.pop(number, None)
        return done.done()

    async def recall_share(self, name: Name, need: int) -> int | None:
        """Ask back what is unused of a share; it was noted when this returns.

        Returns in how long `need` may leave its window; None when it cannot say, or did not answer in time.
        """
        number = next(self._numbers)
        done: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._shares[number] = done
        self.frames.send({"recall_share": number, "name": name.text, "need": need})
        await asyncio.wait([done], timeout=RECALL_DEADLINE_S)
        self._shares.pop(number, None)
        return done.result() if done.done() else None

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.frames.send({"ping": True})

    def heard(self) -> None:
        """A sign of life came."""
        self._heard_s = time.monotonic()

    @property
    def silent_s(self) -> float:
        """How long no sign of life has come."""
        return time.monotonic() - self._heard_s

    def acknowledged(self, message: Message) -> None:
        """A change was taken in, or the configuration read."""
        self.heard()  # a sign of life, too: behind many changes a ping waits
        self.version = message.get("version", self.version)
        _finish(self._acks.get(message["ack"]))

    def returned(self, message: Message) -> None:
        """A recalled lease came back."""
        _finish(self._returns.get(message["returned"]))

    def share_returned(self, message: Message) -> None:
        """What is unused of a share came back."""
        waiting = self._shares.get(message["share"])
        if waiting is not None and not waiting.done():
            waiting.set_result(message["frees"])

    def lost(self) -> None:
        """The line is gone: nobody need wait for this worker."""
        self.is_up = False
        for waiting in [*self._acks.values(), *self._returns.values()]:
            _finish(waiting)
        for share in self._shares.values():
            if not share.done():
                share.set_result(None)

    def terminate(self) -> None:
        """Ask the process to end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.process.kill()

    async def dead(self) -> None:
        """Wait until the process is gone."""
        while self.process.poll() is None:
            await asyncio.sleep(0.02)


async def _wait(waiting: asyncio.Future[None], timeout_s: float) -> None:
    await asyncio.wait([waiting], timeout=timeout_s)


def _finish(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def listen(host: str, port: int) -> socket.socket:
    """Bind the port that all workers accept from; `OSError` when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # The kernel's bound applies below ours (net.core.somaxconn).
        listener.listen(4096)
    except OSError:
        listener.close()
        raise
    os.set_inheritable(listener.fileno(), True)
    listener.setblocking(False)
    return listener
