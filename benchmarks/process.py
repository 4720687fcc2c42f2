"""Programs under test: started on named cores, waited for, and ended with their context."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

STOP_S = 12.0
"""Penstock ends within 10 s of a SIGTERM; everything else sooner."""
PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux", "valgrind": "valgrind", "openssl": "openssl"}


class ToolMissing(Exception):
    """A program the benchmark needs is not there, or does not start: the gate counts as broken."""


def need(*tools: str) -> None:
    """Raise `ToolMissing` naming what is not installed, and the Debian packages that have it."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        packages = " ".join(PACKAGES.get(tool, tool) for tool in missing)
        raise ToolMissing(f"{', '.join(missing)} must be installed (apt-get install {packages})")


def open_files() -> None:
    """Let what is started have as many files open as the system lets us: a stream takes two of a proxy's."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def running(
    command: list[str], cores: str, *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, its descendants included, on some cores; its output goes to a file."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["taskset", "-c", cores, *command],
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):  # what it started and did not end: the session is its own
        os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, process: subprocess.Popen[bytes], within_s: float = 10) -> None:
    """Wait until somebody listens; raises `ToolMissing` when nobody does in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise ToolMissing(f"nothing listens on port {port}: {Path(str(process.args[3])).name} did not start")
