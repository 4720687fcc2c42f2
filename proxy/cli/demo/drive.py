"""Sends a demo's traffic with the `openai` client, and notes what the response headers said. Counts nothing."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from simulator.traffic import Request

if TYPE_CHECKING:
    from openai import AsyncOpenAI

SEEN_MAX = 200
"""Requests remembered for the screen; the tallest terminal shows fewer."""
OPEN_MAX = 100
"""Requests under way at once. More than ten times what a demo needs: reached only when something is stuck."""
FINISH_S = 4.0
"""How long answers under way may take at the end. The longest take about three seconds at the demo's pace."""
REST_S = 4.0
"""How long a customer without credits waits before it tries again."""
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One finished request, as its answer's headers described it.

    Args:
        customer: Whose.
        streamed: Whether the answer was streamed.
        latency_s: From sending to the last byte.
        headers: The product's own, without the prefix `x-penstock-`.
        problem: What went wrong, in words; empty when it was answered.
    """

    customer: str
    streamed: bool
    latency_s: float
    headers: Mapping[str, str]
    problem: str = ""


class Drive:
    """The customers' applications, as an async context: one client each."""

    def __init__(self, base_url: str, keys: Mapping[str, str]) -> None:
        self._base_url, self._keys = base_url, keys
        self._clients: dict[str, AsyncOpenAI] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._rests_until_s: dict[str, float] = {}
        self._began_s = time.monotonic()
        self.seen: deque[Seen] = deque(maxlen=SEEN_MAX)
        """Finished requests, the latest last."""
        self.is_ending = False

    @property
    def elapsed_s(self) -> float:
        """Seconds since traffic began."""
        return time.monotonic() - self._began_s

    async def __aenter__(self) -> Self:
        import openai

        for name, key in self._keys.items():
            # A proxy in the environment must not stand between us and our own machine.
            transport = openai.DefaultAsyncHttpxClient(trust_env=False)
            self._clients[name] = openai.AsyncOpenAI(
                base_url=self._base_url, api_key=key, timeout=TIMEOUT_S, http_client=transport
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._finish(0)
        for client in self._clients.values():
            await client.close()

    async def run(self, requests: Iterator[Request], stop: asyncio.Event, duration_s: float) -> None:
        """Send each request when it is due, until `duration_s` is over or `stop` is set; let the last ones finish."""
        self._began_s = time.monotonic()
        for request in requests:
            if await _is_set(stop, min(request.at_s, duration_s) - self.elapsed_s) or request.at_s >= duration_s:
                break
            if len(self._open) < OPEN_MAX and self._rests_until_s.get(request.customer, 0) <= time.monotonic():
                self._start(request)
        self.is_ending = True
        await self._finish(FINISH_S)

    def _start(self, request: Request) -> None:
        task = asyncio.ensure_future(self._send(request))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _finish(self, timeout_s: float) -> None:
        if not self._open:
            return
        _, late = await asyncio.wait(self._open, timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _send(self, request: Request) -> None:
        import openai

        began_s = time.monotonic()
        headers: Mapping[str, str] = {}
        problem = ""
        try:
            headers = await self._answer(request)
        except openai.APIStatusError as error:
            headers, problem = error.response.headers, _in_words(error.status_code)
            if error.status_code == 402:
                self._rests_until_s[request.customer] = time.monotonic() + REST_S
        except openai.OpenAIError:
            problem = "no answer"
        latency_s = time.monotonic() - began_s
        self.seen.append(Seen(request.customer, request.body["stream"], latency_s, _ours(headers), problem))

    async def _answer(self, request: Request) -> Mapping[str, str]:
        """Send it, read the whole answer, and return the response headers."""
        create: Any = self._clients[request.customer].chat.completions.with_raw_response.create
        raw = await create(**request.body)
        answer = raw.parse()
        if request.body["stream"]:
            async for _ in answer:
                pass
        found: Mapping[str, str] = raw.headers
        return found


async def _is_set(stop: asyncio.Event, within_s: float) -> bool:
    try:
        await asyncio.wait_for(stop.wait(), within_s)
    except TimeoutError:
        return stop.is_set()
    return True


def _ours(headers: Mapping[str, str]) -> dict[str, str]:
    prefix = "x-penstock-"
    return {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}


def _in_words(status: int) -> str:
    return "402: out of credits" if status == 402 else f"refused with {status}"
