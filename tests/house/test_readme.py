"""The README's steps, run by bash as a reader runs them, against real servers; only addresses are put in."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from tests.e2e.server import Server, clean_environ
from tests.grafana.programs import program
from tests.house.test_docs import README, Block, blocks

ROOT = README.parent
PRICES = ROOT / "tests" / "margin" / "fixtures" / "litellm.json"
NEEDS_MORE = re.compile(r"^\s*(make|docker|pip)\b", re.MULTILINE)
"""Blocks that start a server, install, or test are not run here: the demo and `serve` have their own tests."""
SAYS_NO = "prices diff"
"""Exits 1 when prices differ, as they do in the extract that stands for LiteLLM's map."""
REAL = "OPENAI_API_KEY=$(penstock keys create"
ANSWER = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "llama3.2:3b",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "bonjour"}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}  # fmt: skip


class LocalServer(BaseHTTPRequestHandler):
    """What stands for a local OpenAI-compatible server: one model, one answer, no key."""

    def do_GET(self) -> None:
        """List the model."""
        self._say({"object": "list", "data": [{"id": "llama3.2:3b", "object": "model"}]})

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["content-length"]))
        self._say(ANSWER)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _say(self, value: object) -> None:
        body = orjson.dumps(value)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def local_url() -> Iterator[str]:
    """Yield the base URL of a local server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), LocalServer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def clone(folder: Path) -> Path:
    """Make a folder look like a clone after `make setup`, with the file that the price commands read."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copy(PRICES, folder / "model_prices_and_context_window.json")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone in which the sandbox is served."""
    return clone(tmp_path_factory.mktemp("clone") / "penstock")


def readme(language: str) -> list[Block]:
    """Return the README's blocks that can be run here."""
    return [each for each in blocks(README) if each.language == language and not NEEDS_MORE.search(each.text)]


def bash(script: str, server: Server, folder: Path) -> str:
    """Run a script; return all it said. It stops at the first command that fails."""
    program("curl", "curl")
    environ = clean_environ() | server.environ | {"PATH": os.environ["PATH"], "VIRTUAL_ENV": ""}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail"], input=script, cwd=folder, env=environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def sandbox(checkout: Path) -> Iterator[Server]:
    """Yield what `make run` starts."""
    server = Server(checkout / "data", checkout / "configs" / "sandbox.yaml").start()
    yield server
    server.clear_away()


def test_the_shell_blocks_in_their_order(sandbox: Server, checkout: Path):
    """All that need no more than the sandbox, in one shell, from the first curl to the prices."""
    charged = sandbox.chat("Translate to French: good morning").headers["x-penstock-request-id"]
    shown = [each.text for each in readme("sh") if REAL not in each.text and "LOCAL_URL" not in each.text]
    script = re.sub(r"\bex_[0-9a-f]+", charged, "".join(shown))
    script = re.sub(rf"^(penstock {SAYS_NO}.*)$", r"\1 || test $? = 1", script, flags=re.MULTILINE)

    said = bash(script, sandbox, checkout)

    assert "200 OK" in said
    assert "x-penstock-tier: simple" in said
    assert f"{charged} · " in said
    assert "The books are sound" in said
    assert "initech has 600 credits available" in said  # 500 come with the plan, 100 were given
    assert "environment METRICS_PORT" in said
    assert "openai/gpt-6-luna is pinned" in said


def test_the_python_block(sandbox: Server, checkout: Path):
    """The stock client needs the two variables and nothing else."""
    (block,) = readme("python")

    done = subprocess.run(
        [sys.executable, "-c", block.text], env=clean_environ() | sandbox.sandbox_env(), cwd=checkout,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 10


def test_the_way_to_real_providers(tmp_path: Path, local_url: str):
    """A first key, a first answer and its margin, with the shipped configuration and a server that answers."""
    (block,) = [each for each in readme("sh") if REAL in each.text]
    checkout = clone(tmp_path / "penstock")
    server = Server(checkout / "books", checkout / "configs" / "penstock.yaml")
    server.environ["PENSTOCK_LOCAL_URL"] = local_url
    try:
        server.start()
        said = bash(block.text.replace("http://127.0.0.1:8080", server.origin), server, checkout)
    finally:
        server.clear_away()

    assert "x-penstock-model: llama3.2:3b" in said
    assert "bonjour" in said
    assert re.search(r"^initech +1 ", said, re.MULTILINE)
