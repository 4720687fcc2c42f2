"""What `serve` adds when it runs against the simulator: the simulator's process, and a key to start with.

`PENSTOCK_SIMULATOR_SPEED` says how many times as fast as life the simulator answers: 1 without it, 0 does not wait at
all. Where it listens stands in `<data dir>/simulator/url`, for whoever wants to look inside or steer it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import orjson

from proxy.keeper.office import Office

CUSTOMER = "sandbox"
ENV_FILE = "sandbox.env"
SPEED_VARIABLE = "PENSTOCK_SIMULATOR_SPEED"
START_S = 10.0


class SimulatorFailed(Exception):
    """The simulator did not start."""


async def start_simulator(data_dir: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start the simulator as a child that dies with us; return it and its URL."""
    folder = data_dir / "simulator"
    folder.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "simulator",
        "--port",
        "0",
        "--invoice",
        str(folder / "invoice.jsonl"),
        "--speed",
        os.environ.get(SPEED_VARIABLE, "1"),
        "--die-with-parent",
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603, ASYNC220
    assert process.stdout is not None
    loop = asyncio.get_running_loop()
    try:
        line = await asyncio.wait_for(loop.run_in_executor(None, process.stdout.readline), START_S)
        url = str(orjson.loads(line)["url"])
    except (TimeoutError, orjson.JSONDecodeError, KeyError):
        process.kill()
        raise SimulatorFailed("the simulator did not start") from None
    (folder / "url").write_text(f"{url}\n")
    return process, url


def write_env(office: Office, base_url: str) -> tuple[Path, str]:
    """Write `sandbox.env`, keeping its key while it lives; return the file and the key."""
    path = office.settings.server.data_dir / ENV_FILE
    key = _kept_key(path)
    if key is None or not office.is_key(key):
        key = office.create_key(CUSTOMER, ["serve", "see-cost"])["key"]
    # Plain assignments for whoever reads the file, and an export for whoever sources it.
    exported = "export OPENAI_BASE_URL OPENAI_API_KEY PENSTOCK_SANDBOX=1"
    content = f"OPENAI_BASE_URL={base_url}\nOPENAI_API_KEY={key}\n{exported}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    return path, key


def _kept_key(path: Path) -> str | None:
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "OPENAI_API_KEY":
            return value
    return None
