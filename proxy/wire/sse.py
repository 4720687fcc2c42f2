"""Server-sent events: finds the boundaries in a stream of bytes without touching the bytes.

`Framer` is sans-I/O: feed it what arrived, get back whole events as the bytes they came in. Line ends may be LF, CRLF
or CR, as the standard allows; an event ends at an empty line. (HTML Standard, section 9.2.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

EVENT_BYTES_MAX = 8 * 1024 * 1024
"""One event. The largest real ones carry base64 media; unbounded, a stream without line ends fills memory."""

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")
DONE = b"[DONE]"


class EventTooLarge(Exception):
    """A provider sent an event beyond `EVENT_BYTES_MAX`."""


class Framer:
    """Cuts a byte stream into whole events; what follows the last boundary waits for more."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the whole events received so far, undivided; empty when none is complete."""
        joined = self._rest + data if self._rest else data
        if joined.endswith(b"\n\n"):
            # The common case: providers flush whole events.
            self._rest = b""
            return joined
        end = _last_end(joined)
        self._rest = joined[end:]
        if len(self._rest) > EVENT_BYTES_MAX:
            raise EventTooLarge
        return joined[:end]

    @property
    def rest(self) -> bytes:
        """Bytes of an event that is not complete."""
        return self._rest


def _last_end(data: bytes) -> int:
    """Return the index after the last empty line, 0 when there is none."""
    for mark in (b"\n\n", b"\n\r\n", b"\r\r"):
        found = data.rfind(mark)
        if found >= 0:
            return max(_end_after(data, each) for each in (b"\n\n", b"\n\r\n", b"\r\r"))
    return 0


def _end_after(data: bytes, mark: bytes) -> int:
    found = data.rfind(mark)
    return 0 if found < 0 else found + len(mark)


def split(block: bytes) -> list[bytes]:
    """Return each event of whole events with its own line ends."""
    return list(events(block))


def events(block: bytes) -> Iterator[bytes]:
    """Yield them one by one."""
    start = 0
    for found in _END.finditer(block):
        yield block[start : found.end()]
        start = found.end()
    if start < len(block):
        yield block[start:]


def payload(event: bytes) -> bytes | None:
    """Return an event's data, its lines joined; None when it has none (a comment, a bare `event:` line)."""
    lines = [_value(line) for line in event.splitlines() if line.startswith(b"data")]
    values = [line for line in lines if line is not None]
    return b"\n".join(values) if values else None


def _value(line: bytes) -> bytes | None:
    name, colon, value = line.partition(b":")
    if name != b"data":
        return None
    return value.removeprefix(b" ") if colon else b""


def event(data: bytes) -> bytes:
    """Return `data` as one event."""
    return b"data: " + data + b"\n\n"


def comment(text: str) -> bytes:
    """Return a comment, which clients skip."""
    return b": " + text.encode() + b"\n\n"
