"""A data folder, and the `ledger` commands run beside it."""

import pytest
from click.testing import CliRunner

from margin.ledger.books import Books
from proxy.cli import main
from tests.settings.writing import ENVIRON, changed


@pytest.fixture
def data_dir(tmp_path):
    """A data folder with closed books."""
    folder = tmp_path / "data"
    folder.mkdir()
    Books(folder, version="test").close()
    return folder


@pytest.fixture
def ledger(tmp_path, data_dir, monkeypatch):
    """Run a command of the group beside that folder, as a shell would."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "penstock.yaml"
    config.write_text(changed("data_dir: ./books", f"data_dir: {data_dir}"), encoding="utf-8")

    def run(*words):
        arguments = ["ledger", *words, "--config", str(config)]
        return CliRunner().invoke(main, arguments, env=dict(ENVIRON), catch_exceptions=False)

    return run
