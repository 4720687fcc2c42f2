"""The seam between the server and what it serves: one request's turn, from its head to its last byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from proxy.wire.errors import ProxyError
from proxy.wire.headers import Headers


@dataclass(slots=True)
class Head:
    """A request's first lines. Header names are in lower case, in the order they came in.

    `client` is the address of the connection's other end, None where there is none.
    """

    method: bytes
    target: bytes
    headers: Headers
    version: str = "1.1"
    client: str | None = None


class Caller(Protocol):
    """The other end of the connection, for one answer: either whole, or as a stream."""

    on_left: Callable[[], None] | None
    """Called once, when the caller leaves a stream before its end, or whoever awaits `left`."""

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer; its length and the connection's fate are the server's to say."""
        ...

    def begin(self, status: int, headers: Headers) -> None:
        """Send the head of a stream.

        Raises:
            ConnectionError: the caller left.
        """
        ...

    async def send(self, data: bytes) -> None:
        """Send a part of a stream, waiting while the caller reads slowly.

        Raises:
            ConnectionError: the caller left.
            TimeoutError: it took nothing for `connection.SEND_S`.
        """
        ...

    def end(self) -> None:
        """End the stream well. A stream that is not ended is cut off, so that nobody takes it for whole."""
        ...


class Turn(Protocol):
    """One request. The server either runs it, once its body is whole or it is refused, or abandons it."""

    error: ProxyError | None
    """Why no body is read; then `run` answers with it at once."""
    bytes_max: int
    """The longest body that is read."""

    async def run(self, body: bytes, caller: Caller) -> None:
        """Answer. What it raises is a bug; the connection ends then."""
        ...

    def abandon(self) -> None:
        """The caller left before its request was whole."""
        ...


Open = Callable[[Head], Turn]
"""Begins the turn of a request whose head has come. Raises nothing."""
Refuse = Callable[[ProxyError], Turn]
"""Begins a turn for what is no request."""
