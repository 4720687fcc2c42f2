"""The metrics listener: answers `GET /metrics` from the keeper's own loop, on a port of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from proxy.telemetry.metrics import CONTENT_TYPE

HEAD_BYTES_MAX = 16 * 1024
HEAD_DEADLINE_S = 10.0


class MetricsListener:
    """A small HTTP/1.1 server for one path; each connection serves one request."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render = render
        self._server: asyncio.Server | None = None

    async def open(self, listener: socket.socket) -> None:
        """Serve on a bound socket."""
        self._server = await asyncio.start_server(self._answer, sock=listener, limit=HEAD_BYTES_MAX)

    async def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_DEADLINE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._reply(head))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that sends no request gets no answer
        finally:
            writer.close()

    def _reply(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path != b"/metrics":
            return _response(b"404 Not Found", b"text/plain", b"The metrics are at /metrics.\n", is_head=False)
        if method not in {b"GET", b"HEAD"}:
            return _response(b"405 Method Not Allowed", b"text/plain", b"", is_head=False)
        return _response(b"200 OK", CONTENT_TYPE.encode(), self._render(), is_head=method == b"HEAD")


def _response(status: bytes, content_type: bytes, body: bytes, *, is_head: bool) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, content_type, len(body)) + (b"" if is_head else body)
