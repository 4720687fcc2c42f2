"""`POST /v1/chat/completions` as raw ASGI: the adapter between the server and the exchange, which knows no ASGI."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import orjson

from proxy.exchange import Inbound, Reply, serve
from proxy.streaming import Relay
from proxy.wire import errors, headers
from proxy.wire.errors import Malformed, ProxyError, TooLarge, Unavailable
from proxy.world import World

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_DEADLINE_S = 30.0
"""For a whole body to arrive: 16 MiB at 5 Mbit/s. Bounds clients that trickle."""

log = logging.getLogger("penstock")


async def chat_completions(world: World, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request, whatever happens to it."""
    if world.exchanges_open >= world.settings.server.exchanges_max:
        await _send_whole(send, _rendered(world, Unavailable("Too many requests are open; try again shortly.")))
        return
    world.exchanges_open += 1
    try:
        reply = await _answer(world, scope, receive)
        if reply.relay is None:
            await _send_whole(send, reply)
        else:
            await _send_stream(reply, reply.relay, receive, send)
    finally:
        world.exchanges_open -= 1


async def _answer(world: World, scope: Scope, receive: Receive) -> Reply:
    """Return the reply, or the error as one. Once a reply has begun an error can only be an event of its stream."""
    try:
        return await _reply(world, scope, receive)
    except ProxyError as error:
        return _rendered(world, error)
    except asyncio.CancelledError:
        # The server cancels what outlasts its grace; the exchange is closed, and the caller is told.
        if not world.is_closing:
            raise
        return _rendered(world, Unavailable("The server is shutting down."))
    except Exception:
        # A bug of ours: the books were closed on the way up; the caller learns only that it was us.
        log.exception("an exchange failed")
        return _rendered(world, ProxyError("The proxy failed; this is a bug."))


async def _reply(world: World, scope: Scope, receive: Receive) -> Reply:
    found: dict[bytes, bytes] = dict(scope["headers"])
    principal = world.identity.authenticate(found)
    body = await _body(found, receive, world.settings.server.body_bytes_max)
    # From here on the caller waits for us, and not we for the caller.
    return await serve(world, principal, Inbound(found, body), time.perf_counter())


async def _body(found: Mapping[bytes, bytes], receive: Receive, bytes_max: int) -> bytes:
    """Return the whole body.

    Raises:
        TooLarge: at the limit, without reading on.
        Malformed: the client stopped sending.
    """
    if found.get(b"content-encoding", b"identity") != b"identity":
        raise Malformed("Compressed bodies are not accepted.")
    stated = found.get(b"content-length", b"0")
    if len(stated) > 12 or (stated.isdigit() and int(stated) > bytes_max):
        raise TooLarge(f"The body is larger than {bytes_max} bytes.")
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Malformed("The client left before its body was complete.")
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                if size > bytes_max:
                    raise TooLarge(f"The body is larger than {bytes_max} bytes.")
                if not message.get("more_body"):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        raise Malformed("The body did not arrive in time.") from None


async def _send_whole(send: Send, reply: Reply) -> None:
    length = (b"content-length", b"%d" % len(reply.body))
    await send({"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, length]})
    await send({"type": "http.response.body", "body": reply.body})


def _rendered(world: World, error: ProxyError) -> Reply:
    world.refuse(error.reason)
    return Reply(error.status, [headers.JSON, *errors.headers(error)], orjson.dumps(errors.openai_body(error)))


async def _send_stream(reply: Reply, relay: Relay, receive: Receive, send: Send) -> None:
    # Learns that the client left while we wait for the provider.
    watch = asyncio.ensure_future(_watch(receive, relay))
    try:
        await relay.run(_Client(send, reply))
        await send({"type": "http.response.body", "body": b""})
    finally:
        watch.cancel()


async def _watch(receive: Receive, relay: Relay) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    relay.left()


class _Client:
    """The outlet of a relay: the connection to the caller."""

    __slots__ = ("_reply", "_send")

    def __init__(self, send: Send, reply: Reply) -> None:
        self._send, self._reply = send, reply

    async def open(self) -> None:
        """Send status and headers."""
        await self._send({"type": "http.response.start", "status": self._reply.status, "headers": self._reply.headers})

    async def send(self, data: bytes) -> None:
        """Send bytes; the server waits here while the caller reads slowly."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
