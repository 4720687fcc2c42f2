"""The server that a demo shows: `penstock serve` as a child, in a process group of its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.cli.frame import NOT_REACHABLE
from proxy.settings import Settings

START_S = 30.0
STOP_S = 10.0
"""What the server promises to need after SIGTERM."""
SIMULATOR_SPEED = "4"
"""At the pace of life a frontier model thinks and writes for eight seconds: long, for a demo of a minute."""
_SPEED_VARIABLE = "PENSTOCK_SIMULATOR_SPEED"
_DIE_WITH_PARENT = "import ctypes, signal; ctypes.CDLL(None).prctl(1, signal.SIGTERM); "  # 1: PR_SET_PDEATHSIG
_SERVE = "from proxy.cli import main; main(prog_name='penstock')"


class HouseFell(Exception):
    """The server did not start, or ended early; the text says why and `code` is the command's exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def environment(settings: Settings, data_dir: Path) -> dict[str, str]:
    """Return the environment of the server: ours, with its folder, its ports and its pace.

    A port that nobody named is the configuration's, or any other when that one is taken: a demo runs beside a server.
    """
    server = settings.server
    own = {_SPEED_VARIABLE: SIMULATOR_SPEED} | dict(os.environ)
    own["PENSTOCK_DATA_DIR"] = str(data_dir.absolute())
    for name, wanted in (("PORT", server.port), ("METRICS_PORT", server.metrics_port)):
        own[name] = str(_port(server.host, wanted, is_named=bool(os.environ.get(name))))
    return own


def _port(host: str, wanted: int, *, is_named: bool) -> int:
    if is_named and wanted:
        return wanted
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted


def fetch(port: int, path: str, timeout_s: float) -> tuple[int, str]:
    """Return status and body of a GET on this machine; no proxy is asked."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    finally:
        line.close()


class House:
    """The server's life, as an async context: started on the way in, ended with all it started on the way out."""

    def __init__(self, config: Path, environ: Mapping[str, str]) -> None:
        self._config, self._environ = config, environ
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self._environ['PORT']}/v1"

    async def __aenter__(self) -> Self:
        code = (_DIE_WITH_PARENT if sys.platform == "linux" else "") + _SERVE
        self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own interpreter; returns at once
            [sys.executable, "-c", code, "serve", "--config", str(self._config)],
            env=dict(self._environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._log,
            # Ctrl-C must reach us only: the books are read once more before the server ends.
            start_new_session=True,
        )  # fmt: skip
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._end)
        self._log.close()

    async def wait_ready(self) -> None:
        """Wait until it serves.

        Raises:
            HouseFell: it ended, or took too long.
        """
        deadline = time.monotonic() + START_S
        while not await asyncio.to_thread(self._is_ready):
            self.check()
            if time.monotonic() > deadline:
                raise HouseFell(f"the server was not ready within {START_S:.0f} seconds", NOT_REACHABLE)
            await asyncio.sleep(0.05)

    def check(self) -> None:
        """Raise `HouseFell` when the server is gone."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip()
        raise HouseFell(said or f"the server ended with exit code {code}", code if code > 0 else NOT_REACHABLE)

    def _is_ready(self) -> bool:
        try:
            return fetch(int(self._environ["PORT"]), "/readyz", 1.0)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _end(self) -> None:
        """End the server and whatever it started; its own order first, then without asking."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):  # nobody is left: the usual case
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
