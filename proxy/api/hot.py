"""Requests for an answer, in whatever API: the adapter between the server and the exchange, which knows no server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final

import orjson

from proxy import limiting
from proxy.exchange import Inbound, Reply, serve
from proxy.identity import Principal, customer_name
from proxy.server.turn import Caller, Head
from proxy.wire import errors, headers
from proxy.wire.errors import Malformed, ProxyError, TooLarge, Unavailable
from proxy.wire.surfaces import SURFACES
from proxy.world import World

HOT: Final[Mapping[bytes, str]] = {
    b"/v1/chat/completions": "chat", b"/v1/messages": "messages", b"/v1/responses": "responses",
    b"/v1/completions": "completions", b"/v1/embeddings": "embeddings",
}  # fmt: skip
"""The surface of each path whose POSTs the framework does not see."""

log = logging.getLogger("penstock")


class ExchangeTurn:
    """One request for an answer, whatever happens to it. The caller is authenticated before its body is read."""

    __slots__ = ("_crowded", "_headers", "_is_open", "_principal", "_surface", "_world", "bytes_max", "error")

    def __init__(self, world: World, head: Head, surface: str) -> None:
        self._world, self._headers, self._surface = world, dict(head.headers), surface
        self._principal: Principal | None = None
        self.bytes_max = world.settings.server.body_bytes_max
        self.error: ProxyError | None = None
        self._crowded: int | None = None
        """Whose place among the open requests this one holds while its body comes; from then on its ticket does."""
        self._is_open = True
        """Whether it is counted as open: who is refused takes no place from others, however slowly its body comes."""
        world.exchanges_open += 1
        try:
            self._principal = _admitted(world, self._headers, surface, head.client, self.bytes_max)
            self._crowded = _entered(world, self._principal, self._headers)
        except ProxyError as error:
            self.error = error
            self._close()

    def abandon(self) -> None:
        """Nothing was begun."""
        self._leave_crowd(is_end=True)
        self._close()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._world.exchanges_open -= 1

    def _leave_crowd(self, *, is_end: bool) -> None:
        if self._crowded is not None:
            self._world.crowd.leave(self._crowded, is_end=is_end)
            self._crowded = None

    async def run(self, body: bytes, caller: Caller) -> None:
        """Answer."""
        self._leave_crowd(is_end=False)  # it is about to enter again, with its ticket
        try:
            reply = await self._answer(body)
            if reply.relay is None:
                caller.answer(reply.status, reply.headers, reply.body)
            else:
                caller.on_left = reply.relay.left
                await reply.relay.run(_Outlet(caller, reply))
                caller.end()
        finally:
            self._close()

    async def _answer(self, body: bytes) -> Reply:
        """Return the reply, or the error as one. Once a reply has begun an error can only be an event of its stream."""
        if self.error is not None:
            return _rendered(self._world, self._surface, self.error)
        try:
            assert self._principal is not None, "who is not admitted has an error"
            # From here on the caller waits for us, and not we for the caller.
            inbound = Inbound(self._headers, body, self._surface)
            return await serve(self._world, self._principal, inbound, time.perf_counter())
        except ProxyError as error:
            return _rendered(self._world, self._surface, error)
        except asyncio.CancelledError:
            # The server cancels what outlasts its grace; the exchange is closed, and the caller is told.
            if not self._world.is_closing:
                raise
            return _rendered(self._world, self._surface, Unavailable("The server is shutting down."))
        except Exception:
            # A bug of ours: the books were closed on the way up; the caller learns only that it was us.
            log.exception("an exchange failed")
            return _rendered(self._world, self._surface, ProxyError("The proxy failed; this is a bug."))


def _admitted(
    world: World, found: Mapping[bytes, bytes], surface: str, client: str | None, bytes_max: int
) -> Principal:
    """Return who asks, if its body may be read.

    Raises:
        ProxyError: it is not, for what the head says.
    """
    if world.exchanges_open > world.settings.server.exchanges_max:
        raise Unavailable("Too many requests are open; try again shortly.", retry_after_s=world.crowd.wait_s())
    principal = world.identity.authenticate(found, surface, client, world.settings.server.trusted_proxies)
    if found.get(b"content-encoding", b"identity") != b"identity":
        raise Malformed("Compressed bodies are not accepted.")
    stated = found.get(b"content-length", b"0")
    if len(stated) > 12 or (stated.isdigit() and int(stated) > bytes_max):
        raise TooLarge(f"The body is larger than {bytes_max} bytes.")
    return principal


def _entered(world: World, principal: Principal, found: Mapping[bytes, bytes]) -> int:
    """Let a request in while its body comes, slowly perhaps; return whose it is.

    Raises:
        OverLimit: its customer has as many open as it may.
        Forbidden, Malformed: it names a customer that it may not, or none at all.
    """
    name = customer_name(found)
    # Of a customer that is not open yet the key's own stands: it is opened when the request is whole.
    whose = principal if name is None else world.identity.attributed(principal, name) or principal
    limiting.enter(world, whose.customer)
    return whose.customer


def render(world: World, error: ProxyError, caller: Caller, surface: str = "chat") -> None:
    """Answer with an error, in the words of an API."""
    reply = _rendered(world, surface, error)
    caller.answer(reply.status, reply.headers, reply.body)


def _rendered(world: World, surface: str, error: ProxyError) -> Reply:
    world.refuse(error.reason)
    body = orjson.dumps(SURFACES[surface].error_body(error))
    return Reply(error.status, [headers.JSON, *errors.headers(error)], body)


class _Outlet:
    """The outlet of a relay: the connection to the caller."""

    __slots__ = ("_caller", "_reply", "send")

    def __init__(self, caller: Caller, reply: Reply) -> None:
        self._caller, self._reply = caller, reply
        self.send = caller.send

    async def open(self) -> None:
        """Send status and headers."""
        self._caller.begin(self._reply.status, self._reply.headers)
