"""The load of streams: many at a time, closed loop or each once, with the time to the first event."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks import load, meter

END = b"0\r\n\r\n"
LATE_S = 60.0
"""LiteLLM needs 27 s for the 500 slow streams that take 10; whoever needs longer than this is counted as errors."""
OPEN_AT_ONCE, OPEN_PAUSE_S = 50, 0.05


@dataclass(frozen=True, slots=True)
class Streams:
    """One run. `cpu_us`: CPU of the measured tree per event. `growth_kib`: its memory's peak over before, a stream."""

    done: int
    chunks: int
    errors: int
    wall_s: float
    first_p50_us: float
    cpu_us: float
    growth_kib: float


@dataclass(slots=True)
class _Drive:
    requests: Sequence[bytes]
    stop: float
    open: int
    done: int = 0
    chunks: int = 0
    errors: int = 0
    first_s: list[float] = field(default_factory=list)


class _Stream(asyncio.Protocol):
    """One connection: a stream, and in a closed loop the next one."""

    def __init__(self, drive: _Drive, request: bytes) -> None:
        self._drive, self._request = drive, request
        self._got = bytearray()
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    def _ask(self) -> None:
        self._started, self._has_first = time.perf_counter(), False
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._has_first and b"data:" in data:
            self._has_first = True
            self._drive.first_s.append(time.perf_counter() - self._started)
        if self._got.endswith(END) and b"data: [DONE]" in self._got[-200:]:
            self._ended()

    def _ended(self) -> None:
        self._drive.done += 1
        self._drive.chunks += self._got.count(b"data: {")
        self._got.clear()
        if time.perf_counter() < self._drive.stop:
            self._ask()
        else:
            self._is_over = True
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drive.open -= 1
        self._drive.errors += not self._is_over


def run(url: str, *, models: Sequence[str], key: str, count: int, seconds: float, pid: int | None) -> Streams:
    """Keep `count` streams going for some seconds; with 0 each runs once, and memory is watched. Models take turns."""
    before_s = 0.0 if pid is None else meter.cpu_s(pid)
    before_mib = 0.0 if pid is None else meter.resident_mib(pid)
    drive, wall_s, peak_mib = uvloop.run(
        _drive(url, [_request(url, each, key) for each in models], count, seconds, pid)
    )
    spent_s = 0.0 if pid is None else meter.settled_cpu_s(pid) - before_s
    return Streams(
        done=drive.done,
        chunks=drive.chunks,
        errors=drive.errors + drive.open,
        wall_s=wall_s,
        first_p50_us=statistics.median(drive.first_s or [0]) * 1e6,
        cpu_us=spent_s / max(drive.chunks, 1) * 1e6,
        growth_kib=(peak_mib - before_mib) * 1024 / count,
    )


def _request(url: str, model: str, key: str) -> bytes:
    body, parts = load.body(model, stream=True), urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\naccept: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _drive(
    url: str, requests: Sequence[bytes], count: int, seconds: float, pid: int | None
) -> tuple[_Drive, float, float]:
    loop, parts = asyncio.get_running_loop(), urlsplit(url)
    started = time.perf_counter()
    drive = _Drive(requests, started + seconds, count)
    peak_mib = 0.0
    for n in range(count):
        await loop.create_connection(
            lambda n=n: _Stream(drive, requests[n % len(requests)]), parts.hostname, parts.port
        )
        if n % OPEN_AT_ONCE == OPEN_AT_ONCE - 1:
            await asyncio.sleep(OPEN_PAUSE_S)
    while drive.open > 0 and time.perf_counter() < drive.stop + LATE_S:
        await asyncio.sleep(0.1 if seconds == 0 else 0.02)
        if seconds == 0 and pid is not None:
            peak_mib = max(peak_mib, meter.resident_mib(pid))
    return drive, time.perf_counter() - started, peak_mib
