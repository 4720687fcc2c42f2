"""What is measured against what: an upstream with a fixed answer, nginx as a plain reverse proxy, and Penstock.

Servers under test run on one core, upstream and load on another. All of it is on loopback and ends with the context.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
TOOLS = ("nginx", "wrk", "taskset")
MODEL = "gpt-6-luna"
ANSWER = {
    "id": "chatcmpl-bench0000000000000000000001",
    "object": "chat.completion",
    "created": 1750000000,
    "model": MODEL,
    "choices": [
        {"index": 0, "finish_reason": "stop", "logprobs": None,
         "message": {"role": "assistant", "content": "Plan B keeps the margin above 40 percent. " * 5, "refusal": None}}
    ],
    "usage": {"prompt_tokens": 537, "completion_tokens": 50, "total_tokens": 587,
              "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}},
}  # fmt: skip

UPSTREAM = """worker_processes 1; pid {folder}/up.pid; error_log {folder}/up.err crit; daemon off;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_timeout 300; keepalive_requests 100000000; default_type application/json;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port} backlog=4096; client_max_body_size 10m;
    location / {{ return 200 '{answer}'; }} }} }}
"""
REVERSE_PROXY = """worker_processes 1; pid {folder}/px.pid; error_log {folder}/px.err crit; daemon off;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_timeout 300; keepalive_requests 100000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096; client_body_buffer_size 64k;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass http://up; }} }} }}
"""
CONFIG = """
server: {{port: {port}, metrics_port: {metrics}}}
providers: {{up: {{dialect: openai, base_url: "http://127.0.0.1:{upstream}/v1", api_key: bench}}}}
models: {{{model}: {{provider: up}}}}
tiers: {{simple: [{model}], medium: [{model}], complex: [{model}]}}
aliases: {{}}
"""


class ToolMissing(Exception):
    """A program the benchmark needs is not installed: the gate counts as broken."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to load: its URL, its root process, a key."""

    name: str
    url: str
    pid: int
    key: str = "none"


def check_tools() -> None:
    """Raise `ToolMissing` naming what is not there."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise ToolMissing(f"{', '.join(missing)} must be installed (Debian packages nginx-light, wrk, util-linux)")


@contextmanager
def stage(folder: Path) -> Iterator[tuple[Target, Target]]:
    """Start everything; yield (nginx, Penstock)."""
    check_tools()
    with ExitStack() as stack:
        upstream, reverse = free_port(), free_port()
        answer = json.dumps(ANSWER).replace("'", "\\'")
        conf = UPSTREAM.format(folder=folder, port=upstream, answer=answer)
        stack.enter_context(_nginx(folder / "up.conf", conf, LOAD_CORE, upstream))
        conf = REVERSE_PROXY.format(folder=folder, port=reverse, upstream=upstream)
        nginx = stack.enter_context(_nginx(folder / "px.conf", conf, SERVER_CORE, reverse))
        yield (
            Target("nginx", f"http://127.0.0.1:{reverse}/v1/chat/completions", nginx.pid),
            stack.enter_context(_penstock(folder, upstream)),
        )


@contextmanager
def _process(command: list[str], core: int, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["taskset", "-c", str(core), *command], start_new_session=True, **more)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(12)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def _nginx(path: Path, conf: str, core: int, port: int) -> Iterator[subprocess.Popen[bytes]]:
    path.write_text(conf)
    with _process(["nginx", "-c", str(path)], core) as process:
        _await_port(port)
        yield process


@contextmanager
def _penstock(folder: Path, upstream: int) -> Iterator[Target]:
    port, metrics = free_port(), free_port()
    config = folder / "bench.yaml"
    config.write_text(CONFIG.format(port=port, metrics=metrics, upstream=upstream, model=MODEL))
    environment = {**os.environ, "PENSTOCK_DATA_DIR": str(folder / "data"), "PORT": "", "METRICS_PORT": ""}
    command = [str(Path(sys.executable).with_name("penstock"))]
    made = subprocess.run([*command, "keys", "create", "--customer", "bench", "--config", str(config), "--json"],
                          env=environment, check=True, capture_output=True)  # fmt: skip
    with _process(
        [*command, "serve", "--config", str(config)], SERVER_CORE, env=environment, stdout=subprocess.DEVNULL
    ) as server:
        _await_ready(f"http://127.0.0.1:{port}/readyz")
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        yield Target("penstock", url, server.pid, json.loads(made.stdout)["key"])


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise ToolMissing(f"nothing listens on port {port}")


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise ToolMissing("penstock did not become ready")
