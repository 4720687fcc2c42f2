"""What `serve` adds when it runs against the simulator: the simulator's process, and a key to start with.

`PENSTOCK_SIMULATOR_SPEED` says how many times as fast as life the simulator answers: 1 without it, 0 does not wait at
all. Where it listens stands in `<data dir>/simulator/url`, for whoever wants to look inside or steer it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson

from proxy.keeper import keyring
from proxy.keeper.keyring import Wish
from proxy.keeper.office import Office

CUSTOMER = "sandbox"
ENV_FILE = "sandbox.env"
SPEED_VARIABLE = "PENSTOCK_SIMULATOR_SPEED"
START_S = 10.0
END_S = 2.0
WATCH_S = 0.5

log = logging.getLogger("penstock")


class SimulatorFailed(Exception):
    """The simulator did not start."""


class Simulator:
    """The simulator's process. It dies with us, and is started again on the same port when it dies alone."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "simulator"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> str:
        """Start it; return its URL.

        Raises:
            SimulatorFailed: it did not come up in time.
        """
        self._folder.mkdir(exist_ok=True)
        command = [sys.executable, "-P", "-m", "simulator", "--port", str(self._port), "--die-with-parent",
                   "--invoice", str(self._folder / "invoice.jsonl"),
                   "--speed", os.environ.get(SPEED_VARIABLE, "1")]  # fmt: skip
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603, ASYNC220
        assert process.stdout is not None
        loop = asyncio.get_running_loop()
        try:
            line = await asyncio.wait_for(loop.run_in_executor(None, process.stdout.readline), START_S)
            url = str(orjson.loads(line)["url"])
        except (TimeoutError, orjson.JSONDecodeError, KeyError):
            process.kill()
            raise SimulatorFailed("the simulator did not start") from None
        self._process, self._port = process, int(url.rpartition(":")[2])
        (self._folder / "url").write_text(f"{url}\n")
        return url

    async def keep(self) -> None:
        """Start it again whenever it dies, until cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            if self._process is not None and self._process.poll() is not None:
                log.warning("the simulator died; starting it again")
                with contextlib.suppress(SimulatorFailed):
                    await self.start()

    def end(self) -> None:
        """End it."""
        if self._process is None:
            return
        # It ignores what the group is told, so that it is there until the last call was answered.
        self._process.send_signal(signal.SIGUSR1)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def write_env(office: Office, base_url: str) -> tuple[Path, str]:
    """Write `sandbox.env`, keeping its key while it lives; return the file and the key."""
    path = office.settings.server.data_dir / ENV_FILE
    key = _kept_key(path)
    if key is None or keyring.id_of(office, key) is None:
        _, key = keyring.create(office, Wish(CUSTOMER, ["serve", "see-cost"]))
    # Plain assignments for whoever reads the file, and an export for whoever sources it.
    exported = "export OPENAI_BASE_URL OPENAI_API_KEY PENSTOCK_SANDBOX=1"
    content = f"OPENAI_BASE_URL={base_url}\nOPENAI_API_KEY={key}\n{exported}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    return path, key


def revoke_key(office: Office) -> bool:
    """Revoke the key that `sandbox.env` holds; tell whether there was a live one."""
    key = _kept_key(office.settings.server.data_dir / ENV_FILE)
    id_ = None if key is None else keyring.id_of(office, key)
    if id_ is None:
        return False
    keyring.revoke(office, id_)
    return True


def _kept_key(path: Path) -> str | None:
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "OPENAI_API_KEY":
            return value
    return None
