"""`python -m tests.clients`: drives real SDKs through Penstock and says how many cases failed.

    1  the kit's cases, optional ones included, with the third-party mock behind the proxy
    2  what the mock never shows (prompt caches), with our simulator behind it
    3  how the proxy treats providers that fail, graded by another third-party mock

Everything third-party is fetched from PyPI and npm into $KIT_HOME. Exit status 0 only when nothing failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.clients.grading import grade
from tests.e2e.polling import until
from tests.e2e.server import Server, free_port

HERE = Path(__file__).parent
KIT_HOME = Path(os.environ.get("KIT_HOME", Path.home() / ".cache" / "llm-client-kit"))
PRICE = {"input": 1, "cache_read": 0.1, "cache_write": 1.25, "output": 4}
MODELS = ("gpt-4o-mini", "claude-sonnet-4-5", "text-embedding-3-small")
CALLED_AGAIN = {"health": {"rest": "1ms", "rest_max": "1ms"}}
"""One case's 429 must not keep the next one from the mock."""
START_S = 300.0
"""For fetching and starting a mock: npm may have to load it first."""


@contextmanager
def mock() -> Iterator[str]:
    """Run the kit's mock; yield its root URL."""
    port = free_port()
    with subprocess.Popen(
        [HERE / "mock" / "start.sh", str(port)], env=_environ(), stdout=subprocess.DEVNULL
    ) as process:
        try:
            until(lambda: _answers(f"http://127.0.0.1:{port}/v1/models"), "the mock answers", within_s=START_S)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


def _environ() -> dict[str, str]:
    # uv, where this environment has it, makes the clients' environments in a tenth of the time.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "KIT_HOME": str(KIT_HOME), "PATH": path}


@contextmanager
def penstock(folder: Path, providers: Mapping[str, Any], models: Mapping[str, Any]) -> Iterator[Server]:
    """Run the proxy before some providers."""
    folder.mkdir()
    chats = [name for name in models if "embedding" not in name]
    tiers = dict.fromkeys(("simple", "medium", "complex"), chats)
    path = folder / "penstock.yaml"
    written = {"providers": providers, "models": models, "tiers": tiers, "aliases": {}, "plans": None,
               "caching": {"responses": {"enabled": False}}, "routing": CALLED_AGAIN}  # fmt: skip
    path.write_text(yaml.safe_dump({name: value for name, value in written.items() if value is not None}))
    server = Server(folder / "data", path)
    server.start()
    try:
        yield server
        books = server.cli("ledger", "verify", "--json").json()
        assert books["ok"], books
    finally:
        server.clear_away()


def drive(server: Server, key: str, **settings: str) -> int:
    """Run the kit's clients; return the exit status."""
    told = {"KIT_STRICT": "1", **settings}
    command = [HERE / "run.sh", f"{server.origin}/v1", key, *sys.argv[1:]]
    return subprocess.run(command, env=_environ() | told, check=False).returncode


def behind_the_mock(folder: Path) -> int:
    """All cases, with the third-party mock as the provider."""
    with mock() as url:
        providers = {
            "mock": {"dialect": "openai", "base_url": f"{url}/v1", "api_key": "sk-good"},
            "mock-claude": {"dialect": "anthropic", "base_url": url, "api_key": "sk-good"},
        }
        models: dict[str, dict[str, Any]] = {
            name: {"provider": "mock-claude" if "claude" in name else "mock", "price": PRICE} for name in MODELS
        }
        models["text-embedding-3-small"]["price"] = {"input": 1}
        with penstock(folder, providers, models) as server:
            return drive(server, server.create_key("kit"))


def behind_the_simulator(folder: Path) -> int:
    """What only a provider with a prompt cache shows."""
    providers = {
        "openai": {"dialect": "openai", "base_url": "simulator", "api_key": "sim"},
        "anthropic": {"dialect": "anthropic", "base_url": "simulator", "api_key": "sim"},
    }
    models = {"gpt-6-luna": {"provider": "openai"}, "claude-haiku-5-5": {"provider": "anthropic"}}
    with penstock(folder, providers, models) as server:
        return drive(server, server.create_key("kit"), KIT_SIMULATOR="1", KIT_ONLY_CASES="cache.",
                     KIT_MODEL="gpt-6-luna", KIT_ANTHROPIC_MODEL="claude-haiku-5-5")  # fmt: skip


def graded(folder: Path) -> int:
    """How faults of a provider are taken, in the words of a mock that grades its clients."""
    with grade(KIT_HOME, _environ()) as judge:
        providers = {"judge": {"dialect": "openai", "base_url": f"{judge.url}/v1", "api_key": "sk-good"}}
        with penstock(folder, providers, {"gpt-4o-mini": {"provider": "judge", "price": PRICE}}) as server:
            judge.drive(f"{server.origin}/v1", server.create_key("kit"))
    return 0 if judge.is_content() else 1


def main() -> int:
    """Run all three; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="clients-") as name:
        folder = Path(name)
        failed = []
        for part in (behind_the_mock, behind_the_simulator, graded):
            print(f"=== {part.__name__.replace('_', ' ')}", flush=True)
            if part(folder / part.__name__):
                failed.append(part.__name__.replace("_", " "))
    print(f"=== {'not ok: ' + ', '.join(failed) if failed else 'all ok'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
