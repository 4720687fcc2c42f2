"""Sends one request to one deployment and hands back its answer, with a deadline on every wait.

Spoken to httpx's transport interface directly: its client object on top costs more than the rest of the exchange.
Errors say what is known of the bill: `Unsent` was never with the provider; after `Lost` nobody can know.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import httpx

from proxy.settings import Deployment, Provider, Timeouts
from proxy.upstream.body import ResponseBody
from proxy.upstream.borrowed import NOWHERE, Borrowed
from proxy.upstream.dialects import DIALECTS, request_path

ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""A plain answer. A hundred thousand tokens are half a megabyte; images as base64 are the large ones."""
ERROR_BYTES_MAX = 256 * 1024
CALL_ID_MAX = 256
"""Characters of a call's id that are kept; providers' have some tens."""


class CallFailed(Exception):
    """A call that brought no answer. `phase` is a closed word: connect, first_byte, idle, total, cut, too_large."""

    def __init__(self, phase: str, *, late: bool) -> None:
        super().__init__(phase)
        self.phase, self.late = phase, late


class Unsent(CallFailed):
    """The provider never had the request: it costs nothing."""


class Lost(CallFailed):
    """The provider had the request and may bill for it."""


class NoStream(Lost):
    """It answered a stream's request with a page, or with all at once: nothing of that can be relayed."""

    def __init__(self) -> None:
        super().__init__("no stream", late=False)


class Answer:
    """A provider's answer whose head has arrived."""

    __slots__ = ("_response", "status", "timeouts")

    def __init__(self, response: httpx.Response, timeouts: Timeouts) -> None:
        self._response = response
        self.status = response.status_code
        self.timeouts = timeouts

    def header(self, name: str) -> bytes | None:
        """Return a header's value."""
        value = self._response.headers.get(name)
        return None if value is None else value.encode(self._response.headers.encoding)

    @property
    def call_id(self) -> str | None:
        """The provider's id of the call by its headers: what OpenAI's embeddings have no other place for."""
        told = self.header("x-request-id")
        return None if told is None else told.decode("ascii", "replace")[:CALL_ID_MAX]

    @property
    def is_stream(self) -> bool:
        """Whether it may be a stream: not where the provider says that it is a page or an object."""
        return not (self.header("content-type") or b"").lower().startswith((b"text/html", b"application/json"))

    async def read(self, bytes_max: int = ANSWER_BYTES_MAX, within_s: float = math.inf) -> bytes:
        """Return the whole body, within `within_s`; no wait, and no deadline to set, when it came along with the head.

        Raises:
            Lost: it broke off, came too slowly, or is larger than `bytes_max`.
        """
        stream = self._response.stream
        whole = stream.whole() if isinstance(stream, ResponseBody) else None
        if whole is not None and len(whole) <= bytes_max:
            return whole
        try:
            async with asyncio.timeout(min(self.timeouts.total_s, within_s)):
                return await self._read(bytes_max)
        except TimeoutError:
            raise Lost("total", late=True) from None

    async def _read(self, bytes_max: int) -> bytes:
        parts, size = [], 0
        async for part in self.parts():
            parts.append(part)
            size += len(part)
            if size > bytes_max:
                await self.close()
                raise Lost("too_large", late=False)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive.

        Raises:
            Lost: the connection broke, or nothing came for the idle deadline.
        """
        stream = self._response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        try:
            async for part in stream:
                yield part
        except httpx.TimeoutException:
            raise Lost("idle", late=True) from None
        except (httpx.TransportError, httpx.StreamError):
            raise Lost("cut", late=False) from None

    async def close(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        await self._response.aclose()


class Held(Answer):
    """An answer that was read before any of it goes on: whole, or up to a size. It is given once more from here."""

    __slots__ = ("_fault", "_parts", "_rest", "is_whole")

    def __init__(self, answer: Answer) -> None:
        self._response, self.status, self.timeouts = answer._response, answer.status, answer.timeouts  # noqa: SLF001
        self._parts: list[bytes] = []
        self._rest = answer.parts()
        self._fault: Lost | None = None
        self.is_whole = False

    async def take(self, bytes_max: int, within_s: float) -> bytes:
        """Read up to `bytes_max`, within `within_s`; return what came. `is_whole` tells whether it is all."""
        size = 0
        try:
            async with asyncio.timeout(min(self.timeouts.total_s, within_s)):
                async for part in self._rest:
                    self._parts.append(part)
                    size += len(part)
                    if size > bytes_max:
                        return b"".join(self._parts)
            self.is_whole = True
        except TimeoutError:
            self._fault = Lost("total", late=True)
        except Lost as lost:
            self._fault = lost
        return b"".join(self._parts)

    async def read(self, bytes_max: int = ANSWER_BYTES_MAX, within_s: float = math.inf) -> bytes:
        """Return the whole body, as `Answer.read` does."""
        if self.is_whole:
            return b"".join(self._parts)
        try:
            async with asyncio.timeout(min(self.timeouts.total_s, within_s)):
                return await self._read(bytes_max)
        except TimeoutError:
            raise Lost("total", late=True) from None

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield what was read, then what comes; raises what broke it off."""
        for part in self._parts:
            yield part
        if self._fault is not None:
            raise self._fault
        if not self.is_whole:
            async for part in self._rest:
                yield part


_Door = tuple[httpx.AsyncBaseTransport, httpx.Request]
"""Through which transport calls to a deployment go, and what they have in common."""


class Upstream:
    """The one door to providers."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self._borrowed = Borrowed()
        self._doors: dict[tuple[str, str, bool], _Door] = {}
        """By deployment, by surface, and by whether a stream is asked for."""

    async def call(
        self, deployment: Deployment, body: bytes, within_s: float = math.inf, surface: str = "chat", *,
        stream: bool = False,
    ) -> Answer:  # fmt: skip
        """Send `body`, written for a caller's surface, and return the answer once its head is here, within `within_s`.

        Raises:
            Unsent: no connection in time.
            Lost: no answer in time, or the connection broke.
            NoStream: a stream was asked for, and the answer says that it is none.
        """
        way = (deployment.name, surface, stream)
        transport, template = self._doors.get(way) or self._door(deployment, way)
        request = _copied(template, body)
        if within_s >= deployment.provider.timeouts.head_s:  # each phase is bounded by then: no timer is needed
            answer = await _call(transport, deployment.provider, request)
        else:
            try:
                async with asyncio.timeout(within_s):
                    answer = await _call(transport, deployment.provider, request)
            except TimeoutError:
                # Nobody can say how far it came: it may be billed.
                raise Lost("total", late=True) from None
        if stream and answer.status == 200 and not answer.is_stream:
            await answer.close()
            raise NoStream
        return answer

    async def fetch(self, deployment: Deployment, method: str, path: str) -> Answer:
        """Ask for what lies below the provider's address, without a body.

        Raises:
            Unsent, Lost: as `call`.
        """
        return await _call(self._transport, deployment.provider, _template(deployment, path, method))

    async def prepare(self, providers: Iterable[Provider]) -> None:
        """Load what calls to these providers need; nothing where all are called over our own transport."""
        if any(provider.enabled and provider.dialect == "litellm" for provider in providers):
            with suppress(httpx.ConnectError):  # not installed: each call says so
                await self._borrowed.load()

    def _door(self, deployment: Deployment, way: tuple[str, str, bool]) -> _Door:
        """Return through which transport a deployment is called, and what its requests have in common."""
        transport = self._borrowed if deployment.provider.dialect == "litellm" else self._transport
        door = self._doors[way] = (
            transport, _template(deployment, request_path(deployment, way[1], stream=way[2]))
        )  # fmt: skip
        return door

    def anew(self) -> Upstream:
        """Return a door over the same connections that knows no provider yet: addresses and keys may have changed."""
        fresh = Upstream(self._transport)
        fresh._borrowed = self._borrowed
        return fresh

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()
        await self._borrowed.aclose()


async def _call(transport: httpx.AsyncBaseTransport, provider: Provider, request: httpx.Request) -> Answer:
    try:
        response = await transport.handle_async_request(request)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unsent("connect", late=isinstance(error, httpx.TimeoutException)) from None
    except httpx.TimeoutException:
        raise Lost("first_byte", late=True) from None
    except httpx.TransportError:
        raise Lost("cut", late=False) from None
    return Answer(response, provider.timeouts)


def _copied(template: httpx.Request, body: bytes) -> httpx.Request:
    """Return a request: a deployment's differ in their bodies, and a copy costs a tenth of a new one."""
    request = object.__new__(httpx.Request)
    request.__dict__ |= template.__dict__  # what copying does, without asking how
    request.stream = httpx.ByteStream(body)
    request._content = body
    return request


def _template(deployment: Deployment, path: str, method: str = "POST") -> httpx.Request:
    provider = deployment.provider
    key = None if provider.api_key is None else provider.api_key.reveal()
    headers = DIALECTS[provider.dialect].request_headers(key)
    url = (provider.base_url or NOWHERE) + path
    template = httpx.Request(method, url, headers=headers, extensions=_extensions(provider))
    # The transport states each body's own length.
    template.headers.pop("content-length", None)
    return template


def _extensions(provider: Provider) -> dict[str, object]:
    limits = provider.timeouts
    waits = {"connect": limits.connect_s, "read": limits.idle_s, "write": limits.idle_s, "pool": limits.pool_s}
    return {"timeout": waits, "first_byte_timeout": limits.first_byte_s, "template": {}, "provider": provider}
