"""Simulators as real processes, each on a port of its own."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

_DEADLINE_S = 20
_keys = itertools.count()


@dataclass(frozen=True, slots=True)
class Provider:
    """A running simulator."""

    process: "subprocess.Popen[bytes]"
    url: str
    http: httpx.Client
    sdk: OpenAI

    def chat(self, prompt: str, model: str = "gpt-6-luna", **fields: Any) -> httpx.Response:
        """Send a chat request as any client would."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}
        return self.http.post("/v1/chat/completions", json=body)

    def line(self, call_id: str) -> dict[str, Any]:
        """Return the invoice line of a call that was answered."""
        (line,) = (one for one in self.invoice() if one["call_id"] == call_id)
        return line

    def invoice(self) -> list[dict[str, Any]]:
        """Return the invoice so far."""
        return self.http.get("/_simulator/invoice").json()

    def lines_after(self, count: int) -> list[dict[str, Any]]:
        """Wait until there are more than `count` lines and return the new ones."""
        deadline_s = time.monotonic() + _DEADLINE_S
        while len(lines := self.invoice()) <= count:
            assert time.monotonic() < deadline_s, "the invoice line never came"
        return lines[count:]

    def stop(self) -> int:
        """End it the way an operator does and return its exit status."""
        self.process.terminate()
        return self.process.wait(_DEADLINE_S)


Start = Callable[..., Provider]


def _launch(invoice: Path, *arguments: str) -> Provider:
    command = [sys.executable, "-m", "simulator", "--invoice", str(invoice), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    key = f"key-{next(_keys)}"
    http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=20)
    return Provider(process, url, http, OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0))


def _shut(provider: Provider) -> None:
    provider.http.close()
    provider.sdk.close()
    provider.stop()
    assert provider.process.stdout is not None
    provider.process.stdout.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts simulators; all of them append to one invoice."""
    started: list[Provider] = []

    def launch(*arguments: str) -> Provider:
        started.append(_launch(tmp_path / "invoice.jsonl", "--speed", "0", *arguments))
        return started[-1]

    yield launch
    for provider in started:
        _shut(provider)


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """Return a simulator that does not wait, shared by the tests that leave no trace."""
    shared = _launch(tmp_path_factory.mktemp("provider") / "invoice.jsonl", "--speed", "0")
    yield shared
    _shut(shared)
