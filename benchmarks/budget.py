"""What each step of an exchange costs: the real worker under load in this process, sampled by a profiler of its own.

`python -m benchmarks.budget` prints µs of CPU per request by step. A second process holds the provider (a fixed answer)
and 32 callers in a closed loop, so that nothing of theirs is counted. The keeper is not here: plan `open` asks it
nothing, and what it spends on folding is the other part of `make bench-quick`'s figure.

Samples are taken every 4 ms of CPU time (the kernel counts no finer) and belong to the innermost frame that
a step claims. A sample that no step claims is the event loop's and the kernel's.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import platform
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from benchmarks.load import body
from margin.journal import Journal
from proxy import app, identity, settings
from proxy.admission import Wallets
from proxy.identity import Identity
from proxy.upstream.client import Upstream
from proxy.upstream.transport import Transport
from proxy.world import World

MODEL, CONNECTIONS, WARM_S, SECONDS = "gpt-6-luna", 32, 2.0, 12.0
INTERVAL_S = 0.004
ANSWER = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1750000000,"model":"gpt-6-luna","choices":[{"index":0,'
    b'"finish_reason":"stop","logprobs":null,"message":{"role":"assistant","content":"'
    + b"Plan B keeps the margin above 40 percent. "
    * 5
    + b'","refusal":null}}],"usage":{"prompt_tokens":537,"completion_tokens":50,"total_tokens":587,'
    b'"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}'
)
CONFIG = """
providers: {{up: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: bench}}}}
models: {{{model}: {{provider: up}}}}
tiers: {{simple: [{model}], medium: [{model}], complex: [{model}]}}
caching: {{responses: {{enabled: false}}}}
aliases: {{}}
"""

STEPS = {
    "server": ("proxy/api/", "proxy/server/", "proxy/alarm.py", "proxy/outbox.py"),
    "authenticate": ("proxy/identity/",),
    "read": ("proxy/wire/chat.py", "proxy/wire/strict.py", "proxy/wire/shapes.py", "proxy/wire/fields.py"),
    "classify": ("classifiers/",),
    "route": ("proxy/routing/", "proxy/staying.py"),
    "admit": (
        "proxy/admission.py", "proxy/life.py", "margin/records.py", "proxy/limiting.py", "proxy/limits/",
        "proxy/ceilings.py", "proxy/quote.py",
    ),
    "journal": ("margin/journal.py",),
    "call": ("proxy/upstream/", "proxy/calling.py", "proxy/sending.py", "httpx/"),
    "meter": ("proxy/metering.py", "margin/"),
    "settle": ("proxy/settlement.py",),
    "exchange, reply": ("proxy/exchange.py", "proxy/world.py", "proxy/telling.py", "proxy/repeating.py", "proxy/wire/"),
}  # fmt: skip
"""Which files a step is; the first that matches counts, innermost frame first."""
REST, COLLECTOR = "loop, kernel", "garbage"


class Profile:
    """Samples of this process, by step."""

    def __init__(self) -> None:
        self.samples: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample until the end of the block."""
        gc.callbacks.append(self._collector)
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            gc.callbacks.remove(self._collector)

    def _collector(self, phase: str, _: object) -> None:
        """From the collector. A signal that came while it ran is taken as soon as Python code runs: in here."""

    def _sample(self, _: int, frame: FrameType | None) -> None:
        self.samples[self._step(frame)] += 1

    def _step(self, frame: FrameType | None) -> str:
        if frame is not None and frame.f_code is Profile._collector.__code__:
            return COLLECTOR
        while frame is not None:
            step = _step_of(frame.f_code.co_filename)
            if step is not None:
                return step
            frame = frame.f_back
        return REST


@cache
def _step_of(path: str) -> str | None:
    return next((step for step, parts in STEPS.items() if any(part in path for part in parts)), None)


def provider_and_callers(line: Connection) -> None:
    """The other process: the provider first, then callers of the port it is told, with the key it is told."""
    uvloop.run(_provider_and_callers(line))


async def _provider_and_callers(line: Connection) -> None:
    loop = asyncio.get_running_loop()
    provider = await loop.create_server(Provider, "127.0.0.1", 0)
    line.send(provider.sockets[0].getsockname()[1])
    port, key = await loop.run_in_executor(None, line.recv)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
    sent = body(MODEL)
    head += f"content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n"
    callers = [Caller(head.encode() + sent) for _ in range(CONNECTIONS)]
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)  # type: ignore[misc]
    while await loop.run_in_executor(None, line.recv) == "count":
        line.send((sum(caller.answered for caller in callers), sum(caller.failed for caller in callers)))
    for caller in callers:
        caller.is_stopping = True
    await asyncio.sleep(0.5)


class Provider(asyncio.Protocol):
    """Answers each request with the same bytes. A request of the benchmark's size ends with a read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport, self._left = transport, 0

    def data_received(self, data: bytes) -> None:
        """Answer when the body is whole."""
        if self._left == 0:
            head, _, _ = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            self._left = len(head) + 4 + length
        self._left -= len(data)
        if self._left == 0:
            found = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
            self._transport.write(found + ANSWER)  # type: ignore[attr-defined]


class Caller(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.answered = self.failed = 0
        self.is_stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Count an answer when its last byte is here, and ask again, unless it is time to stop."""
        self.failed += data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 200")
        if data.endswith(ANSWER[-64:]):
            self.answered += 1
            if not self.is_stopping:
                self._transport.write(self._request)  # type: ignore[attr-defined]


async def measure(line: Connection, folder: Path) -> tuple[Profile, float, int]:
    """Serve the callers; return the profile, the CPU seconds and the number of requests of the measured time."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    listener.setblocking(False)
    world, key = _world(folder, line.recv())
    server = app.build(world, lambda: None, grace_s=5)
    serving = asyncio.ensure_future(server.serve(listener))
    line.send((listener.getsockname()[1], key))
    await asyncio.sleep(WARM_S)
    profile = Profile()
    before, (answered, _) = time.process_time(), await _count(line)
    with profile.running():
        await asyncio.sleep(SECONDS)
    spent, (more, failed) = time.process_time() - before, await _count(line)
    line.send("end")
    await asyncio.sleep(1)
    server.stop()
    await serving
    await world.upstream.close()
    if failed:
        raise SystemExit(f"{failed} requests failed")
    return profile, spent, more - answered


async def _count(line: Connection) -> tuple[int, int]:
    line.send("count")
    return await asyncio.get_running_loop().run_in_executor(None, line.recv)  # type: ignore[no-any-return]


def _world(folder: Path, provider_port: int) -> tuple[World, str]:
    config = folder / "budget.yaml"
    config.write_text(CONFIG.format(port=provider_port, model=MODEL))
    known = Identity()
    known.put_customer(1, "bench", "open")
    id_, key, digest = identity.new_key()
    known.put_key(id_, digest, 1, ["serve"])
    journal = Journal(folder / "worker-1.journal")
    nobody: Any = None  # plan `open` asks the keeper nothing
    loaded = settings.load(config, environ={"PENSTOCK_DATA_DIR": str(folder)})
    return World(loaded, known, Wallets(nobody), journal, Upstream(Transport()), nobody), key


def main() -> int:
    """Measure and print."""
    line, theirs = multiprocessing.Pipe()
    other = multiprocessing.get_context("spawn").Process(target=provider_and_callers, args=(theirs,), daemon=True)
    other.start()
    with tempfile.TemporaryDirectory() as folder:
        profile, spent_s, requests = uvloop.run(measure(line, Path(folder)))
    other.join(10)
    show(profile, spent_s / requests * 1e6, requests)
    return 0


def show(profile: Profile, cpu_us: float, requests: int) -> None:
    """Print the table: µs of CPU per request, by step."""
    total = profile.samples.total()
    print(f"Python {platform.python_version()}, {requests:,} requests, {total:,} samples, worker alone")
    print(f"{'step':<18}{'µs':>8}{'share':>8}")
    for step in (*STEPS, COLLECTOR, REST):
        share = profile.samples[step] / total
        print(f"{step:<18}{share * cpu_us:>8.1f}{share:>8.1%}")
    print(f"{'total':<18}{cpu_us:>8.1f}")


if __name__ == "__main__":
    sys.exit(main())
