"""What an office does where files of its folder have lost what the others know: it says so, or does not open."""

import shutil

import pytest

from margin.ledger import ahead
from proxy.keeper.directory import DirectoryLost
from tests.keeper.offices import office
from tests.keeper.test_commands import result


def without_last_line(path):
    """Cut a journal before its last record."""
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def test_a_keepers_journal_that_was_cut_is_told_in_the_log_and_by_verify(found, caplog):
    """The books go on without what it lacks; the ledger that had it lies aside and is named."""
    data_dir = found.settings.server.data_dir
    found.grant("acme", 1000, paid_nusd=0, expires_t=None)
    found.close()
    without_last_line(found.books.journal.path)

    again = office(data_dir)

    (kept,) = ahead.kept(data_dir)
    assert str(kept) in caplog.text
    assert found.books.journal.path.name in caplog.text
    verdict = result(again, "ledger.verify")
    assert verdict["ok"] is False
    assert any(kept.name in each for each in verdict["violations"])
    again.close()


@pytest.mark.parametrize("loss", ["the file", "an old copy"])
def test_books_whose_customers_have_no_names_do_not_open(found, tmp_path, loss):
    """Their names would be opened again under new numbers, with none of their credits. Put back, all is as it was."""
    path = found.settings.server.data_dir / "directory.sqlite"
    found.open_customer("acme")
    found.close()
    shutil.copy(path, tmp_path / "old.sqlite")
    reopened = office(found.settings.server.data_dir)
    reopened.open_customer("globex")
    reopened.close()
    path.rename(tmp_path / "whole.sqlite")
    if loss == "an old copy":
        shutil.copy(tmp_path / "old.sqlite", path)

    with pytest.raises(DirectoryLost, match=r"directory.sqlite lacks the names of . customers .*2\): put it back"):
        office(found.settings.server.data_dir)

    (tmp_path / "whole.sqlite").replace(path)
    again = office(found.settings.server.data_dir)
    assert [again.number("acme"), again.number("globex")] == [1, 2]
    again.close()
