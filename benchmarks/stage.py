"""What is measured against what: providers with fixed answers, nginx as a plain reverse proxy, and Penstock.

Servers under test run on one core, providers and load on another. All of it is on loopback and ends with the context.
Models and paths have the same names everywhere: `fast` answers at once, `burst` streams 64 events in one write, `paced`
64 events 20 ms apart, `slow` 20 events half a second apart, `slow2` the same at another provider, and `tls` is `fast`
behind TLS.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import load
from benchmarks.process import ToolMissing, await_port, free_port, need, running

SERVER_CORE, LOAD_CORE = "0", "1"
ROUTE = "/v1/chat/completions"
STREAMS = {"burst": (0, 64), "paced": (20, 64), "slow": (500, 20), "slow2": (500, 20)}
"""Pause between events in milliseconds, and number of events."""
ANSWER = {
    "id": "chatcmpl-bench0000000000000000000001",
    "object": "chat.completion",
    "created": 1750000000,
    "model": "gpt-6-luna",
    "choices": [
        {"index": 0, "finish_reason": "stop", "logprobs": None,
         "message": {"role": "assistant", "content": "Plan B keeps the margin above 40 percent. " * 5, "refusal": None}}
    ],
    "usage": {"prompt_tokens": 537, "completion_tokens": 50, "total_tokens": 587,
              "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}},
}  # fmt: skip

NGINX = """worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.err crit; daemon off;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_timeout 300; keepalive_requests 100000000; default_type application/json;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; client_max_body_size 10m; client_body_buffer_size 1m;
  {http} }}
"""
FIXED = """server {{ listen 127.0.0.1:{fast} backlog=4096; listen 127.0.0.1:{tls} ssl backlog=4096;
    ssl_certificate {certificate}; ssl_certificate_key {certificate}.key;
    location / {{ return 200 '{answer}'; }} }}"""
REVERSE = "upstream {name} {{ server 127.0.0.1:{port}; keepalive 512; keepalive_requests 100000000; }}"
PASSED = "location /{name}/ {{ proxy_pass {scheme}://{name}/; }}"
CONFIG = """
server: {{port: {port}, metrics_port: {metrics}, workers: {workers}}}
providers:
{providers}
models:
{models}
tiers: {{simple: [fast], medium: [fast], complex: [fast]}}
aliases: {{}}
caching: {{responses: {{enabled: {caching}}}}}
plans: plans.yaml
"""
PLANS = """
default: open
plans:
  open: {credits: {enforce: none}}
  prepaid: {credits: {mode: prepaid, price: 0.05, enforce: hard}}
"""
CREDITS = "1000000000"
"""More than a run can spend, so that every answer is an answer; each still comes out of the balance's lease."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to load: its base URL, its root process (None: nobody's CPU counts), a key, where its metrics are.

    `started_s` is the time from its start to its first answer. With `by_path`, models are folders of its URL.
    """

    name: str
    base: str
    pid: int | None
    key: str = "none"
    by_path: bool = False
    started_s: float = 0.0
    metrics: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: load.NO_HEADERS)

    def url(self, model: str) -> str:
        """Return where to ask for a model."""
        return f"{self.base}/{model}{ROUTE}" if self.by_path else self.base + ROUTE


@dataclass(frozen=True, slots=True)
class Providers:
    """The fixed answers: a port for each model, and the certificate of the one with TLS."""

    ports: Mapping[str, int]
    certificate: Path

    def url(self, model: str) -> str:
        """Return a model's base URL, for a proxy's configuration."""
        return (
            f"https://localhost:{self.ports[model]}/v1"
            if model == "tls"
            else f"http://127.0.0.1:{self.ports[model]}/v1"
        )

    def direct(self, model: str) -> Target:
        """Return the provider itself, to be loaded without a proxy."""
        return Target("direct", f"http://127.0.0.1:{self.ports[model]}", None)


@contextmanager
def providers(folder: Path) -> Iterator[Providers]:
    """Start all of them on the load's core."""
    need("nginx", "taskset", "openssl")
    ports = {name: free_port() for name in ("fast", "tls", *STREAMS)}
    certificate = _certificate(folder)
    answer = json.dumps(ANSWER).replace("'", "\\'")
    fixed = FIXED.format(fast=ports["fast"], tls=ports["tls"], certificate=certificate, answer=answer)
    listeners = [f"{ports[name]}:{pause_ms}:{chunks}" for name, (pause_ms, chunks) in STREAMS.items()]
    command = [sys.executable, "-m", "benchmarks.upstream", *listeners]
    with (
        _nginx(folder, "providers", fixed, LOAD_CORE, ports["fast"]),
        running(command, LOAD_CORE, log=folder / "upstream.log") as streams,
    ):
        await_port(ports["slow2"], streams)
        yield Providers(ports, certificate)


def _certificate(folder: Path) -> Path:
    path = folder / "localhost.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{path}.key", "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


@contextmanager
def reverse_proxy(folder: Path, behind: Providers) -> Iterator[Target]:
    """Start nginx as a plain reverse proxy with kept connections."""
    port = free_port()
    ups = [REVERSE.format(name=name, port=each) for name, each in behind.ports.items()]
    locations = [PASSED.format(name=name, scheme="https" if name == "tls" else "http") for name in behind.ports]
    server = (
        f'server {{ listen 127.0.0.1:{port} backlog=4096; proxy_http_version 1.1; proxy_set_header Connection "";\n'
        f"  proxy_buffering off; {' '.join(locations)} }}"
    )
    with _nginx(folder, "reverse", "\n".join([*ups, server]), SERVER_CORE, port) as process:
        yield Target("nginx", f"http://127.0.0.1:{port}", process.pid, by_path=True)


@contextmanager
def _nginx(folder: Path, name: str, http: str, core: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    path = folder / f"{name}.conf"
    path.write_text(NGINX.format(folder=folder, name=name, http=http))
    with running(["nginx", "-c", str(path)], core, log=folder / f"{name}.log") as process:
        await_port(port, process)
        yield process


@dataclass(frozen=True, slots=True)
class Penstock:
    """A folder of configuration and books, with a key for a customer on each plan; served as often as one likes."""

    folder: Path
    config: Path
    port: int
    metrics: int
    certificate: Path
    keys: Mapping[str, str]

    @contextmanager
    def serve(self, cores: str = SERVER_CORE, plan: str = "prepaid", log: Path | None = None) -> Iterator[Target]:
        """Serve; yield once the first request was answered."""
        base = f"http://127.0.0.1:{self.port}"
        begun = time.perf_counter()
        with running(
            [*COMMAND, "serve", "--config", str(self.config)], cores,
            log=log or self.folder / "penstock.log", environment=self.environment(),
        ) as server:  # fmt: skip
            target = Target(
                "Penstock", base, server.pid, self.keys[plan], metrics=f"http://127.0.0.1:{self.metrics}/metrics"
            )
            await_answer(target, server, within_s=60)
            yield replace_started(target, time.perf_counter() - begun)

    def environment(self) -> dict[str, str]:
        """Return the environment of every command on this folder."""
        return {**plain_environment(), "PENSTOCK_DATA_DIR": str(self.folder / "books"), "PORT": "", "METRICS_PORT": "",
                "SSL_CERT_FILE": str(self.certificate)}  # fmt: skip

    def run(self, *args: str) -> str:
        """Run a `penstock` command on this folder; return what it printed."""
        done = subprocess.run([*COMMAND, *args, "--config", str(self.config), "--json"], env=self.environment(),
                              check=True, capture_output=True, text=True)  # fmt: skip
        return done.stdout


COMMAND = [str(Path(sys.executable).with_name("penstock"))]


def penstock(folder: Path, behind: Providers, *, workers: int = 1, caching: bool = False) -> Penstock:
    """Make a folder to serve: credits enforced from a prepaid balance, and a second customer on plan `open`."""
    folder.mkdir()
    port, metrics, config = free_port(), free_port(), folder / "penstock.yaml"
    config.write_text(
        CONFIG.format(
            port=port, metrics=metrics, workers=workers, caching=str(caching).lower(),
            providers="\n".join(f'  {name}: {{dialect: openai, base_url: "{behind.url(name)}", api_key: bench}}'
                                for name in behind.ports),
            models="\n".join(f"  {name}: {{provider: {name}, model: gpt-6-luna}}" for name in behind.ports),
        )
    )  # fmt: skip
    (folder / "plans.yaml").write_text(PLANS)
    made = Penstock(folder, config, port, metrics, behind.certificate, {})
    keys = {}
    for plan in ("prepaid", "open"):
        made.run("customers", "create", f"bench-{plan}", "--plan", plan)
        keys[plan] = json.loads(made.run("keys", "create", "--customer", f"bench-{plan}"))["key"]
    made.run("credits", "grant", "bench-prepaid", CREDITS, "--paid", "50000000")
    return Penstock(folder, config, port, metrics, behind.certificate, keys)


def replace_started(target: Target, started_s: float) -> Target:
    """Return a target with the time it took."""
    return Target(
        target.name, target.base, target.pid, target.key, target.by_path, started_s, target.metrics, target.headers
    )


def plain_environment() -> dict[str, str]:
    """Return this process's environment without what would slow a server down."""
    # Without bytecode files a failing optional import is compiled anew, in LiteLLM on every request.
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def await_answer(target: Target, server: subprocess.Popen[bytes], *, within_s: float) -> None:
    """Ask until the first answer; raises `ToolMissing` when there is none in time."""
    deadline, why = time.monotonic() + within_s, "no connection"
    headers = {"content-type": "application/json", "authorization": f"Bearer {target.key}", **target.headers}
    request = urllib.request.Request(target.url("fast"), load.body("fast"), headers)
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                if b"choices" in answer.read():
                    return
        except urllib.error.HTTPError as error:
            why = f"{error.code} {error.read(300).decode(errors='replace')}"
        except OSError as error:
            why = str(error)
        time.sleep(0.02)
    raise ToolMissing(f"{target.name} did not answer: {why}")


@contextmanager
def quick_stage(folder: Path) -> Iterator[tuple[Target, Target]]:
    """Start what the quick benchmark needs; yield (nginx, Penstock)."""
    need("nginx", "wrk", "taskset", "openssl")
    with ExitStack() as stack:
        behind = stack.enter_context(providers(folder))
        nginx = stack.enter_context(reverse_proxy(folder, behind))
        yield nginx, stack.enter_context(penstock(folder / "penstock", behind).serve())
