"""A provider for streams: fixed events at a fixed pace, as cheap as they get.

`python -m benchmarks.upstream PORT:MS:CHUNKS…`: each listener answers every POST with CHUNKS events, MS milliseconds
apart (0: all in one write), then the usage, then the end. One process and one thread; what it costs is part of the
load's core and of nobody's figures.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

import uvloop

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _framed(payload: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(payload), payload)


def _event(delta: dict[str, str], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    fields: dict[str, Any] = {
        "id": "chatcmpl-bench0000000000000000000001", "object": "chat.completion.chunk", "created": 1750000000,
        "model": "gpt-6-luna", "system_fingerprint": "fp_0000000000", "choices": [choice] if usage is None else [],
    }  # fmt: skip
    if usage is not None:
        fields["usage"] = usage
    return _framed(b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n")


FIRST = _event({"role": "assistant", "content": ""})
MIDDLE = _event({"content": " token"})
LAST = (
    _event({}, finish="stop")
    + _event({}, usage={"prompt_tokens": 480, "completion_tokens": 62, "total_tokens": 542})
    + _framed(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)


class Provider(asyncio.Protocol):
    """One connection; requests on it come one after another."""

    def __init__(self, pause_s: float, chunks: int) -> None:
        self._pause_s, self._chunks = pause_s, chunks
        self._loop = asyncio.get_running_loop()
        self._got = b""
        self._is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Send nothing more."""
        self._is_open = False

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._got += data
        while (size := self._whole()) is not None:
            self._got = self._got[size:]
            self._answer()

    def _whole(self) -> int | None:
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return None
        stated = LENGTH.search(self._got, 0, end)
        if stated is not None:
            size = end + 4 + int(stated[1])
            return size if len(self._got) >= size else None
        last = self._got.find(b"0\r\n\r\n", end + 4)  # a chunked body
        return None if last < 0 else last + 5

    def _answer(self) -> None:
        if self._pause_s == 0:
            self._transport.write(HEAD + FIRST + MIDDLE * (self._chunks - 2) + LAST)
            return
        self._transport.write(HEAD + FIRST)
        self._loop.call_later(self._pause_s, self._next, self._chunks - 2)

    def _next(self, left: int) -> None:
        if not self._is_open:
            return
        self._transport.write(MIDDLE if left > 0 else LAST)
        if left > 0:
            self._loop.call_later(self._pause_s, self._next, left - 1)


async def main(listeners: list[str]) -> None:
    """Listen until the process is ended."""
    loop = asyncio.get_running_loop()
    for listener in listeners:
        port, pause_ms, chunks = (int(each) for each in listener.split(":"))
        await loop.create_server(
            lambda pause_s=pause_ms / 1000, chunks=chunks: Provider(pause_s, chunks),  # type: ignore[misc]
            "127.0.0.1", port, backlog=4096,
        )  # fmt: skip
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
