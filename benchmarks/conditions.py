"""Under what conditions figures were taken: without them they mean nothing."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import meter

BUSY_SHARE_MAX = 0.15
"""Of one core, used by others while nothing of ours runs: more shows in every figure."""
SAMPLE_S = 2.0


def others_cores() -> float:
    """Return how many cores others use right now; call it while nothing of ours runs."""
    before, stolen_before = meter.system_cpu_s()
    started = time.monotonic()
    time.sleep(SAMPLE_S)
    after, stolen = meter.system_cpu_s()
    return (after - before + stolen - stolen_before) / (time.monotonic() - started)


def taken(others: float, versions: Mapping[str, str]) -> str:
    """Return date, machine, versions and load as they are now, at the start; and a warning when others are busy."""
    programs = ", ".join(f"{name} {version}" for name, version in versions.items())
    said = (
        f"Taken {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {_processor()}, {os.cpu_count()} cores, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()} for every Python server; "
        f"{programs}. Load average at the start {os.getloadavg()[0]:.2f}; others used {others:.2f} cores."
    )
    busy = warning(others)
    return f"{said}\n\n{busy}" if busy else said


def warning(others: float) -> str:
    """Return what to say about a busy machine; nothing when it is quiet."""
    if others <= BUSY_SHARE_MAX:
        return ""
    return (
        f"The machine was busy: others used {others:.1f} of {os.cpu_count()} cores. "
        "Ratios hold better than figures; tails and latencies are not to be trusted."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
