"""The simulator as a process: its ready line, its pace, its end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import orjson

from tests.simulator.conftest import Start
from tests.simulator.test_chat import ask


def test_the_ready_line_names_url_and_process(tmp_path: Path) -> None:
    """One line of JSON goes to stdout, and the same to the descriptor asked for."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "simulator", "--invoice", str(tmp_path / "new" / "i.jsonl")]
    with subprocess.Popen([*command, "--ready-fd", str(writer)], stdout=subprocess.PIPE, pass_fds=(writer,)) as process:
        os.close(writer)
        with os.fdopen(reader, "rb") as ready:
            told = ready.read()
        process.terminate()
        printed, _ = process.communicate()

    assert printed == told
    assert orjson.loads(told)["pid"] == process.pid
    assert process.returncode == 0


def test_it_ends_soon_even_in_the_middle_of_a_call(start: Start, tmp_path: Path) -> None:
    """SIGINT ends it within two seconds; the call under way is billed as far as it came."""
    provider = start()
    prompt = "hi [[sim: stall=3 tokens=100]]"
    body = {"model": "gpt-6-luna", "messages": ask(prompt), "stream": True}
    with provider.http.stream("POST", "/v1/chat/completions", json=body) as response:
        received = response.iter_lines()  # held, or the connection closes with it
        next(received)
        began_s = time.monotonic()
        provider.process.send_signal(signal.SIGINT)
        status = provider.process.wait(20)

    assert status == 0
    assert time.monotonic() - began_s < 2
    (line,) = map(orjson.loads, (tmp_path / "invoice.jsonl").read_bytes().splitlines())
    assert (line["complete"], line["usage"]["output"]) == (False, 2)


def test_it_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """With `--die-with-parent` the end of the parent, however sudden, is the end of it."""
    arguments = ["--invoice", str(tmp_path / "i.jsonl"), "--die-with-parent"]
    parent = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-m', 'simulator', *{arguments!r}]);"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = orjson.loads(process.stdout.readline())
        process.kill()
        rest = process.stdout.read()  # ends when the last holder of the pipe has ended

    assert rest == b""
    with httpx.Client() as client:
        try:
            client.get(ready["url"])
        except httpx.ConnectError:
            return
    raise AssertionError("it is still listening")


def test_it_takes_its_time(start: Start) -> None:
    """At speed 10, 30 tokens of the fast model take a tenth of 120 ms and 30 tokens at 150/s."""
    provider = start("--speed", "10")
    began_s = time.monotonic()
    provider.chat("hi [[sim: tokens=30]]")

    assert time.monotonic() - began_s >= (0.12 + 30 / 150) / 10


def test_a_seed_changes_the_answers(start: Start) -> None:
    """Two seeds give two answers, one seed the same in every run."""
    texts = [
        start("--seed", seed).chat("Describe glaciers").json()["choices"][0]["message"]["content"]
        for seed in ("1", "1", "2")
    ]

    assert texts[0] == texts[1] != texts[2]


def test_usage_errors_exit_2() -> None:
    """A price error for a model that does not exist is refused before anything starts."""
    command = [sys.executable, "-m", "simulator", "--invoice", "x", "--price-error", "gpt-7=2"]
    finished = subprocess.run(command, capture_output=True, check=False)

    assert finished.returncode == 2
    assert b"gpt-7=2" in finished.stderr
