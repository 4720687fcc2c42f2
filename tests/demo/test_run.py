"""`penstock demo` as people start it: in a pipe, in a terminal, and ended early. The real server, client and books."""

import contextlib
import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from proxy.cli import main

PENSTOCK = [sys.executable, "-c", "from proxy.cli import main; main(prog_name='penstock')"]
CONFIG = ["--config", "configs/sandbox.yaml"]
ROOT = Path(__file__).parents[2]


def environ(data_dir: Path) -> dict[str, str]:
    """Return an environment with free ports and a folder of its own, in which every process can be told by it."""
    own = {"PENSTOCK_DATA_DIR": str(data_dir), "PORT": "0", "METRICS_PORT": "0", "TERM": "xterm-256color"}
    kept = {
        name: value for name, value in os.environ.items() if name not in {"DURATION", "NO_COLOR", "COLUMNS", "LINES"}
    }
    return kept | own


def running(data_dir: Path) -> list[str]:
    """Return the command lines of processes that know the folder: whatever the demo started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(data_dir).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def penstock(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [*PENSTOCK, *arguments, *CONFIG]
    return subprocess.run(
        command, cwd=ROOT, env=environ(data_dir), capture_output=True, text=True, timeout=60, check=False
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A demo that was run in a pipe."""

    data_dir: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Run one demo of two seconds without a terminal."""
    data_dir = tmp_path_factory.mktemp("demo")
    return Shown(data_dir, penstock(data_dir, "demo", "--duration", "2", "--seed", "4"))


def test_it_ends_by_itself_with_the_margin_table(shown: Shown) -> None:
    """Exit 0; a table headed `margin` with the customers that sent requests, and the total."""
    lines = shown.done.stdout.splitlines()

    assert shown.done.returncode == 0, shown.done.stderr
    assert shown.done.stderr == ""
    assert [line.strip() for line in lines].count("margin") == 1
    table = [line.split()[0] for line in lines[[line.strip() for line in lines].index("margin") + 1 :] if line.strip()]
    assert {"customer", "globex", "initech", "hooli", "total"} <= set(table)


def test_it_names_its_seed(shown: Shown) -> None:
    """Whoever sees a strange thing can show it again."""
    assert "seed 4" in shown.done.stdout.splitlines()[0]


def test_its_books_are_sound_and_agree_with_the_invoice(shown: Shown) -> None:
    """It says so, and after its end the folder still says so."""
    verified = penstock(shown.data_dir, "ledger", "verify", "--json")
    reconciled = penstock(shown.data_dir, "reconcile", "--json")

    assert "The books are sound" in shown.done.stdout
    assert "call by call" in shown.done.stdout.replace("\n", " ")
    assert orjson.loads(verified.stdout)["ok"]
    assert orjson.loads(verified.stdout)["open_holds"] == 0
    assert orjson.loads(reconciled.stdout)["explained_share"] == 1


def test_nothing_is_left_running(shown: Shown) -> None:
    """Server, workers and simulator have ended with it."""
    assert shown.done.returncode == 0
    assert running(shown.data_dir) == []


@pytest.mark.full
def test_json_is_one_document(tmp_path: Path) -> None:
    """With --json stdout is one document, and progress goes to stderr."""
    done = penstock(tmp_path, "demo", "--duration", "1", "--json")
    found = orjson.loads(done.stdout)

    assert done.returncode == 0
    assert found["seed"] == 1
    assert found["ledger"]["ok"]
    assert found["margin"]["total"]["requests"] == sum(row["requests"] for row in found["margin"]["customers"]) > 0


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.full)])
def test_a_signal_ends_it_early_and_in_order(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C reaches the whole group: exit 0, the table, and nothing left."""
    command = [*PENSTOCK, "demo", "--duration", "600", *CONFIG]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ(tmp_path), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        began = process.stdout.readline()
        os.killpg(process.pid, number)
        rest, _ = process.communicate(timeout=30)

    assert began.startswith("Live traffic for 600 seconds")
    assert process.returncode == 0
    assert "margin" in [line.strip() for line in rest.splitlines()]
    assert "The books are sound" in rest
    assert running(tmp_path) == []


def on_a_terminal(data_dir: Path, columns: int, rows: int) -> tuple[int, str]:
    """Run a demo of two seconds on a terminal of that size; return its exit code and all that was written."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = [*PENSTOCK, "demo", "--duration", "2", *CONFIG]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ(data_dir), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written = b"".join(_until_closed(ours))
        code = process.wait(30)
    os.close(ours)
    return code, written.decode()


def _until_closed(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # how Linux says that the other end is closed
            return
        if not piece:
            return
        yield piece


def test_a_terminal_shows_the_live_view_and_then_the_table(tmp_path: Path) -> None:
    """The live view has a screen of its own, which is left before the table is printed."""
    code, written = on_a_terminal(tmp_path, 100, 32)
    live, _, rest = written.partition("\x1b[?1049l")

    assert code == 0
    assert "\x1b[?1049h" in live
    for word in ("penstock demo", "requests", "revenue", "saved", "gpt-6-luna", "vandelay", "Ctrl-C ends it"):
        assert word in live
    assert "margin" in rest
    assert "The books are sound" in rest
    assert running(tmp_path) == []


@pytest.mark.full
def test_a_terminal_without_room_gets_lines(tmp_path: Path) -> None:
    """Under the smallest size nothing is drawn; the table comes all the same."""
    code, written = on_a_terminal(tmp_path, 50, 10)

    assert code == 0
    assert "\x1b[?1049h" not in written
    assert "Live traffic for 2 seconds" in written.replace("\r\n", " ")


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    """A port that was named and is in use ends it with exit code 2 and what to do about it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        own = environ(tmp_path) | {"PORT": str(taken.getsockname()[1])}
        done = subprocess.run(
            [*PENSTOCK, "demo", *CONFIG], cwd=ROOT, env=own, capture_output=True, text=True, timeout=60, check=False
        )

    assert done.returncode == 2
    assert "choose another with PORT=" in done.stderr
    assert "Traceback" not in done.stderr
    assert running(tmp_path) == []


def test_without_the_client_it_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is a tool of development: where it is missing nothing is started."""
    monkeypatch.setitem(sys.modules, "openai", None)

    done = CliRunner().invoke(main, ["demo", *CONFIG])

    assert done.exit_code == 2
    assert "make setup" in done.output
