"""Messages between keeper, workers and commands: one JSON object a line, over a local socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

Message = dict[str, Any]

LINE_BYTES_MAX = 64 * 1024 * 1024
"""One message. Reports over a hundred thousand customers are the largest, at some twenty megabytes."""
CHANGES_PER_MESSAGE = 5_000


class Frames:
    """One end of a message stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, message: Message) -> None:
        """Queue a message. Both ends read all the time, so the queue stays short."""
        if not self._writer.is_closing():
            self._writer.write(orjson.dumps(message) + b"\n")

    async def receive(self) -> AsyncIterator[Message]:
        """Yield messages until the other end is gone."""
        while True:
            try:
                line = await self._reader.readline()
            except (ConnectionError, ValueError):
                return
            if not line.endswith(b"\n"):
                return
            yield orjson.loads(line)

    async def close(self) -> None:
        """Flush and close."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
