"""The keeper notes the heads of its journals by itself; a journal of another folder stops a start, not a service."""

import os
import shutil
import time
from pathlib import Path

import pytest

from margin.journal import Position
from margin.ledger import heads
from margin.ledger.journals import JournalForeign
from proxy.keeper.office import Office
from tests.keeper.offices import again, office, settings
from tests.keeper.test_commands import refusal, result
from tests.margin.bookkeeping import DAY, Worker, held, settled


def notes(found):
    """Return the notes of an office's folder."""
    return heads.read(found.settings.server.data_dir / heads.FILE_NAME)


def test_heads_are_noted_at_each_start_and_once_a_day(found, monkeypatch):
    """Ticks of the same day note nothing, the first of the next does; a start always."""
    started = len(notes(found))
    found.tick()
    same_day = len(notes(found))
    tomorrow = time.time_ns() + DAY
    monkeypatch.setattr(time, "time_ns", lambda: tomorrow)
    found.tick()
    found.tick()
    next_day = len(notes(found))
    monkeypatch.undo()

    later = again(found)

    assert (started, same_day, next_day, len(notes(later))) == (1, 1, 2, 3)
    later.close()


def test_a_command_without_a_server_notes_the_first_tick_of_a_day_too(tmp_path):
    """And no second one."""
    for _ in range(2):
        command = Office(settings(tmp_path / "data"))
        command.tick()
        command.close()

    assert len(notes(command)) == 1


def test_heads_are_noted_when_asked(found):
    """All that is folded is in them, up to this moment."""
    assert result(found, "ledger.heads") == {"folder": found.books.folder_id}

    journal = found.books.journal
    assert heads.noted(notes(found))[journal.path.name] == Position(journal.offset, journal.chain)


def test_the_key_may_lie_elsewhere(tmp_path):
    """It is made where the configuration says, against the file's folder, and nowhere else."""
    (tmp_path / "safe").mkdir()
    opened = office(tmp_path / "data", more="store: {heads_key: safe/heads.key}\n")
    opened.close()

    (signed,) = notes(opened)
    assert signed.key == heads.fingerprint(heads.key_of(tmp_path / "safe" / "heads.key", make=False))
    assert not (tmp_path / "data" / "heads.key").exists()


def test_heads_that_cannot_be_noted_end_no_service(found, caplog, monkeypatch):
    """The log says so at each tick; a command that asks for them is refused."""
    path = found.settings.server.data_dir / heads.FILE_NAME
    path.write_text("notes of mine\n")
    tomorrow = time.time_ns() + DAY
    monkeypatch.setattr(time, "time_ns", lambda: tomorrow)

    found.tick()

    assert "line 1 is no note of heads" in caplog.text
    assert "line 1 is no note of heads" in refusal(found, "ledger.heads")


def test_heads_that_were_lost_are_told_by_verify_and_in_the_log(found, caplog):
    """Also where the command itself notes them anew before it proves them."""
    Worker(found.settings.server.data_dir, "worker-own").write(held("x1", 0), settled("x1", 0)).close()
    found.open_customer("acme")
    found.fold_all()
    found.close()
    (found.settings.server.data_dir / heads.FILE_NAME).unlink()
    command = Office(found.settings)

    verdict = result(command, "ledger.verify")

    command.close()
    assert verdict["ok"] is False
    assert verdict["violations"] == [
        "heads.log is missing or empty, and this folder was served: earlier heads are lost"
    ]
    assert "earlier heads are lost" in caplog.text


def foreign(tmp_path, name="worker-other.journal"):
    """Return a worker's journal of another folder, under some name."""
    other = office(tmp_path / "other" / "data")
    opened = {"k": "opened", "t": time.time_ns(), "role": "worker", "version": "test", "folder": other.books.folder_id}
    worker = Worker(tmp_path / "other" / "data", "worker-other")
    worker.write(opened, held("x1", 0), settled("x1", 0)).close()
    other.close()
    return Path(os.rename(worker.path, worker.path.with_name(name)) or worker.path.with_name(name))


def test_a_foreign_journal_is_an_error_at_a_start(found, tmp_path):
    """Nothing is folded over it."""
    shutil.copy(foreign(tmp_path), found.books.folder)

    with pytest.raises(JournalForeign, match="worker-other"):
        found.fold_all()


def test_a_foreign_journal_is_left_alone_by_a_service(found, tmp_path, caplog):
    """It is named once, what else there is goes on being folded, and it is forgotten when it is taken away."""
    found.foreign = {}
    shutil.copy(foreign(tmp_path), found.books.folder)
    own = Worker(found.settings.server.data_dir, "worker-own")
    found.open_customer("acme")
    own.write(held("x2", 0), settled("x2", 0)).close()

    folded = [found.fold_all(), found.fold_all()]

    assert folded == [2, 0]
    assert list(found.foreign) == ["worker-other.journal"]
    assert caplog.text.count("worker-other.journal") == 1
    (found.books.folder / "worker-other.journal").unlink()
    found.fold_all()
    assert found.foreign == {}
