"""`penstock ledger rebuild`: its exit codes, and that a folder in use is left alone."""

import json
from functools import partial

import pytest

from proxy.keeper.lock import Lock


@pytest.fixture
def rebuild(ledger):
    """Run the command as a shell would."""
    return partial(ledger, "rebuild")


def test_the_same_ledger_exits_0(rebuild, tmp_path):
    """The new file is where it was asked for, and a second run does not write over it."""
    first = rebuild("--into", str(tmp_path / "new.sqlite"), "--json")
    second = rebuild("--into", str(tmp_path / "new.sqlite"))

    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["differences"] == []
    assert (tmp_path / "new.sqlite").exists()
    assert second.exit_code == 2
    assert "is there already" in second.stderr


def test_a_ledger_that_differs_exits_1_and_is_replaced_when_asked(rebuild, data_dir):
    """After that it is the same."""
    (data_dir / "ledger.sqlite").write_bytes(b"no ledger at all\n" * 100)

    codes = [rebuild(*words).exit_code for words in ((), ("--replace",), ())]

    assert codes == [1, 1, 0]


def test_a_folder_in_use_is_not_replaced(rebuild, data_dir):
    """Comparing goes on; replacing says why not, and exits with 3."""
    lock = Lock(data_dir)
    lock.acquire(0)
    before = (data_dir / "ledger.sqlite").read_bytes()

    compared, replaced = rebuild(), rebuild("--replace")

    lock.release()
    assert compared.exit_code == 0, compared.output
    assert replaced.exit_code == 3
    assert "keeps this data folder" in replaced.stderr
    assert (data_dir / "ledger.sqlite").read_bytes() == before
