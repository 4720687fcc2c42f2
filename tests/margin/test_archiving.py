"""An archived period leaves the ledger: sums, credits and proofs stay, and no moment of it is a wrong one to die."""

import os
import random
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from margin import records
from margin.ledger import audit, backup, heads, questions, rebuilding, store
from margin.ledger.archive import archiving, dividing, shelf
from margin.ledger.archive.archiving import NotArchived
from margin.ledger.journals import journal_dir
from margin.ledger.postings import ROLLUP_SUMS
from margin.ledger.store import LedgerFormat
from margin.ledger.terms import Period
from tests.margin.bookkeeping import (
    CREDIT,
    DAY,
    USD,
    Worker,
    at,
    balance,
    customer,
    grant,
    held,
    line,
    open_books,
    sellbook,
    settled,
    sound,
    void,
)

SEPTEMBER, OCTOBER, NOVEMBER = at("2026-09-10"), at("2026-10-10"), at("2026-11-10")


class Time:
    """A clock that is set by hand."""

    def __init__(self, monkeypatch):
        self.now = SEPTEMBER
        monkeypatch.setattr("time.time_ns", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    """Set what the books take for now."""
    return Time(monkeypatch)


def exchange(x, t, *, milli=2000, plan="prepaid", of=1):
    """Return the records of an exchange whose first call failed."""
    return [held(x, 3000, plan=plan, t=t, of=of),
            settled(x, milli, line(300, kind="failed"), line(700, n=2), baseline=5000, t=t)]  # fmt: skip


def booked(data_dir, clock, t, name, *entries, opening=()):
    """Open the books at some moment, journal and fold, and close them."""
    clock.now = t
    found = open_books(data_dir)
    for record in opening:
        found.record(record)
    worker = Worker(data_dir, name).write(*entries)
    found.fold_worker(worker.path)
    found.record(records.tick(t=t))
    found.close()
    worker.close()


@pytest.fixture
def folder(tmp_path, clock):
    """Three months: a worker's journal that ends in each, and one that lives from September on."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    opening = [sellbook(t=SEPTEMBER), customer(1, "prepaid", t=SEPTEMBER), customer(2, "overage", t=SEPTEMBER),
               customer(3, "starter", t=SEPTEMBER), grant("g1", 1000 * CREDIT, paid=150 * USD, t=SEPTEMBER),
               grant("g2", CREDIT, to=2, t=SEPTEMBER)]  # fmt: skip
    booked(data_dir, clock, SEPTEMBER, "worker-1", *exchange("x1", SEPTEMBER), held("x2", 1000, of=2, plan="overage",
           t=SEPTEMBER), void("x2", line(40, kind="failed"), t=SEPTEMBER), opening=opening)  # fmt: skip
    long = Worker(data_dir, "worker-long").write(
        *exchange("x3", SEPTEMBER), held("x4", 1000, plan="prepaid", t=SEPTEMBER)
    )
    clock.now = SEPTEMBER + DAY
    found = open_books(data_dir)
    found.fold_worker(long.path)
    found.close()
    booked(
        data_dir, clock, OCTOBER, "worker-2", *exchange("x5", OCTOBER), *exchange("x6", OCTOBER, plan="overage", of=2)
    )
    long.write(settled("x4", 1000, line(500), t=NOVEMBER)).close()
    booked(data_dir, clock, NOVEMBER, "worker-3", *exchange("x7", NOVEMBER))
    found = open_books(data_dir)
    found.fold_worker(long.path)
    found.close()
    return data_dir


def archived(data_dir, before, *, keeps_decisions=True):
    """Archive as the command does."""
    found = open_books(data_dir)
    made = archiving.prepare(data_dir, before, Period.named(before).start_t, keeps_decisions=keeps_decisions)
    found.record(records.archived(t=NOVEMBER, before=before, manifest=made.digest) | {"by": "uid 1000"})
    found.close()
    archiving.settle(data_dir)
    open_books(data_dir).close()
    return made


def answers(data_dir):
    """Return what every public question says."""
    found = open_books(data_dir)
    db = found.store.db
    said = [
        [questions.margin_by_customer(db, since_day=day) for day in ("", "2026-09-10", "2026-10-11", "2026-11-01")],
        [(questions.credit_balance(db, who), questions.grants(db, who)) for who in (1, 2, 3)],
        questions.totals(db, ("plan", "model", "outcome"), tuple(ROLLUP_SUMS)),
        [questions.credit_totals(db), questions.overdraft_milli(db), questions.refused_records(db)],
        [questions.charge(db, f"x{n}") for n in range(1, 8)],
        sorted(questions.cost_lines(db), key=lambda each: (each.x, each.n)),
        questions.cards(db),
    ]
    found.close()
    return said


def journals(data_dir):
    """Return the journals that lie in the folder."""
    return {path.name for path in journal_dir(data_dir).iterdir()}


def test_everything_answers_the_same_and_is_proved(folder):
    """Reports, credits, charges, cost lines; the audit with its twin; and a rebuild."""
    before = answers(folder)

    archived(folder, "2026-11")

    assert answers(folder) == before
    assert audit.audit(folder).violations == ()
    assert rebuilding.rebuild(folder, None).differences == ()
    assert list(archiving.differences(folder)) == []


def test_only_journals_that_had_ended_are_packed(folder):
    """That of the cut itself stays, and one that went on after it: the worker that lived on still stands whole."""
    archived(folder, "2026-10")

    assert sorted(shelf.archived(folder)) == ["keeper-000001.journal", "worker-1.journal"]
    assert {"keeper-000002.journal", "worker-2.journal", "worker-long.journal"} <= journals(folder)
    assert not journals(folder) & {"keeper-000001.journal", "worker-1.journal"}


def test_the_ledger_keeps_an_opening_in_place_of_old_transactions(folder):
    """Its legs are the balances at the cut, its key carries the hash of the keeper's journal there."""
    archived(folder, "2026-11")

    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        keys = [key for (key,) in db.execute("SELECT key FROM txns ORDER BY id")]
        charges = db.execute("SELECT COUNT(*) FROM charges").fetchone()[0]
    newest = shelf.newest(folder)
    assert keys[0] == f"opening:2026-11:{newest.reached.chain}"
    assert not {"close:x1", "close:x5"} & set(keys)
    assert charges == 2


def test_archiving_goes_on_month_by_month(folder):
    """The rows of all archivings lie together; the older ones keep their journals only."""
    before = answers(folder)

    archived(folder, "2026-10")
    archived(folder, "2026-11")

    assert answers(folder) == before
    assert audit.audit(folder).violations == ()
    assert list(archiving.differences(folder)) == []
    files = [sorted(path.name for path in each.path.iterdir()) for each in shelf.generations(folder)]
    assert files == [
        ["journals.tar.gz", "manifest.json"],
        ["checkpoint.sqlite", "journals.tar.gz", "made.json", "manifest.json", "rows.sqlite"],
    ]


def test_the_books_go_on_behind_an_archive(folder, clock):
    """What was used is used for ever; an old charge can be taken back and an old cost line corrected."""
    archived(folder, "2026-11")
    clock.now = NOVEMBER + DAY
    found = open_books(folder)
    worker = Worker(folder, "worker-4").write(*exchange("x1", NOVEMBER), *exchange("x8", NOVEMBER))
    found.fold_worker(worker.path)
    found.record(grant("g1", CREDIT, t=NOVEMBER))
    charge = questions.charge(found.store.db, "x1")
    row = [charge[name] for name in ("plan", "charge_tier", "served_tier", "provider", "model", "outcome")]
    found.record(records.reversed_charge(x="x1", t=clock.now, customer=1, credits_milli=2000, burnt=charge["burnt"],
                                         row=row, why="test"))  # fmt: skip
    found.record(records.corrected(
        x="x5", n=2, revision=1, t=clock.now, customer=1, plan="prepaid", charge_tier="medium", served_tier="simple",
        before=line(700, n=2), after=line(900, n=2), why="test", source="test"))  # fmt: skip
    found.commit()

    refused = [why for (why,) in found.store.db.execute("SELECT why FROM refused")]
    costs = {(each.x, each.n): each.cost_nusd for each in questions.cost_lines(found.store.db)}
    assert refused == ["held twice", "settled without a hold", "granted twice"]
    assert costs["x5", 2] == 900
    assert questions.charge(found.store.db, "x1")["reversal"]["credits_milli"] == 2000
    assert balance(found)["spent"] == 5 * 2000 + 1000 - 2000
    assert [each for each in sound(found) if "had no effect" not in each and "is missing" not in each] == []
    found.close()
    worker.close()
    (only,) = audit.audit(folder).violations
    assert only == "3 journal records had no effect (a settlement without a hold, or the like)"


def test_a_lost_ledger_comes_back_from_the_checkpoint(folder):
    """It begins where the archive ends."""
    before = answers(folder)
    archived(folder, "2026-11")
    for path in folder.glob("ledger.sqlite*"):
        path.unlink()

    assert answers(folder) == before


def test_an_archive_that_is_missing_is_named(folder):
    """Whatever lies in the journals is not all of it."""
    archived(folder, "2026-11")
    (folder / "archive").rename(folder / "elsewhere")

    with pytest.raises(LedgerFormat, match="begins behind the archive before-2026-11, which is missing"):
        open_books(folder)


@pytest.mark.parametrize("name", ["checkpoint.sqlite", "rows.sqlite", "journals.tar.gz", "manifest.json", "made.json"])
def test_a_flipped_bit_in_the_archive_is_found(folder, name):
    """In each of its files."""
    archived(folder, "2026-11")
    path = shelf.newest(folder).path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    try:
        found = audit.audit(folder).violations
    except Exception as error:  # noqa: BLE001 - a sentence of any kind
        found = [str(error)]

    assert found


def test_an_archive_that_was_made_otherwise_is_found(folder):
    """With honest digests of its own, too: the journals make another one."""
    archived(folder, "2026-11")
    newest = shelf.newest(folder).path
    with closing(sqlite3.connect(newest / "rows.sqlite")) as db:
        db.execute("UPDATE charges SET credits_milli = 1 WHERE x = 'x1'")
        db.commit()
    digests = {name: shelf.digest(newest / name) for name in ("checkpoint.sqlite", "rows.sqlite")}
    (newest / "made.json").write_text(str(digests).replace("'", '"'))

    found = list(archiving.differences(folder))

    assert [each.partition(": charges")[0] for each in found] == ["before-2026-11/rows.sqlite"]


def test_another_format_makes_checkpoint_and_rows_anew(folder, monkeypatch):
    """From the archived journals, archiving by archiving."""
    before = answers(folder)
    archived(folder, "2026-10")
    archived(folder, "2026-11")
    monkeypatch.setattr(store, "FORMAT", store.FORMAT + 1)

    assert answers(folder) == before
    assert audit.audit(folder).violations == ()
    assert dividing.format_of(shelf.newest(folder).path / "checkpoint.sqlite") == store.FORMAT


def test_heads_of_archived_journals_are_still_proved(folder, tmp_path):
    """Also in the middle of one that is packed by now."""
    found = open_books(folder)
    key = b"a key of the tests, long enough"
    path = folder / heads.FILE_NAME
    heads.note(path, key, t=NOVEMBER, folder=found.folder_id, positions=found.state.journals)
    found.close()
    shutil.copy(path, tmp_path / "exported")

    archived(folder, "2026-11")

    assert list(heads.unproved(folder, tmp_path / "exported", key)) == []
    assert audit.audit(folder).violations == ()


def test_a_backup_has_the_archive(folder, tmp_path):
    """It verifies by itself."""
    archived(folder, "2026-11")
    before = answers(folder)

    backup.backup(folder, tmp_path / "copy")

    assert audit.audit(tmp_path / "copy").violations == ()
    assert answers(tmp_path / "copy") == before


def test_details_that_are_not_kept_for_ever_do_not_go_into_the_archive(folder):
    """Amounts, versions and usage do."""
    archived(folder, "2026-11", keeps_decisions=False)
    found = open_books(folder)

    charge = questions.charge(found.store.db, "x1")

    assert charge["decision"] == {}
    assert (charge["credits_milli"], charge["plan_version"]) == (2000, "v1")
    assert list(archiving.differences(folder)) == []
    found.close()


def test_what_cannot_be_archived_is_refused(folder):
    """A month before everything, the same month again, and books that are not what their journals make."""
    archived(folder, "2026-10")
    for before, why in (("2026-09", "nothing was journalled"), ("2026-10", "nothing was journalled")):
        with pytest.raises(NotArchived, match=why):
            archiving.prepare(folder, before, Period.named(before).start_t, keeps_decisions=True)
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        db.execute("UPDATE accounts SET balance = balance + 1 WHERE name = 'credits.spent'")
        db.commit()

    with pytest.raises(NotArchived, match="not what its journals make"):
        archiving.prepare(folder, "2026-11", Period.named("2026-11").start_t, keeps_decisions=True)


FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "sqlite3.connect"}
"""What Python tells an audit hook of, before it touches a file."""


def touches(data_dir, kill_at=None):
    """Archive in a process of its own; return how many times it touches a file, None when it was killed at one."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        touched = 0

        def hook(event, _):
            nonlocal touched
            touched += event in FILE_EVENTS
            if touched == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            archived(data_dir, "2026-11")
            os.write(writer, str(touched).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        found = said.read()
    os.waitpid(pid, 0)
    return int(found) if found else None


@pytest.mark.parametrize("count", [3, pytest.param(4096, marks=[pytest.mark.full, pytest.mark.timeout(900)])])
def test_a_process_that_is_killed_leaves_whole_books(folder, tmp_path, count):
    """Wherever it dies the next opening has the archive or has none; archiving again comes to the same."""
    before = answers(folder)
    whole = touches(Path(shutil.copytree(folder, tmp_path / "counted")))
    seed = random.randrange(2**32)
    print(f"seed {seed}")

    for number in random.Random(seed).sample(range(1, whole + 1), min(count, whole)):
        copy = Path(shutil.copytree(folder, tmp_path / f"killed-{number}"))
        touches(copy, kill_at=number)

        assert answers(copy) == before, number
        assert audit.audit(copy).violations == (), number
        if shelf.newest(copy) is None:
            archived(copy, "2026-11")
        assert answers(copy) == before, number
        assert audit.audit(copy).violations == (), number
        assert not list((copy / "archive").glob(".*")), number

    assert whole > 100


def test_a_proof_writes_into_no_journal_that_lies_there_still(folder):
    """A crash may leave a journal beside its archive, and an archive may name one that is not in it by right."""
    archived(folder, "2026-11")
    (name, *_) = shelf.archived(folder)
    live = journal_dir(folder) / name
    live.write_bytes(b"longer than what was archived\n" * 10_000)
    before = live.read_bytes()

    with shelf.unpacked(folder) as whole:
        unpacked = journal_dir(whole) / name
        assert not unpacked.is_symlink()
        assert unpacked.read_bytes() != before

    assert live.read_bytes() == before
