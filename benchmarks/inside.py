"""One worker's exchange in this process: real journal, real lease, real classifier, and a provider that is a script.

No socket and no other process, so that the same requests execute the same instructions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson

from benchmarks import load, upstream
from benchmarks.stage import ANSWER, PLANS
from margin.journal import Journal
from proxy.admission import Lease, Wallets
from proxy.api.hot import ExchangeTurn
from proxy.identity import Identity, digest
from proxy.server.turn import Head
from proxy.settings import load as load_settings
from proxy.upstream.client import Upstream
from proxy.wire.headers import Headers
from proxy.world import World

KEY = "sk-penstock-bench-0000000000000000"
CUSTOMER = 1
CREDITS_MILLI = 10**12
CHUNKS = 64
CONFIG = """
providers: {up: {dialect: openai, base_url: "http://127.0.0.1:1/v1", api_key: bench}}
models: {fast: {provider: up, model: gpt-6-luna}}
tiers: {simple: [fast], medium: [fast], complex: [fast]}
caching: {responses: {enabled: false}}
plans: plans.yaml
"""


class Keeper:
    """Lends a fortune, once."""

    def __init__(self) -> None:
        self.wallets = Wallets(self)

    async def lease(self, customer: int, need_milli: int, wish_milli: int, returned_milli: int) -> bool:
        """Lend it."""
        self.wallets.add(customer, Lease(CREDITS_MILLI, None))
        return True

    async def open_customer(self, name: str) -> None:
        """Nobody new comes."""


class Pieces(httpx.AsyncByteStream):
    """A body that is there, piece by piece."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class Script(httpx.AsyncBaseTransport):
    """A provider that answers every call alike: whole, or with an event in each piece."""

    def __init__(self) -> None:
        self._whole = [orjson.dumps(ANSWER)]
        self._events = [
            *_payloads(upstream.FIRST),
            *(_payloads(upstream.MIDDLE) * (CHUNKS - 2)),
            *_payloads(upstream.LAST),
        ]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        is_stream = b'"stream":true' in request.content
        kind = b"text/event-stream" if is_stream else b"application/json"
        pieces = self._events if is_stream else self._whole
        return httpx.Response(200, headers=[(b"content-type", kind)], stream=Pieces(pieces))


def _payloads(framed: bytes) -> list[bytes]:
    """Return what is inside the chunks of a chunked body."""
    found = []
    while framed:
        size, _, rest = framed.partition(b"\r\n")
        found.append(rest[: int(size, 16)])
        framed = rest[int(size, 16) + 2 :]
    return [each for each in found if each]


class Worker:
    """The hot route, asked as the server asks it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._bodies = {stream: load.body("fast", stream=stream) for stream in (False, True)}

    async def ask(self, *, stream: bool = False) -> int:
        """Serve one request; return the size of the answer's body. Raises `AssertionError` for any answer but 200."""
        body, caller = self._bodies[stream], Caller()
        headers = [(b"host", b"127.0.0.1:8080"), (b"content-type", b"application/json"),
                   (b"authorization", b"Bearer " + KEY.encode()), (b"content-length", b"%d" % len(body))]  # fmt: skip
        turn = ExchangeTurn(self.world, Head(b"POST", b"/v1/chat/completions", headers), "chat")
        await turn.run(body, caller)
        return caller.size


class Caller:
    """Takes what the turn sends."""

    def __init__(self) -> None:
        self.size = 0
        self.on_left: Callable[[], None] | None = None

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Take a whole answer."""
        assert status == 200, body
        self.size += len(body)

    def begin(self, status: int, headers: Headers) -> None:
        """Take the head of a stream."""
        assert status == 200

    async def send(self, data: bytes) -> None:
        """Take a part of it."""
        self.size += len(data)

    def end(self) -> None:
        """Take its end."""


@contextmanager
def worker(folder: Path) -> Iterator[Worker]:
    """Return a worker on plan `prepaid`, whose credits are enforced; its journal is in `folder`."""
    (folder / "penstock.yaml").write_text(CONFIG)
    (folder / "plans.yaml").write_text(PLANS)
    identity, keeper = Identity(), Keeper()
    identity.put_customer(CUSTOMER, "bench", "prepaid")
    identity.put_key("key_1", digest(KEY.encode()), CUSTOMER, ["serve"])
    journal = Journal(folder / "worker.journal")
    settings = load_settings(folder / "penstock.yaml", environ={})
    try:
        yield Worker(World(settings, identity, keeper.wallets, journal, Upstream(Script()), keeper))
    finally:
        journal.close()
