"""The meters and loads: process trees, streams, what wrk says, what is sent."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from benchmarks import conditions, load, meter, streams
from benchmarks.findings import (
    BESIDE_CROWD,
    CROWD,
    DIRECT,
    LITELLM,
    LITELLM_HITS,
    LONG_PAST,
    NGINX,
    NO_PAST,
    ONE_WORKER,
    OPEN_PLAN,
    PENSTOCK,
    TWO_WORKERS,
    Findings,
)
from benchmarks.load import Result
from benchmarks.process import ToolMissing, await_port, free_port, need, running
from benchmarks.rows import Verdict
from benchmarks.streams import Streams

LOOP = "while __import__('time').process_time() < 0.3: pass"
BURN = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LOOP!r}])"


def test_cpu_of_children_counts():
    """What a child burnt is its parent's, also after it ended and was waited for."""
    keep = f"{BURN}; print('done', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", keep], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        spent_s = meter.cpu_s(process.pid)
        process.stdin.close()

    assert spent_s >= 0.29


def test_a_tree_has_root_and_children():
    """The root first; memory is that of all."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        tree = meter.tree(os.getpid())
        alone_mib, together_mib = meter.resident_mib(process.pid), meter.resident_mib(os.getpid())
        process.stdin.close()

    assert tree[0] == os.getpid()
    assert process.pid in tree
    assert 0 < alone_mib < together_mib


def test_what_wrk_says_is_read():
    """Requests over its own wall time; CPU per request until all work was done, the share only while it ran."""
    said = 'Running 2s test\nJSON {"requests":4000,"us":2000000,"p50":900,"p99":4000,"errors":1}\n'

    found = load.parsed(said, during_s=1.5, spent_s=2.0)

    assert found == Result(rps=2000.0, p50_us=900, p99_us=4000, cpu_us=500.0, busy=0.75, errors=1)


def test_the_request_is_the_one_that_was_promised():
    """About 2.3 KB; a stream asks for its usage; a prompt can have any length."""
    plain, streamed = json.loads(load.body("fast")), json.loads(load.body("fast", stream=True))

    assert 2200 < len(load.body("fast")) < 2500
    assert streamed == plain | {"stream": True, "stream_options": {"include_usage": True}}
    assert [len(load.prompt(size)) for size in (100, 100_000)] == [100, 100_000]


@contextmanager
def provider(tmp_path, pause_ms, chunks):
    """Start the provider of streams; give its URL and process."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.upstream", f"{port}:{pause_ms}:{chunks}"]
    with running(command, "0", log=tmp_path / "log") as process:
        await_port(port, process)
        yield f"http://127.0.0.1:{port}/v1/chat/completions", process.pid


taskset = pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset is not installed")


@taskset
@pytest.mark.parametrize("pause_ms", [0, 2])
def test_streams_are_counted_to_the_last_event(tmp_path, pause_ms):
    """Each of three streams brings its events and the usage; the provider's way of sending them makes no difference."""
    with provider(tmp_path, pause_ms, chunks=5) as (url, pid):
        found = streams.run(url, models=["slow"], key="none", count=3, seconds=0, pid=pid)

    assert (found.done, found.errors) == (3, 0)
    assert found.chunks == 3 * (5 + 1)
    assert 0 < found.first_p50_us < found.wall_s * 1e6


@taskset
def test_a_stream_that_is_cut_is_an_error(tmp_path):
    """A server that closes in the middle of its answer has not answered."""
    cut = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
for _ in range(3):  # the first is the one that looks whether anybody listens
    client, _address = server.accept()
    client.recv(9999)
    client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\ndata: {")
    client.close()
"""
    port = free_port()
    with running([sys.executable, "-c", cut, str(port)], "0", log=tmp_path / "log") as process:
        await_port(port, process)
        found = streams.run(f"http://127.0.0.1:{port}/", models=["slow"], key="none", count=1, seconds=0, pid=None)

    assert (found.done, found.errors) == (0, 1)


def test_a_missing_tool_is_named_with_its_package():
    """The gate says what to install."""
    with pytest.raises(ToolMissing, match=r"no-such-tool must be installed \(apt-get install no-such-tool\)"):
        need("no-such-tool")


def test_a_busy_machine_is_named():
    """Silence when it is quiet."""
    assert conditions.warning(0.05) == ""
    assert "others used 1.3 of" in conditions.warning(1.3)


def whole(*, errors: int = 0) -> Findings:
    """Return findings of two rounds, in which Penstock is ten times as dear as nginx and a hundredth of LiteLLM."""
    found = Findings(slow_count=500)
    for _ in range(2):
        for name, cpu_us in ((PENSTOCK, 100.0), (NGINX, 10.0), (LITELLM, 10_000.0), (OPEN_PLAN, 95.0), (DIRECT, 1.0),
                             (ONE_WORKER, 100.0), (TWO_WORKERS, 105.0), (LITELLM_HITS, 9_000.0), (NO_PAST, 100.0),
                             (LONG_PAST, 102.0), (BESIDE_CROWD, 100.0), (CROWD, 250.0)):  # fmt: skip
            plain = Result(1e6 / cpu_us, 50 + cpu_us, 3 * cpu_us, cpu_us, 1.0, errors if name == PENSTOCK else 0)
            for model, connections in (("fast", 1), ("fast", 32), ("fast", 256), ("tls", 32)):
                found.plain[name, model, connections].append(plain)
            for model in ("burst", "paced", "slow"):
                found.streams[name, model].append(Streams(500, 30_000, 0, 10.0, 90.0, cpu_us, cpu_us / 10))
            found.resident_mib[name].append(cpu_us)
            found.started_s[name].append(cpu_us / 1000)
    return found


def test_findings_become_rows():
    """Every measure has its row; what has no feature yet is open."""
    table = {row.name: row for row in whole().table()}

    assert table["CPU per request ÷ nginx"].ratio == pytest.approx(10)
    assert table["requests/s at 32 connections ÷ LiteLLM"].ratio == pytest.approx(100)
    assert table["added median latency at 1 connection ÷ LiteLLM"].ratio == pytest.approx((100 - 1) / (10_000 - 1))
    assert table["500 slow streams: wall over direct"].cells()[3] == "+0.0 % (+0.0 % … +0.0 %)"
    assert [row.name for row in table.values() if row.verdict is Verdict.OPEN] == [
        "response-cache hits/s ÷ LiteLLM, all hits"
    ]
    assert table["throughput, 100,000 customers and 10M ledger rows ÷ empty"].ratio == pytest.approx(100 / 102)
    assert table["the same, each request another customer's ÷ empty, one customer"].ratio == pytest.approx(100 / 250)
    assert not any(row.verdict is Verdict.BROKEN for row in table.values())


def test_errors_of_ours_break_their_rows():
    """Of every row they were counted in."""
    broken = [row.name for row in whole(errors=2).table() if row.verdict is Verdict.BROKEN]

    assert "requests/s at 32 connections ÷ LiteLLM" in broken
    assert "p99 ÷ p50 at 256 connections" in broken


def test_servers_are_listed_once_with_a_cell_for_each_head():
    """One line a server, in the order they were measured."""
    from benchmarks.findings import SERVER_HEADS

    lines = whole().servers()

    assert [line[0] for line in lines] == [
        PENSTOCK, NGINX, LITELLM, OPEN_PLAN, DIRECT, TWO_WORKERS, LITELLM_HITS, NO_PAST, LONG_PAST, CROWD,
    ]  # fmt: skip
    assert {len(line) for line in lines} == {len(SERVER_HEADS)}
