"""Progress is a line on a terminal, and nothing where stderr is none."""

import os
import pty
import subprocess
import sys

SAYS = """
from proxy.cli.progress import shown
with shown() as progress:
    progress("folding the journals", 20_000)
print("done")
"""


def said(stderr: int) -> str:
    """Run a command whose stderr is a descriptor; return its stdout."""
    environ = os.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    return subprocess.run([sys.executable, "-c", SAYS], stderr=stderr, stdout=subprocess.PIPE, env=environ, check=True,
                          text=True).stdout  # fmt: skip


def test_a_terminal_is_told_and_its_line_is_taken_away():
    """Nothing of it reaches stdout."""
    ours, theirs = pty.openpty()

    out = said(theirs)

    os.close(theirs)
    told = os.read(ours, 65_536).decode()
    os.close(ours)
    assert out == "done\n"
    assert "folding the journals: 20,000" in told
    assert told.rstrip("\r\n").endswith(("\x1b[2K", "\x1b[?25h"))


def test_no_terminal_is_told_nothing(tmp_path):
    """A log stays empty."""
    with (tmp_path / "log").open("w") as log:
        said(log.fileno())

    assert (tmp_path / "log").read_text() == ""
