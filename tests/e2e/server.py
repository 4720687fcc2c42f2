"""A real `penstock serve`: its processes, its folder, its ports, and what tests ask of it from outside."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import yaml
from click.testing import CliRunner
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from proxy import settings as configuration
from proxy.cli import main
from proxy.keeper import control
from proxy.settings import Settings
from tests.e2e.polling import until

ROOT = Path(__file__).parents[2]
SANDBOX = ROOT / "configs" / "sandbox.yaml"
SANDBOX_PLANS = ROOT / "configs" / "sandbox-plans.yaml"
PENSTOCK = Path(sys.executable).with_name("penstock")
READY_S = 60.0
"""How long a start is waited for, also one after a crash: two or three seconds on a quiet machine, twenty on one that
runs several suites. What a start costs is a benchmark's question."""

get, post = partial(httpx.get, verify=False), partial(httpx.post, verify=False)
"""Without TLS, which nobody here speaks: to load the system's certificates takes each call 20 ms of a core."""

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return stdout, which is one JSON document and nothing else."""
        return orjson.loads(self.out)


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of /metrics."""

    name: str
    labels: Mapping[str, str]
    value: float

    @property
    def nusd(self) -> int:
        """The value, in US dollars, as nano-dollars."""
        return round(self.value * 10**9)


class Server:
    """One data folder and, between `start` and an end, the processes that serve it."""

    def __init__(self, data_dir: Path, config: Path | None = None, *, speed: str = "0") -> None:
        if config is None:
            config = write_config(data_dir.with_name("configs"))
        self.data_dir, self.config = data_dir, config
        self.port, self.metrics_port = free_port(), free_port()
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self.process: subprocess.Popen[bytes] | None = None
        self.environ = {
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
            "PENSTOCK_DATA_DIR": str(data_dir),
            "PENSTOCK_SIMULATOR_SPEED": speed,
        }

    # ---- its life ---------------------------------------------------------------------------------------------------

    def start(self) -> "Server":
        """Start it and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [PENSTOCK, "serve", "--config", self.config],
                env=clean_environ() | self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            until(self.is_ready, f"{self.log.name} ready", within_s=READY_S)
        except AssertionError:
            self.clear_away()
            raise
        return self

    def is_ready(self) -> bool:
        """Tell whether /readyz says yes."""
        assert self.process is not None
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log.read_text()}"
        with suppress(httpx.TransportError):
            return get(f"{self.origin}/readyz", timeout=5).status_code == 200
        return False

    def stop(self) -> int:
        """End it the way an operator does; return its exit code."""
        return self.end(signal.SIGTERM)

    def end(self, number: int, *, group: bool = False, within_s: float = 10.0) -> int:
        """Signal the parent or the whole group; return the parent's exit code."""
        assert self.process is not None
        with suppress(ProcessLookupError):  # nobody is left to be told
            (os.killpg if group else os.kill)(self.process.pid, number)
        return self.process.wait(within_s)

    def clear_away(self) -> None:
        """Kill what is left of it."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    @property
    def processes(self) -> dict[int, str]:
        """The processes in its group that live, with their commands."""
        return {} if self.process is None else dict(_group(self.process.pid))

    @property
    def workers(self) -> list[int]:
        """The process ids of its workers."""
        return [pid for pid, command in self.processes.items() if " -m proxy.app " in command]

    @property
    def simulators(self) -> list[int]:
        """The process ids of its provider."""
        return [pid for pid, command in self.processes.items() if " -m simulator " in command]

    # ---- how to reach it --------------------------------------------------------------------------------------------

    @property
    def origin(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        """The sandbox's key."""
        return self.sandbox_env()["OPENAI_API_KEY"]

    def sandbox_env(self) -> dict[str, str]:
        """Return what `source sandbox.env` sets."""
        lines = (self.data_dir / "sandbox.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("export"))

    @contextmanager
    def openai(self, key: str | None = None, *, retries: int = 0) -> Iterator[OpenAI]:
        """Yield the SDK as its users have it."""
        with OpenAI(
            base_url=f"{self.origin}/v1", api_key=key or self.key, max_retries=retries,
            http_client=DefaultHttpxClient(verify=False),
        ) as client:  # fmt: skip
            yield client

    def openai_async(self, key: str | None = None) -> AsyncOpenAI:
        """Return the asynchronous SDK."""
        return AsyncOpenAI(
            base_url=f"{self.origin}/v1", api_key=key or self.key, max_retries=0,
            http_client=DefaultAsyncHttpxClient(verify=False),
        )  # fmt: skip

    def chat(self, prompt: str, key: str | None = None, *, model: str = "auto:simple", **fields: Any) -> httpx.Response:
        """Ask one question on a connection of its own."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}
        headers = {"authorization": f"Bearer {key or self.key}"}
        return post(f"{self.origin}/v1/chat/completions", json=body, headers=headers, timeout=20)

    def connect(self) -> socket.socket:
        """Return a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    # ---- what it says -----------------------------------------------------------------------------------------------

    def cli(self, *words: str, stdin: str | bytes | None = None) -> Outcome:
        """Run a command as the shell would, but in this process: loading Python anew takes most of a second."""
        found = CliRunner().invoke(
            main, [*words, "--config", str(self.config)], input=stdin, env=self.environ, catch_exceptions=False
        )
        return Outcome(found.exit_code, found.stdout, found.stderr)

    def shell(self, *words: str, stdin: bytes = b"", within_s: float = 30.0) -> Outcome:
        """Run a command in a process of its own."""
        found = subprocess.run(
            [PENSTOCK, *words, "--config", self.config],
            env=clean_environ() | self.environ, input=stdin, capture_output=True, timeout=within_s, check=False,
        )  # fmt: skip
        return Outcome(found.returncode, found.stdout.decode(), found.stderr.decode())

    def ask(self, command: str, **args: Any) -> Any:
        """Ask the keeper what the commands ask it, without their table or their JSON around it."""
        answer = control.ask(self.settings, command, args)
        assert "result" in answer, answer
        return answer["result"]

    @cached_property
    def settings(self) -> Settings:
        """Its settings, as a command beside it reads them."""
        return configuration.load(self.config, environ=clean_environ() | self.environ)

    def create_key(self, customer: str, *scopes: str, plan: str | None = None) -> str:
        """Return a new key of a customer, who is opened on `plan` first when that is given."""
        if plan is not None:
            self.ask("customers.create", customer=customer, plan=plan)
        return self.ask("keys.create", customer=customer, scopes=list(scopes) or ["serve"])["key"]

    def grant(self, customer: str, credits_: int, *, paid_usd: int = 0) -> None:
        """Give a customer credits."""
        self.ask(
            "credits.grant",
            customer=customer, credits_milli=credits_ * 1000, paid_nusd=paid_usd * 10**9, expires_s=None,
        )  # fmt: skip

    def balance(self, customer: str) -> dict[str, float]:
        """Return a customer's credits."""
        return self.ask("credits.balance", customer=customer)

    def reconcile(self) -> Any:
        """Compare the books with the simulator's invoice."""
        return self.ask("ledger.reconcile", export=str(self.invoice_path))

    def metrics(self) -> list[Sample]:
        """Return /metrics, sample by sample."""
        text = get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10).text
        return [_sample(line) for line in text.splitlines() if not line.startswith("#")]

    @property
    def invoice_path(self) -> Path:
        """Where the simulator keeps its account."""
        return self.data_dir / "simulator" / "invoice.jsonl"

    def invoice(self) -> list[dict[str, Any]]:
        """Return the simulator's account."""
        return [orjson.loads(line) for line in self.invoice_path.read_bytes().splitlines()]

    def seen_upstream(self) -> list[dict[str, Any]]:
        """Return the last requests the simulator got, as it got them."""
        url = (self.data_dir / "simulator" / "url").read_text().strip()
        return get(f"{url}/_simulator/last").json()


def clean_environ() -> dict[str, str]:
    """Return this process's environment without what would steer a server."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "OPENAI_"))}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_config(folder: Path, *, plans: Mapping[str, Any] | None = None, **sections: Mapping[str, Any]) -> Path:
    """Write the sandbox's configuration with changes; each named section is merged into the shipped one.

    Answers come from the provider, also to a request that came before, unless `caching` says otherwise.
    """
    shipped, sellbook = yaml.safe_load(SANDBOX.read_text()), yaml.safe_load(SANDBOX_PLANS.read_text())
    shipped["caching"] = {"responses": {"enabled": False}}
    for name, changes in sections.items():
        shipped[name] = {**shipped.get(name, {}), **changes}
    sellbook["plans"].update(plans or {})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SANDBOX_PLANS.name).write_text(yaml.safe_dump(sellbook, sort_keys=False))
    path = folder / SANDBOX.name
    path.write_text(yaml.safe_dump(shipped, sort_keys=False))
    return path


def _group(leader: int) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if os.getpgid(int(folder.name)) == leader and not _is_zombie(folder):
                    yield int(folder.name), (folder / "cmdline").read_text().replace("\0", " ")


def _is_zombie(folder: Path) -> bool:
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def is_alive(pid: int) -> bool:
    """Tell whether a process runs."""
    folder = Path("/proc") / str(pid)
    try:
        return not _is_zombie(folder)
    except OSError:
        return False


def _sample(line: str) -> Sample:
    found = _SAMPLE.fullmatch(line)
    assert found is not None, line
    return Sample(found[1], dict(_LABEL.findall(found[2] or "")), float(found[3]))
