"""One HTTP exchange over raw ASGI: read, answer, wait, and notice that the client left."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from simulator.errors import ApiError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

BODY_BYTES_MAX: Final = 64 * 1024 * 1024
"""OpenAI takes images of up to 50 MB in a request; this leaves room for the rest."""

_SENDS_PER_YIELD: Final = 16  # without pauses the loop must still get to see a client leave


class ClientLeftError(Exception):
    """The client closed the connection before the answer was complete."""


class AbortedError(ConnectionResetError):
    """Leaves the application so that the server closes the connection in the middle."""


class Connection:
    """One request and its response.

    Args:
        scope: ASGI's description of the request.
        receive: Where its body and the disconnect come from.
        send: Where the response goes.
    """

    def __init__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self._send = send
        self._gone = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._sends = 0

    async def body(self) -> bytes:
        """Read the whole request body.

        Raises:
            ApiError: It is longer than `BODY_BYTES_MAX` (413).
            ClientLeftError: The client left while sending it.
        """
        parts: list[bytes] = []
        size_bytes, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            parts.append(message.get("body", b""))
            size_bytes += len(parts[-1])
            if size_bytes > BODY_BYTES_MAX:
                raise ApiError(413, f"Request body is larger than {BODY_BYTES_MAX} bytes.")
            more = message.get("more_body", False)
        return b"".join(parts)

    async def respond(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Send a whole response; it is JSON unless `headers` say otherwise."""
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.send(body, more=False)

    async def start(self, status: int, headers: Headers) -> None:
        """Send status and headers."""
        named = list(headers)
        if not any(name == b"content-type" for name, _ in named):
            named.append((b"content-type", b"application/json"))
        await self._send({"type": "http.response.start", "status": status, "headers": named})

    async def send(self, body: bytes, *, more: bool) -> None:
        """Send a piece of the body.

        Raises:
            ClientLeftError: The client is known to have left.
        """
        if self._gone.is_set():
            raise ClientLeftError
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._sends += 1
        if self._sends % _SENDS_PER_YIELD == 0:
            await asyncio.sleep(0)

    async def wait_until(self, at_s: float) -> None:
        """Wait for a time on the loop's clock; return at once if it has passed.

        Raises:
            ClientLeftError: The client left first.
        """
        delay_s = at_s - asyncio.get_running_loop().time()
        if delay_s <= 0:
            return
        self.watch()
        try:
            async with asyncio.timeout(delay_s):
                await self._gone.wait()
        except TimeoutError:
            return
        raise ClientLeftError

    async def wait_for_leaving(self) -> None:
        """Wait, however long, until the client leaves.

        Raises:
            ClientLeftError: Always; it is how this ends.
        """
        self.watch()
        await self._gone.wait()
        raise ClientLeftError

    def watch(self) -> None:
        """Begin to look out for the client's leaving; only once the body was read."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()

    def close(self) -> None:
        """Stop looking out."""
        if self._watch is not None:
            self._watch.cancel()
