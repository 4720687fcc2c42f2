"""`penstock ledger heads` exports, `ledger verify --heads` proves; `ledger backup` copies: exit codes and words."""

import json

from margin.ledger.books import Books


def test_heads_are_exported_once_and_proved(ledger, tmp_path):
    """A second export to the same file is refused: it would forget what the first one knew."""
    exported = ledger("heads", "--export", "heads.log")
    again = ledger("heads", "--export", "heads.log")
    proved = ledger("verify", "--heads", "heads.log")

    assert exported.exit_code == 0, exported.output
    assert "heads.log has 1 notes" in exported.stdout or "heads.log has 2 notes" in exported.stdout
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert proved.exit_code == 0, proved.output
    assert (tmp_path / "heads.log").stat().st_mode & 0o777 == 0o600


def test_heads_are_shown_as_a_table_and_as_json(ledger):
    """Each note with its HMAC; the key itself is nowhere."""
    table, document = ledger("heads"), ledger("heads", "--json")

    notes = json.loads(document.stdout)["notes"]
    assert {"day", "folder", "hmac", "before", "key", "heads", "t"} == notes[0].keys()
    assert notes[0]["hmac"][:16] in table.stdout


def test_a_folder_written_anew_exits_1(ledger, data_dir):
    """With the operator's own key at hand, too: the exported heads name journals that are gone."""
    ledger("heads", "--export", "heads.log")
    for path in [*(data_dir / "journal").iterdir(), data_dir / "ledger.sqlite", data_dir / "heads.log"]:
        path.unlink()
    Books(data_dir, version="test").close()

    proved = ledger("verify", "--heads", "heads.log", "--json")

    assert proved.exit_code == 1
    found = json.loads(proved.stdout)
    assert found["ok"] is False
    assert any("is of another data folder" in each for each in found["violations"])


def test_a_missing_key_is_a_sentence(ledger, data_dir):
    """Without it nothing is proved."""
    ledger("heads", "--export", "heads.log")
    (data_dir / "heads.key").unlink()

    proved = ledger("verify", "--heads", "heads.log")

    assert proved.exit_code == 2
    assert "heads.key" in proved.stderr


def test_a_backup_is_a_folder_that_verifies(ledger, data_dir, tmp_path):
    """It has the heads and not their key; one that is there is not written to."""
    ledger("heads")

    copied = ledger("backup", str(tmp_path / "copy"), "--json")
    again = ledger("backup", str(tmp_path / "copy"))

    assert copied.exit_code == 0, copied.output
    assert json.loads(copied.stdout) == {"folder": str(tmp_path / "copy")}
    files = sorted(path.name for path in (tmp_path / "copy").iterdir())
    assert files == ["directory.sqlite", "heads.log", "journal", "ledger.sqlite"]
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    data_dir.rename(tmp_path / "lost")
    (tmp_path / "copy").rename(data_dir)
    assert ledger("verify").exit_code == 0


def test_a_backup_of_no_ledger_exits_1_and_leaves_nothing(ledger, data_dir, tmp_path):
    """Half of one would look like one."""
    (data_dir / "ledger.sqlite").write_bytes(b"no ledger at all\n" * 100)

    failed = ledger("backup", str(tmp_path / "copy"))

    assert failed.exit_code == 1
    assert "cannot back up" in failed.stderr
    assert not list(tmp_path.glob("copy*"))
