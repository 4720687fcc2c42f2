"""A raw server whose every word a test writes, in the same event loop as the client."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import uvloop

from proxy.upstream.connection import Connection
from proxy.upstream.transport import Transport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def _on_uvloop(main):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


on_both_loops = pytest.mark.parametrize("run", [_on_uvloop, asyncio.run], ids=["uvloop", "asyncio"])


class FakeSocket:
    """A transport that takes everything and remembers what was done to it."""

    def __init__(self) -> None:
        self.is_aborted = False
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.is_aborted = True

    def get_write_buffer_size(self) -> int:
        return 0


class FakeOwner:
    """Counts what a connection reports."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def made(self, connection: Connection) -> None:
        self.events.append("made")

    def released(self, connection: Connection) -> None:
        self.events.append("released")

    def closed(self, connection: Connection) -> None:
        self.events.append("closed")

    def lost(self, connection: Connection) -> None:
        self.events.append("lost")


class Peer:
    """The server's end of one connection; `number` counts them from 0."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer

    async def request(self) -> tuple[bytes, bytes]:
        """Read one request: its head as sent, its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = [line for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
        body = await self.reader.readexactly(int(length[0][16:])) if length else b""
        return head, body

    async def send(self, data: bytes) -> None:
        """Write, waiting for the client to take it."""
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    async def answer_all(self, answer: bytes = OK) -> None:
        """Answer every request alike until the client goes."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self.request()
                await self.send(answer)

    async def gone(self) -> None:
        """Wait until the client has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """Close with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def serving(script: Callable[[Peer], Awaitable[None]], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run `script` for each connection; gives the base URL. What a script raises, this raises."""
    scripts: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scripts.append(asyncio.current_task())
        try:
            await script(Peer(len(scripts) - 1, reader, writer))
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
    finally:
        server.close()
        for task in scripts:
            task.cancel()
        outcomes = await asyncio.gather(*scripts, return_exceptions=True)
        await turns(3)  # aborted sockets leave on the loop's next turns
    failures = [o for o in outcomes if isinstance(o, Exception)]
    if failures:
        raise failures[0]


@contextlib.asynccontextmanager
async def calling(**options) -> AsyncIterator[Transport]:
    """A transport, closed at the end; an error in one of its callbacks is raised here."""
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    transport = Transport(**options)
    try:
        yield transport
    finally:
        await transport.aclose()
    assert failures == []


async def fetch(transport: Transport, url: str, method: str = "GET", **options) -> tuple[int, bytes]:
    """One exchange: status and whole body."""
    response = await transport.handle_async_request(request(url, method, **options))
    return response.status_code, await response.stream.read_body(1 << 26)


async def failure(transport, url, **options) -> Exception:
    """The error that one exchange ends with."""
    with pytest.raises(httpx.TransportError) as caught:
        await fetch(transport, url, **options)
    assert transport.active == 0
    return caught.value


def request(url: str, method: str = "GET", **options) -> httpx.Request:
    """A request whose phases may each take 5 s, unless it says otherwise."""
    waits = {"pool": 5, "connect": 5, "write": 5, "read": 5} | options.pop("timeout", {})
    return httpx.Request(method, url, extensions={"timeout": waits} | options.pop("extensions", {}), **options)


async def turns(count: int) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something has come about; the test's own limit ends a vain wait."""
    while not condition():
        await turns(1)
