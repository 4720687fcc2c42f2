"""Heads of the journals: noted, signed and exported, they find out who wrote a whole journal anew."""

import json
import shutil
from pathlib import Path

import pytest

from margin.journal import Position
from margin.ledger import audit, heads
from margin.ledger.heads import FIRST, HeadsError
from margin.ledger.journals import JournalForeign, folder_id, journal_dir
from tests.margin.bookkeeping import BOUGHT, CREDIT, DAY, T0, Worker, grant, held, line, open_books, settled

KEY = b"a key of the tests, long enough"


def exchange(charge):
    """Return the records of one exchange."""
    return [held("x1", 3000, plan="prepaid"), settled("x1", charge, line(700))]


def booked(folder, *records):
    """Journal and fold records; close the books."""
    found = open_books(folder)
    for record in BOUGHT:
        found.record(record)
    worker = Worker(folder).write(*records)
    found.fold_worker(worker.path)
    found.commit()
    worker.close()
    return found


def note(found, *, t=T0, key=KEY):
    """Note the heads of open books."""
    path = found.ledger_path.with_name(heads.FILE_NAME)
    heads.note(path, key, t=t, folder=found.folder_id, positions=found.state.journals)
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder whose heads were noted after an exchange, and exported."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    found = booked(data_dir, *exchange(2000))
    shutil.copy(note(found), tmp_path / "exported")
    found.close()
    return data_dir


def unproved(folder, key=KEY):
    """Return what of the exported heads the folder does not contain any more."""
    return list(heads.unproved(folder, folder.parent / "exported", key))


def test_a_folder_contains_its_heads(folder):
    """Also after it has gone on."""
    again = open_books(folder)
    again.record(grant("g2", CREDIT))
    again.close()

    assert unproved(folder) == []
    assert audit.audit(folder).violations == ()


def test_a_note_names_what_went_on_and_follows_the_one_before(tmp_path):
    """A journal that stands still is named once; the first note follows nothing."""
    found = booked(tmp_path, *exchange(2000))
    note(found)
    found.record(grant("g2", CREDIT))
    found.commit()
    first, second = heads.read(note(found, t=T0 + DAY))
    found.close()

    assert sorted(first.heads) == ["keeper-000001.journal", "worker-1.journal"]
    assert sorted(second.heads) == ["keeper-000001.journal"]
    assert (first.before, second.before) == (FIRST, first.hmac)
    assert first.folder == folder_id(journal_dir(tmp_path))


def test_a_torn_note_gives_way_to_the_next(tmp_path):
    """What a crash left of a line is no note, and nothing that was whole is lost."""
    found = booked(tmp_path, *exchange(2000))
    path = note(found)
    with path.open("ab") as file:
        file.write(b"0123abcd {")

    notes = heads.read(note(found, t=T0 + DAY))
    found.close()

    assert len(notes) == 2
    assert path.read_bytes().count(b"\n") == 2


def test_books_written_anew_are_found_out_by_exported_heads_only(folder):
    """Whoever writes journals, ledger and heads anew leaves an honest chain, and cannot sign it."""
    own = folder_id(journal_dir(folder))
    shutil.rmtree(folder)
    folder.mkdir()
    forged = booked(folder, *exchange(1000))
    assert forged.folder_id != own
    note(forged, key=b"a key that the forger made up")
    forged.close()

    assert audit.audit(folder).violations == ()
    assert [each for each in unproved(folder) if "keeper-000001.journal has no record" in each]


def test_a_journal_written_anew_is_missed_by_the_folders_own_heads(folder):
    """Its ledger was folded anew too, so that everything else agrees."""
    own = folder_id(journal_dir(folder))
    for path in [folder / "ledger.sqlite", *journal_dir(folder).iterdir()]:
        path.unlink()
    forged = open_books(folder)
    forged.folder_id = own
    forged.close()

    assert [each for each in audit.audit(folder).violations if "where its head was noted" in each]


def test_a_change_of_the_heads_themselves_is_found(folder):
    """An offset, an order, a missing line, another key, another folder."""
    found = open_books(folder)
    exported = folder.parent / "exported"
    shutil.copy(note(found, t=T0 + DAY), exported)
    found.close()
    first, second = exported.read_bytes().splitlines(keepends=True)
    content = json.loads(first[65:])
    content["heads"][0][1] += 1

    def said(*lines, key=KEY):
        exported.write_bytes(b"".join(lines))
        return " ".join(unproved(folder, key))

    assert "is not what was signed" in said(first[:65] + json.dumps(content).encode() + b"\n", second)
    assert "does not follow the note before it" in said(second, first)
    assert "was signed with another key" in said(first, second, key=b"another key, of no meaning")
    assert "has no heads" in said()
    with pytest.raises(HeadsError, match="line 2 is no note of heads"):
        said(first, b"notes of mine\n")


def test_a_key_is_made_once_for_this_account_alone(tmp_path):
    """It is the same at the next start; what is too short is none, and a missing one is not made for a reader."""
    made = heads.key_of(tmp_path / "heads.key", make=True)
    (tmp_path / "short").write_text("secret\n")

    assert heads.key_of(tmp_path / "heads.key", make=True) == made
    assert len(made) == 2 * heads.KEY_BYTES
    assert (tmp_path / "heads.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(HeadsError, match="holds less than 16 bytes"):
        heads.key_of(tmp_path / "short", make=True)
    with pytest.raises(FileNotFoundError):
        heads.key_of(tmp_path / "none", make=False)


# ---- journals of another folder --------------------------------------------------------------------------------------


def foreign(tmp_path):
    """Return a whole worker's journal of another folder."""
    other = tmp_path / "other"
    other.mkdir()
    found = open_books(other)
    opened = {"k": "opened", "t": T0, "role": "worker", "format": 1, "version": "test", "folder": found.folder_id}
    worker = Worker(other, "worker-other").write(opened, *exchange(1000))
    worker.close()
    found.close()
    return worker.path


def test_a_journal_of_another_folder_is_never_folded(folder, tmp_path):
    """Its chain is honest; its first record says where it was written."""
    path = Path(shutil.copy(foreign(tmp_path), journal_dir(folder)))
    found = open_books(folder)
    before = found.state.journals

    with pytest.raises(JournalForeign, match=r"worker-other.journal at byte 0: it was written in another data folder"):
        found.fold_worker(path)

    assert found.state.journals == before
    found.close()
    assert audit.audit(folder).violations == (
        "journal worker-other.journal at byte 0: it was written in another data folder",
    )


def test_a_keepers_journal_of_another_folder_is_not_followed(folder, tmp_path):
    """It would be the next in order."""
    foreign(tmp_path)
    other = journal_dir(tmp_path / "other") / "keeper-000001.journal"
    shutil.copy(other, journal_dir(folder) / "keeper-000002.journal")

    with pytest.raises(JournalForeign, match="keeper-000002"):
        open_books(folder)


def test_a_journal_that_names_no_folder_needs_a_head(folder):
    """One of 0.1.0 is noted at the first start of today's; one that comes later, from nowhere, is told."""
    Worker(folder, "worker-2").write(held("x2", 1000, plan="prepaid")).close()

    assert unproved(folder) == ["journal worker-2.journal names no folder, and no head knows it"]


def test_a_position_of_no_bytes_is_no_head(tmp_path):
    """A journal that nothing was folded of has nothing to prove."""
    path = tmp_path / heads.FILE_NAME
    heads.note(path, KEY, t=T0, folder=None, positions={"worker-1.journal": Position()})

    assert [each.heads for each in heads.read(path)] == [{}]


def test_an_audit_proves_the_folders_own_heads(folder, tmp_path):
    """Their links always, what was signed where the key is at hand, and that they are there at all."""
    key = tmp_path / "heads.key"
    key.write_bytes(KEY)
    path = folder / heads.FILE_NAME

    def found(known):
        return audit.audit(folder, known=audit.Known(key=known)).violations

    first = path.read_bytes()
    reopened = open_books(folder)
    note(reopened, t=T0 + DAY)
    reopened.close()
    whole = path.read_bytes()
    assert found(key) == found(None) == ()

    path.write_bytes(whole.removeprefix(first))
    assert [each.partition(") ")[2] for each in found(None)] == ["does not follow the note before it"]
    path.write_bytes(whole.replace(b'"2026-11-21"', b'"2026-11-22"'))
    assert found(None) == ()
    assert [each.partition(") ")[2] for each in found(key)] == ["is not what was signed"]
    path.write_bytes(b"")
    assert found(None) == ()
    assert found(key) == ("heads.log is missing or empty, and this folder was served: earlier heads are lost",)
