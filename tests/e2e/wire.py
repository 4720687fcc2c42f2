"""HTTP by hand: for what a well-behaved client library would not send, or not do, and for many connections at once."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PATH = "/v1/chat/completions"
SILENCE_S = 20.0
DONE = b"data: [DONE]\n\n\r\n0\r\n\r\n"
"""How a stream ends that ended well: the last event, and the last chunk of no bytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer as it came; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


def request(key: str, body: bytes, *headers: str, path: str = PATH, method: str = "POST") -> bytes:
    """Return the bytes of a request whose connection ends with its answer."""
    lines = [f"{method} {path} HTTP/1.1", "host: penstock", f"authorization: Bearer {key}", "connection: close",
             "content-type: application/json", f"content-length: {len(body)}", *headers]  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(key: str, *pieces: bytes) -> bytes:
    """Return the bytes of a request that does not say how long its body is."""
    head = f"POST {PATH} HTTP/1.1\r\nhost: penstock\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head.encode() + b"transfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def chat(key: str, prompt: str, *, model: str = "auto:simple", **fields: Any) -> bytes:
    """Return the bytes of a chat request."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}
    return request(key, json.dumps(body).encode())


def send(line: socket.socket, data: bytes) -> Answer:
    """Send bytes and return the answer to them. The server may answer and hang up before it took them all in."""
    with line:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(data)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := line.recv(65_536):
                received += part
    return parse(received)


def parse(received: bytes) -> Answer:
    """Read an answer; one with chunks keeps their framing."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


async def ask(port: int, data: bytes) -> Answer:
    """Send bytes on a connection of their own and return the answer to them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    async with asyncio.timeout(SILENCE_S):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    return parse(received)


async def rush(port: int, data: bytes, count: int) -> list[Answer]:
    """Send the same request `count` times at once."""
    return await asyncio.gather(*(ask(port, data) for _ in range(count)))


def read_events(line: socket.socket, count: int) -> bytes:
    """Read until `count` events of a stream have come, or the end; return what came."""
    received = b""
    while received.count(b"data:") < count and (part := line.recv(65_536)):
        received += part
    return received


def reset(line: socket.socket) -> None:
    """Hang up with a RST, as a process that is killed with unread input does."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()
