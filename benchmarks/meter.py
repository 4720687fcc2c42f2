"""CPU and memory of a process tree, from /proc: children included, so the keeper and every worker count."""

from __future__ import annotations

import os
import time
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SETTLE_STEP_S, SETTLE_S_MAX = 0.2, 3.0
IDLE_SHARE_MAX = 0.1
"""Two ticks of the clock in a step: timers and a scrape of metrics, no backlog."""


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def tree(root: int) -> list[int]:
    """Return a process and all its descendants that still live."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except OSError:
                continue
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_s(root: int) -> float:
    """Return the user and system seconds of a process tree so far, those of children that ended included."""
    ticks = 0
    for pid in tree(root):
        try:
            fields = _stat(pid)
        except OSError:
            continue
        ticks += sum(int(each) for each in fields[11:15])  # user and system, its own and of waited-for children
    return ticks / TICKS_PER_S


def resident_mib(root: int) -> float:
    """Return the resident memory of a process tree."""
    pages = 0
    for pid in tree(root):
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * PAGE_BYTES / 2**20


def settled_cpu_s(root: int) -> float:
    """Return the same once the tree has nothing left to do: work that was put off counts too. Waits 3 s at most."""
    deadline, before = time.monotonic() + SETTLE_S_MAX, cpu_s(root)
    while True:
        time.sleep(SETTLE_STEP_S)
        now = cpu_s(root)
        if now - before <= IDLE_SHARE_MAX * SETTLE_STEP_S or time.monotonic() >= deadline:
            return now
        before = now


def system_cpu_s() -> tuple[float, float]:
    """Return the machine's seconds so far: (busy, stolen by its host), all cores together."""
    user, nice, system, _idle, _wait, irq, soft, steal = (
        int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + soft) / TICKS_PER_S, steal / TICKS_PER_S
