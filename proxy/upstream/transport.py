"""Calls to providers over HTTP/1.1: httpx's transport interface, spoken to without its client.

It never follows a redirect, never reads a proxy or anything else from the environment, never
decodes a body, and dials the host of the request's URL and no other.
"""

import enum
import functools
import re
import ssl
from collections.abc import Mapping
from typing import Any, Final

import httpx

from proxy.upstream.body import BodyTooLarge, ResponseBody
from proxy.upstream.connection import Origin, Outgoing, StaleConnection, Waits
from proxy.upstream.pool import Pool, PoolLimits

__all__ = ["BodyTooLarge", "PoolLimits", "ResponseBody", "StaleConnection", "Transport"]

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_PORTS: Final = {"http": 80, "https": 443}
_LENGTH: Final = b"content-length: "
_BODILESS: Final = frozenset({"GET", "HEAD"})  # a length of 0 is not sent with these


class Transport(httpx.AsyncBaseTransport):
    """Sends requests over kept connections; one event loop's.

    Deadlines are the request's, in `extensions["timeout"]`, seconds by phase, as httpx's: `pool`,
    `connect`, `write`, `read`; None or missing is without end. `extensions["first_byte_timeout"]`
    takes the place of `read` until the response head is whole. `write` bounds the sending of the
    whole request, not of a part. All errors are `httpx.TransportError`s.

    Requests that share `extensions["template"]`, a dict, must be alike in all but their bodies: what they have in
    common is checked and serialised once, and kept in it.

    Args:
        tls: Whom to trust, and how; by default the system's authorities, names verified, HTTP/1.1.
        limits: How many connections, and for how long.
        retry_stale: Send once more, on another connection, when a connection that had been idle
            was closed or reset by the peer within `STALE_WINDOW_S` and without one byte of an
            answer. The peer had then closed it before our request came, all but surely: RFC 9110,
            9.2.2 allows this for idempotent requests, and our POSTs are not. So a call may, very
            rarely, run twice at the provider; without it every close that crosses a request fails
            one. nginx and httpcore draw the line close by.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        limits: PoolLimits | None = None,
        retry_stale: bool = True,
    ) -> None:
        self._pool = Pool(PoolLimits() if limits is None else limits, _default_tls() if tls is None else tls)
        self._retry_stale = retry_stale
        self.stale_retries = 0

    @property
    def connections_opened(self) -> int:
        """Connections opened since the start."""
        return self._pool.opened

    @property
    def connections_reused(self) -> int:
        """Exchanges begun on a connection that had served before."""
        return self._pool.reused

    @property
    def active(self) -> int:
        """Connections with an exchange under way, or being opened."""
        return self._pool.active

    @property
    def idle(self) -> int:
        """Connections ready for the next exchange."""
        return self._pool.idle

    @property
    def waiting(self) -> int:
        """Requests in line for a connection."""
        return self._pool.waiting

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return the response when its head is whole.

        Read its `stream` (a `ResponseBody`) to the end or close it: until then a connection is
        taken.

        Raises:
            httpx.LocalProtocolError: The request cannot be sent as it is; nothing was.
            httpx.UnsupportedProtocol: Its URL is neither http nor https, or has no host.
            httpx.TransportError: The phase that failed, by its class.
        """
        outgoing, origin, waits = _prepared(request)
        connection = self._pool.reuse(origin)
        if connection is None:
            connection = await self._pool.acquire(origin, waits)
        try:
            return await connection.exchange(outgoing, waits)
        except StaleConnection:
            if not self._retry_stale:
                raise
        self.stale_retries += 1
        connection = await self._pool.acquire(origin, waits)
        return await connection.exchange(outgoing, waits)

    async def aclose(self) -> None:
        """Close every connection; exchanges under way fail with `httpx.ReadError`."""
        await self._pool.aclose()


class _Role(enum.Enum):
    PLAIN = enum.auto()
    HOST = enum.auto()
    LENGTH = enum.auto()
    REFUSED = enum.auto()


@functools.lru_cache(maxsize=512)
def _role(name: bytes) -> _Role:
    """What a header's name means to the framing, or that it is no name at all."""
    match name.lower():
        case b"host":
            return _Role.HOST
        case b"content-length":
            return _Role.LENGTH
        case b"transfer-encoding":
            return _Role.REFUSED
    return _Role.PLAIN if _TOKEN.fullmatch(name) else _Role.REFUSED


def _default_tls() -> ssl.SSLContext:
    tls = ssl.create_default_context()
    tls.set_alpn_protocols(["http/1.1"])
    return tls


@functools.lru_cache(maxsize=512)
def _origin(scheme: str, host: bytes, port: int | None) -> Origin:
    if scheme not in _PORTS or not host:
        raise httpx.UnsupportedProtocol("a URL to call needs http or https, and a host")
    return Origin(scheme == "https", host.decode("ascii"), _PORTS[scheme] if port is None else port)


def _waits(extensions: Mapping[str, Any]) -> Waits:
    by_phase = extensions.get("timeout", {})
    read_s = by_phase.get("read")
    return _cached_waits(
        by_phase.get("pool"),
        by_phase.get("connect"),
        by_phase.get("write"),
        extensions.get("first_byte_timeout", read_s),
        read_s,
    )


_cached_waits = functools.lru_cache(maxsize=64)(Waits)


def _prepared(request: httpx.Request) -> tuple[Outgoing, Origin, Waits]:
    """What goes on the wire, where to, and for how long."""
    kept: dict[str, tuple[bytes, Origin, Waits]] | None = request.extensions.get("template")
    if kept and (body := _body(request)):
        lines, origin, waits = kept["head"]
        return Outgoing(b"%b%d\r\n\r\n" % (lines, len(body)), body, False), origin, waits
    outgoing = _outgoing(request)
    origin = _origin(request.url.scheme, request.url.raw_host, request.url.port)
    waits = _waits(request.extensions)
    if kept is not None and outgoing.body:
        kept["head"] = outgoing.head[: outgoing.head.rindex(_LENGTH) + len(_LENGTH)], origin, waits
    return outgoing, origin, waits


def _body(request: httpx.Request) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead:
        raise httpx.LocalProtocolError("a request's body is sent as bytes, not streamed") from None


def _outgoing(request: httpx.Request) -> Outgoing:
    """Serialise a request, or refuse it: what is sent must parse as what was meant."""
    method, body = request.method, _body(request)
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii", "replace"), request.url.raw_path)]
    if lines[0].count(b" ") != 2 or _role(method.encode("ascii", "replace")) is not _Role.PLAIN:
        raise httpx.LocalProtocolError("the method or the target of the request is not valid")
    lines += _header_lines(request)
    if body or method not in _BODILESS:
        lines.append(_LENGTH + b"%d" % len(body))
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    ends = len(lines) + 1
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise httpx.LocalProtocolError("a header's value holds a line break or a NUL")
    return Outgoing(head, body, method == "HEAD")


def _header_lines(request: httpx.Request) -> list[bytes]:
    """The headers given, but for the length, which is ours to say; `host` exactly once."""
    lines: list[bytes] = []
    hosts = 0
    for name, value in request.headers.raw:
        role = _role(name)
        if role is _Role.PLAIN:
            lines.append(name + b": " + value)
        elif role is _Role.HOST:
            hosts += 1
            lines.append(name + b": " + value)
        elif role is _Role.REFUSED:
            raise httpx.LocalProtocolError("a header's name is not valid, or not for callers")
    if hosts == 0:
        lines.insert(0, b"host: " + request.url.netloc)
    if hosts > 1:
        raise httpx.LocalProtocolError("the request has more than one host header")
    return lines
