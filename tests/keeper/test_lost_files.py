"""What an office does where files of its folder have lost what the others know: it says so, or does not open."""

from margin.ledger import aside
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

    (kept,) = aside.kept(data_dir)
    assert str(kept) in caplog.text
    assert found.books.journal.path.name in caplog.text
    verdict = result(again, "ledger.verify")
    assert verdict["ok"] is False
    assert any(kept.name in each for each in verdict["violations"])
    again.close()
