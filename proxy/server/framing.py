"""Answers as bytes: status line, headers, length or chunks. Pure, but for the date.

RFC 9112 says how a message ends: by its length, by its last chunk, or, for callers of HTTP/1.0, with the connection.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import cache, lru_cache
from http import HTTPStatus

from proxy.server.turn import Head
from proxy.wire.headers import Headers

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODILESS = frozenset({204, 304})


def whole(status: int, headers: Headers, body: bytes, head: Head | None, *, is_kept: bool) -> bytes:
    """Return an answer in one piece. `head` is the request's, None when it was none."""
    lines = _head(status, headers, head, is_kept=is_kept)
    if status in _BODILESS:
        return lines + b"\r\n"
    if head is not None and head.method == b"HEAD":
        return b"%bcontent-length: %d\r\n\r\n" % (lines, len(body))
    return b"%bcontent-length: %d\r\n\r\n%b" % (lines, len(body), body)


def stream(status: int, headers: Headers, head: Head | None, *, is_kept: bool) -> bytes:
    """Return the head of a stream."""
    if is_chunked(head):
        return _head(status, headers, head, is_kept=is_kept) + b"transfer-encoding: chunked\r\n\r\n"
    return _head(status, headers, head, is_kept=False) + b"\r\n"


def part(data: bytes, head: Head | None) -> bytes:
    """Return a part of a stream's body; an empty one says nothing, as it would end the stream."""
    if not data or not is_chunked(head):
        return data
    return b"%x\r\n%b\r\n" % (len(data), data)


def last(head: Head | None) -> bytes:
    """Return what ends a stream."""
    return b"0\r\n\r\n" if is_chunked(head) else b""


def is_chunked(head: Head | None) -> bool:
    """Tell whether the caller understands chunks."""
    return head is None or head.version != "1.0"


def _head(status: int, headers: Headers, head: Head | None, *, is_kept: bool) -> bytes:
    lines = [_status_line(status), _date(int(time.time()))]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    if not is_kept:
        lines.append(b"connection: close\r\n")
    elif not is_chunked(head):
        lines.append(b"connection: keep-alive\r\n")
    return b"".join(lines)


@cache
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode())


@lru_cache(maxsize=1)
def _date(now_s: int) -> bytes:
    """Return the header, which is the same for a second."""
    return b"date: %b\r\n" % formatdate(now_s, usegmt=True).encode()
