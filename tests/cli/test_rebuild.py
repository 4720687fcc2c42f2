"""`penstock ledger rebuild`: its exit codes, and that a folder in use is left alone."""

import json

import pytest
from click.testing import CliRunner

from margin.ledger.books import Books
from proxy.cli import main
from proxy.keeper.lock import Lock
from tests.settings.writing import ENVIRON, changed


@pytest.fixture
def data_dir(tmp_path):
    """A data folder with closed books."""
    folder = tmp_path / "data"
    folder.mkdir()
    Books(folder, version="test").close()
    return folder


@pytest.fixture
def rebuild(tmp_path, data_dir, monkeypatch):
    """Run the command beside that folder, as a shell would."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "penstock.yaml"
    config.write_text(changed("data_dir: ./books", f"data_dir: {data_dir}"), encoding="utf-8")

    def run(*words):
        arguments = ["ledger", "rebuild", *words, "--config", str(config)]
        return CliRunner().invoke(main, arguments, env=dict(ENVIRON), catch_exceptions=False)

    return run


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
