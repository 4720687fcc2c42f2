"""The simulator as a provider in this process: answers come piece by piece, and it learns when its client leaves."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx

from proxy.alarm import Alarm
from proxy.upstream.body import ResponseBody

Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]


class Loopback(httpx.AsyncBaseTransport):
    """Runs an ASGI app for each request, and hands its answer over in the body that production uses."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.requests: list[httpx.Request] = []
        self.left = 0
        self.running: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send; raise what a transport raises."""
        self.requests.append(request)
        exchange = _Exchange(self, request, await request.aread())
        task = asyncio.ensure_future(exchange.run(self._app))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        try:
            async with asyncio.timeout(request.extensions["first_byte_timeout"]):
                return await exchange.head
        except TimeoutError:
            exchange.abort()
            raise httpx.ReadTimeout("no answer in time") from None
        except asyncio.CancelledError:
            exchange.abort()
            raise

    async def aclose(self) -> None:
        """Wait for the app to be done with everything."""
        await asyncio.gather(*self.running)


class _Exchange:
    """One request under way; the source of its answer's body."""

    def __init__(self, provider: Loopback, request: httpx.Request, sent: bytes) -> None:
        self.loop = loop = asyncio.get_running_loop()
        self._provider, self._request, self._sent = provider, request, sent
        self.head: asyncio.Future[httpx.Response] = loop.create_future()
        self.alarm = Alarm(loop, self._silent)
        self._body = ResponseBody(self, request.extensions["timeout"]["read"])
        self._was_read = False
        self._left = asyncio.Event()

    async def run(self, app: App) -> None:
        """Serve; a connection that the app aborts is cut."""
        scope = {
            "type": "http", "method": self._request.method, "path": self._request.url.path,
            "query_string": self._request.url.query,
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
        }  # fmt: skip
        try:
            await app(scope, self._receive, self._send)
        except ConnectionResetError:
            self._break(httpx.RemoteProtocolError("cut"))
        self.alarm.stop()

    def _break(self, error: Exception) -> None:
        if not self.head.done():
            self.head.set_exception(error)
        self._body.end(error)

    def _silent(self) -> None:
        self._break(httpx.ReadTimeout("silence"))
        self.abort()

    async def _receive(self) -> Message:
        if not self._was_read:
            self._was_read = True
            return {"type": "http.request", "body": self._sent}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._left.is_set() or self.head.cancelled():
            return
        if message["type"] == "http.response.start":
            self.head.set_result(httpx.Response(message["status"], headers=message["headers"], stream=self._body))
            return
        if message["body"]:
            self._body.push(message["body"])
            # One event in a packet: the reader sees each on its own.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if not message.get("more_body") and not self._left.is_set():
            self._body.end(None)

    # ---- what a body asks of its connection ------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Nothing to pause."""

    def resume_reading(self) -> None:
        """Nothing to resume."""

    def abort(self) -> None:
        """The client leaves."""
        if not self._left.is_set():
            self._provider.left += 1
            self._left.set()
