"""The proxy as a client of a provider that fails on purpose and grades how it was treated (PyPI's `llmock`).

The application in front is openai-python with its own retries, and with the one that an application must add: a stream
that ends in an error is asked for again.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import openai

from tests.e2e.polling import until
from tests.e2e.server import free_port

FAULTS: tuple[Mapping[str, Any], ...] = (
    {"type": "fail", "status": 429, "times": 1, "retry_after": 1},
    {"type": "fail", "status": 500, "times": 1},
    {"type": "fail", "status": 503, "times": 1},
    {"type": "fail", "status": 400, "times": 1},
    {"type": "fail", "status": 401, "times": 1},
    {"type": "stream_fault", "kind": "truncate", "after_chunks": 2, "times": 1},
    {"type": "stream_fault", "kind": "disconnect", "after_chunks": 2, "times": 1},
    {"type": "stream_fault", "kind": "malformed", "after_chunks": 2, "times": 1},
)


class Judge:
    """The mock that grades."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._verdict: dict[str, Any] = {}

    def drive(self, base_url: str, key: str) -> None:
        """Meet every fault through the proxy, one after the other, and keep the verdict."""
        with openai.OpenAI(base_url=base_url, api_key=key, max_retries=2) as client:
            for number, fault in enumerate(FAULTS):
                httpx.post(f"{self.url}/_llmock/scenario", json={"behaviors": [fault]}).raise_for_status()
                # Told apart by what they say, as the judge tells calls apart by their bodies.
                self._ask(client, f"fault {number}", is_streamed=fault["type"] == "stream_fault")
        self._verdict = httpx.get(f"{self.url}/_llmock/verdict").json()

    def _ask(self, client: openai.OpenAI, prompt: str, *, is_streamed: bool) -> None:
        for _ in range(2):
            with suppress(openai.APIError, ValueError):  # events that are no JSON come through as they are
                answer = client.chat.completions.create(
                    model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}], stream=is_streamed
                )
                whole = list(answer) if is_streamed else [answer]
                assert whole
                return
            if not is_streamed:
                return

    def is_content(self) -> bool:
        """Print what it found; tell whether none of it is an error."""
        told = self._verdict
        print(f"llmock: {told['calls']} calls, {told['attempts']} attempts, {told['faults_injected']} faults")
        for found in told["findings"]:
            print(f"  {found['severity']} {found['code']}: {found['title']}")
        return bool(told["passed"]) and told["faults_injected"] >= len(FAULTS)


@contextmanager
def grade(home: Path, environ: Mapping[str, str]) -> Iterator[Judge]:
    """Fetch and run the mock."""
    folder, port = home / "llmock", free_port()
    if not (folder / "bin" / "llmock").exists():
        subprocess.run(["python3", "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-qq", "llmock"], check=True)
    command = [folder / "bin" / "llmock", "serve", "-p", str(port), "--log-level", "warning"]
    with subprocess.Popen(command, env=dict(environ), stdout=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url), "llmock answers", within_s=60)
            yield Judge(url)
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/_llmock/requests", timeout=5).status_code == 200
    return False
