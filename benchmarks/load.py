"""The load: wrk on its own core, one request body of 2.3 KB, a closed loop at a given concurrency."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import meter

SECTION = (
    "Quarterly report, section {i}: revenue rose by {i}.4% while the support queue grew; "
    "the team asks which of the three plans keeps the gross margin above 40% and why. "
)
SCRIPT = """
wrk.method = "POST"
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb")); wrk.body = file:read("*a"); file:close()
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('JSON {"requests":%d,"us":%d,"p50":%.0f,"p99":%.0f,"errors":%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout + e.status))
end
"""


def body(model: str) -> bytes:
    """Return the request: about 2.3 KB, 540 tokens."""
    ask = "".join(SECTION.format(i=i) for i in range(13)) + "Explain the trade-off."
    messages = [
        {"role": "system", "content": "You are a careful analyst. Answer in two sentences."},
        {"role": "user", "content": ask},
    ]
    fields = {"model": model, "messages": messages, "max_tokens": 128, "temperature": 0.2}
    return json.dumps(fields, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Result:
    """One run. `cpu_us` is CPU of the measured tree per answered request; `busy` its share of one core."""

    rps: float
    p50_us: float
    p99_us: float
    cpu_us: float
    busy: float
    errors: int


def run(url: str, *, model: str, key: str, connections: int, seconds: int, pid: int, core: int) -> Result:
    """Load a server and measure it; raises on any tool failure."""
    with tempfile.TemporaryDirectory() as folder:
        script, payload = Path(folder, "load.lua"), Path(folder, "body.json")
        script.write_text(SCRIPT)
        payload.write_bytes(body(model))
        command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s",
                   "-s", str(script), url]  # fmt: skip
        before = meter.cpu_s(pid)
        environment = {**os.environ, "BENCH_BODY": str(payload), "BENCH_KEY": key}
        out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        spent = meter.cpu_s(pid) - before
    found = json.loads(out[out.rindex("JSON ") + 5 :])
    count, wall_s = max(found["requests"], 1), found["us"] / 1e6
    return Result(count / wall_s, found["p50"], found["p99"], spent / count * 1e6, spent / wall_s, found["errors"])
