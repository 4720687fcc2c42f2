"""Everything that is not hot, served by the framework: a request as ASGI knows it, and its answer back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from proxy.api.answers import spoken_at
from proxy.api.hot import render
from proxy.server.turn import Caller, Head
from proxy.wire.errors import ProxyError
from proxy.wire.headers import Headers
from proxy.world import World

Message = MutableMapping[str, Any]
App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_OURS = frozenset({b"content-length", b"transfer-encoding", b"connection", b"date"})
"""Headers that the server says itself."""

log = logging.getLogger("penstock")


class FrameworkTurn:
    """One request for the framework."""

    __slots__ = ("_app", "_head", "_world", "bytes_max", "error")

    def __init__(self, world: World, app: App, head: Head, error: ProxyError | None = None) -> None:
        self._world, self._app, self._head = world, app, head
        self.error = error
        self.bytes_max = world.settings.server.body_bytes_max

    def abandon(self) -> None:
        """Nothing was begun."""

    async def run(self, body: bytes, caller: Caller) -> None:
        """Let the framework answer."""
        if self.error is not None:
            self._render(self.error, caller)
            return
        talk = _Talk(body, caller)
        try:
            await self._app(_scope(self._head), talk.receive, talk.send)
        except Exception:
            # A bug behind the framework, which raises it again after it has answered; the caller learns only that.
            log.exception("a request failed")
        if not talk.has_begun:
            self._render(ProxyError("The proxy failed; this is a bug."), caller)

    def _render(self, error: ProxyError, caller: Caller) -> None:
        surface = spoken_at(self._head.target.decode("latin-1"), self._head.headers)
        render(self._world, error, caller, surface)


def _scope(head: Head) -> dict[str, Any]:
    path, _, query = head.target.partition(b"?")
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": head.version,
        "method": head.method.decode("ascii", "replace"), "scheme": "http", "root_path": "", "raw_path": path,
        "path": unquote_to_bytes(path).decode("utf-8", "replace"), "query_string": query, "headers": head.headers,
        "client": None if head.client is None else (head.client, 0), "server": None,
    }  # fmt: skip


class _Talk:
    """The two functions that ASGI speaks through."""

    def __init__(self, body: bytes, caller: Caller) -> None:
        self._body: bytes | None = body
        self._caller = caller
        self._left = asyncio.Event()
        self._start: tuple[int, Headers] | None = None
        self.has_begun = self._is_streaming = False
        caller.on_left = self._left.set

    async def receive(self) -> Message:
        """The body, once; after it only the caller's leaving."""
        if self._body is None:
            await self._left.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """A whole answer goes out in one piece, any other as a stream."""
        if message["type"] == "http.response.start":
            found = [(name.lower(), value) for name, value in message["headers"]]
            self._start = message["status"], [each for each in found if each[0] not in _OURS]
        elif message["type"] == "http.response.body":
            await self._send(message.get("body", b""), is_last=not message.get("more_body", False))

    async def _send(self, data: bytes, *, is_last: bool) -> None:
        assert self._start is not None, "the framework sends a head first"
        if not self.has_begun:
            self.has_begun = True
            if is_last:
                self._caller.answer(*self._start, data)
                return
            self._is_streaming = True
            self._caller.begin(*self._start)
        if data:
            await self._caller.send(data)
        if is_last:
            self._caller.end()
