"""`penstock completion`: the scripts, and that what they call completes."""

import os
import subprocess

import orjson
import pytest
from click.testing import CliRunner

from proxy.cli import main
from tests.e2e.server import PENSTOCK
from tests.grafana.programs import program

SHELLS = ("bash", "zsh", "fish")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell):
    """The script asks `penstock` by click's variable, in the manner of its shell."""
    done = CliRunner().invoke(main, ["completion", shell])

    assert done.exit_code == 0, done.output
    assert f"_PENSTOCK_COMPLETE={shell}_complete" in done.stdout


def test_json_is_one_document():
    """With --json the script is a string in it."""
    found = orjson.loads(CliRunner().invoke(main, ["completion", "fish", "--json"]).stdout)

    assert found["shell"] == "fish"
    assert "_PENSTOCK_COMPLETE" in found["script"]


def test_another_shell_is_refused():
    """The message lists those that are known; the exit code is that of wrong usage."""
    done = CliRunner().invoke(main, ["completion", "tcsh"])

    assert done.exit_code == 2
    assert all(shell in done.stderr for shell in SHELLS)


def test_bash_completes_a_command():
    """Bash takes the script without a word, and its function answers `penstock che<TAB>` with `check`."""
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    pressed = 'COMP_WORDS=(penstock che); COMP_CWORD=1; _penstock_completion penstock; echo "${COMPREPLY[@]}"'
    environ = {"PATH": f"{PENSTOCK.parent}{os.pathsep}{os.environ['PATH']}"}

    done = subprocess.run(
        [program("bash", "bash"), "--norc", "-c", f"{script}\n{pressed}"],
        env=environ, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (0, "check\n", "")
