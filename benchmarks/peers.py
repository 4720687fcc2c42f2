"""The peers: LiteLLM, which must be there, and others that may be absent. Each is fetched into a folder of its own.

What is fetched stays in `benchmarks/.peers`, which git ignores, at the version pinned here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import perf_counter

from benchmarks.process import ToolMissing, await_port, free_port, running
from benchmarks.stage import (
    SERVER_CORE,
    Providers,
    Target,
    await_answer,
    plain_environment,
    replace_started,
)

PEERS = Path(__file__).parent / ".peers"
FETCH_S_MAX = 600
LITELLM = "1.106.12"
"""The newest whose proxy installs from PyPI: later ones ask for parts that are not on the index (2026-11-27)."""
OPENTELEMETRY = "1.45.2"
"""Without it LiteLLM retries a failing import on every request, which would flatter us by 30 %."""
PORTKEY = "1.15.2"
KEY = "sk-bench"

LITELLM_CONFIG = """
model_list:
{models}
litellm_settings: {{request_timeout: 600, set_verbose: false, json_logs: true, telemetry: false{cache}}}
general_settings: {{disable_spend_logs: true, background_health_checks: false, master_key: {key}}}
"""
CACHE = ", cache: true, cache_params: {type: local, ttl: 600}"
PRODUCTION = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
HAPROXY = """
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  option http-keep-alive
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  http-reuse always
  server u 127.0.0.1:{fast} pool-max-conn -1
"""


def fetch_litellm() -> Path:
    """Return LiteLLM's environment, made at first use (about a minute, 745 MB); raises `ToolMissing`."""
    folder = PEERS / f"litellm-{LITELLM}"
    uv = str(Path(sys.executable).with_name("uv"))
    packages = [f"litellm[proxy]=={LITELLM}"] + [
        f"opentelemetry-{part}=={OPENTELEMETRY}" for part in ("api", "sdk", "exporter-otlp")
    ]
    steps = [
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin/python"), *packages],
    ]
    return _fetched(folder, steps)


def fetch_portkey() -> Path:
    """Return the folder of Portkey's gateway; raises `ToolMissing`."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise ToolMissing("node and npm are not installed")
    folder = PEERS / f"portkey-{PORTKEY}"
    return _fetched(folder, [["npm", "install", "--silent", "--prefix", str(folder), f"@portkey-ai/gateway@{PORTKEY}"]])


def _fetched(folder: Path, steps: list[list[str]]) -> Path:
    complete = folder / "complete"
    if complete.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    for step in steps:
        try:
            subprocess.run(step, check=True, capture_output=True, text=True, timeout=FETCH_S_MAX, env=environment)
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise ToolMissing(f"{folder.name} could not be fetched: {said[-1] if said else error}") from None
    complete.touch()
    return folder


@contextmanager
def litellm(folder: Path, behind: Providers, *, cache: bool = False) -> Iterator[Target]:
    """Start LiteLLM's proxy with key auth and the settings it advises for production, one worker."""
    name = "LiteLLM, cache" if cache else "LiteLLM"
    port, config = free_port(), folder / f"litellm-{cache}.yaml"
    models = [
        f"  - {{model_name: {model}, litellm_params: {{model: openai/{model}, "
        f'api_base: "{behind.url(model)}", api_key: sk-up}}}}'
        for model in behind.ports
        if model != "tls"
    ]
    config.write_text(LITELLM_CONFIG.format(models="\n".join(models), cache=CACHE if cache else "", key=KEY))
    command = [str(fetch_litellm() / "bin/litellm"), "--config", str(config), "--port", str(port),
               "--host", "127.0.0.1", "--num_workers", "1"]  # fmt: skip
    begun = perf_counter()
    with running(
        command, SERVER_CORE, log=folder / "litellm.log", environment={**plain_environment(), **PRODUCTION}
    ) as process:
        target = Target(name, f"http://127.0.0.1:{port}", process.pid, KEY)
        await_answer(target, process, within_s=120)
        yield replace_started(target, perf_counter() - begun)


@contextmanager
def haproxy(folder: Path, behind: Providers) -> Iterator[Target]:
    """Start haproxy with one thread; plain requests only."""
    if shutil.which("haproxy") is None:
        raise ToolMissing("haproxy is not installed")
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, fast=behind.ports["fast"]))
    with running(["haproxy", "-db", "-f", str(config)], SERVER_CORE, log=folder / "haproxy.log") as process:
        await_port(port, process)
        yield Target("haproxy", f"http://127.0.0.1:{port}", process.pid)


@contextmanager
def portkey(folder: Path, behind: Providers) -> Iterator[Target]:
    """Start Portkey's gateway; plain requests only."""
    script = fetch_portkey() / "node_modules/@portkey-ai/gateway/build/start-server.js"
    port = free_port()
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": behind.url("fast")}
    environment = {**os.environ, "TRUSTED_CUSTOM_HOSTS": "127.0.0.1", "NODE_ENV": "production"}
    command = ["node", str(script), f"--port={port}", "--headless"]
    begun = perf_counter()
    with running(command, SERVER_CORE, log=folder / "portkey.log", environment=environment) as process:
        target = Target("Portkey", f"http://127.0.0.1:{port}", process.pid, headers=headers)
        await_answer(target, process, within_s=30)
        yield replace_started(target, perf_counter() - begun)


OTHERS: dict[str, Callable[[Path, Providers], AbstractContextManager[Target]]] = {
    "haproxy": haproxy,
    "Portkey": portkey,
}
"""Peers that may be absent."""


def versions(*tools: str) -> dict[str, str]:
    """Return the versions of what is measured beside us: of all, or of some programs as they state them."""
    found = {} if tools else {"LiteLLM": LITELLM, "Portkey": PORTKEY}
    for tool in tools or ("nginx", "haproxy", "wrk"):
        if shutil.which(tool) is not None:
            done = subprocess.run([tool, "-v"], capture_output=True, text=True, check=False)
            found[tool] = _version((done.stdout + done.stderr).split("\n", 1)[0])
    return found


def _version(line: str) -> str:
    words = line.replace("/", " ").split()
    return next((word for word in words if word[0].isdigit() or "." in word), line)
