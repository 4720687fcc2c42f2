"""The load of plain requests: wrk on its own core, one request body of 2.3 KB, a closed loop at a given concurrency."""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from benchmarks import meter

SECTION = (
    "Quarterly report, section {i}: revenue rose by {i}.4% while the support queue grew; "
    "the team asks which of the three plans keeps the gross margin above 40% and why. "
)
SECTIONS = 13
"""Makes a prompt of about 2,100 characters, 540 tokens: what chat applications commonly send with their context."""
SCRIPT = """
wrk.method = "POST"
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb")); wrk.body = file:read("*a"); file:close()
for name, value in string.gmatch(os.getenv("BENCH_HEADERS"), "([^\\n:]+): ([^\\n]+)") do wrk.headers[name] = value end
local keys, n = {}, 0
if os.getenv("BENCH_KEYS") then for key in io.lines(os.getenv("BENCH_KEYS")) do keys[#keys + 1] = key end end
if #keys > 0 then
  request = function()
    n = n % #keys + 1
    wrk.headers["authorization"] = "Bearer " .. keys[n]
    return wrk.format(nil, nil, wrk.headers, wrk.body)
  end
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('JSON {"requests":%d,"us":%d,"p50":%.0f,"p99":%.0f,"errors":%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout + e.status))
end
"""
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def prompt(characters: int) -> str:
    """Return a prompt of that length, of the same prose as the usual one."""
    text = "".join(SECTION.format(i=i) for i in range(characters // 100 + 1))
    return text[:characters]


def body(model: str, *, stream: bool = False, ask: str | None = None) -> bytes:
    """Return the request: about 2.3 KB, 540 tokens, unless it asks something else."""
    if ask is None:
        ask = "".join(SECTION.format(i=i) for i in range(SECTIONS)) + "Explain the trade-off."
    messages = [
        {"role": "system", "content": "You are a careful analyst. Answer in two sentences."},
        {"role": "user", "content": ask},
    ]
    fields = {"model": model, "messages": messages, "max_tokens": 128, "temperature": 0.2}
    if stream:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(fields, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Result:
    """One run. `cpu_us` is CPU of the measured tree per answered request; `busy` its share of one core under load."""

    rps: float
    p50_us: float
    p99_us: float
    cpu_us: float
    busy: float
    errors: int


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: the body, who sends it, how many at a time, from which cores. Keys in a file take turns.

    wrk knows whole seconds: a part counts as one.
    """

    body: bytes
    key: str
    connections: int
    seconds: float
    cores: str
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    keys: Path | None = None


def run(url: str, load: Load, pid: int | None) -> Result:
    """Load a server and measure it; raises on any tool failure."""
    with tempfile.TemporaryDirectory() as folder:
        script, payload = Path(folder, "load.lua"), Path(folder, "body.json")
        script.write_text(SCRIPT)
        payload.write_bytes(load.body)
        command = ["taskset", "-c", load.cores, "wrk", "-t1", f"-c{load.connections}", f"-d{math.ceil(load.seconds)}s",
                   "--timeout", "60s", "-s", str(script), url]  # fmt: skip
        headers = {"content-type": "application/json", "authorization": f"Bearer {load.key}", **load.headers}
        environment = {**os.environ, "BENCH_BODY": str(payload),
                       "BENCH_HEADERS": "\n".join(f"{name}: {value}" for name, value in headers.items())}  # fmt: skip
        if load.keys is not None:
            environment["BENCH_KEYS"] = str(load.keys)
        before_s = 0.0 if pid is None else meter.cpu_s(pid)
        out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        during_s = 0.0 if pid is None else meter.cpu_s(pid) - before_s
        spent_s = 0.0 if pid is None else meter.settled_cpu_s(pid) - before_s
    return parsed(out, during_s, spent_s)


def parsed(out: str, during_s: float, spent_s: float) -> Result:
    """Return what wrk's script printed, beside the CPU that was spent while it ran, and until all work was done."""
    found = json.loads(out[out.rindex("JSON ") + 5 :])
    count, wall_s = max(found["requests"], 1), found["us"] / 1e6
    return Result(
        rps=count / wall_s,
        p50_us=found["p50"],
        p99_us=found["p99"],
        cpu_us=spent_s / count * 1e6,
        busy=during_s / wall_s,
        errors=found["errors"],
    )
