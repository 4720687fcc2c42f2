"""Whoever changes the ledger or the journals behind our back is found out."""

import sqlite3

import pytest

from margin.ledger import journals, verify
from margin.ledger.store import Store
from tests.margin.bookkeeping import (
    CREDIT,
    T0,
    USD,
    Worker,
    called,
    customer,
    grant,
    held,
    line,
    mark,
    open_books,
    sellbook,
    settled,
    void,
)

GRANTS = [grant("g1", 1000 * CREDIT, paid=150 * USD), grant("g2", 50 * CREDIT), grant("g3", 9 * CREDIT, to=2)]
EXCHANGES = [
    held("x1", 3000, plan="prepaid"), called("x1"), mark("x1"),
    settled("x1", 2000, line(300, kind="failed"), line(700, n=2), baseline=5000),
    held("x2", 1000, plan="prepaid"), void("x2", line(40, kind="failed")),
    held("x3", 1000, plan="prepaid"), settled("x3", 1000, line(9000, kind="estimated"), baseline=8000),
    held("x4", 1000, of=2, plan="overage"), settled("x4", 1000, line(None)),
    held("x5", 4000, plan="prepaid"), called("x5"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A folder with closed books: two customers, grants, an exchange of each kind, one of them still open."""
    found = open_books(tmp_path)
    for record in [sellbook(), customer(1, "prepaid"), customer(2, "overage"), *GRANTS]:
        found.record(record)
    worker = Worker(tmp_path).write(*EXCHANGES)
    found.fold_worker(worker.path)
    found.close()
    worker.close()
    return tmp_path


def violations(folder):
    """Verify a ledger as a keeper that has just opened it does."""
    store = Store(folder / "ledger.sqlite")
    try:
        return verify.violations(store.db, store.state())
    finally:
        store.close()


def tampered(folder, sql, *values):
    """Change the ledger's file with the guards taken off."""
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.execute("DROP TRIGGER IF EXISTS entries_are_final")
        db.execute("DROP TRIGGER IF EXISTS entries_stay")
        assert db.execute(sql, values).rowcount > 0
    db.close()
    return violations(folder)


def test_sound_books_have_nothing_to_report(folder):
    """What we wrote ourselves contradicts nothing."""
    assert violations(folder) == []


ACCOUNT = "(SELECT id FROM accounts WHERE name = '{}' AND customer = {})"
TAMPERINGS = {
    "an entry's amount": "UPDATE entries SET amount = amount + 1 WHERE id = 3",
    "both legs of a transaction": "UPDATE entries SET amount = amount * 2 WHERE txn = (SELECT MIN(txn) FROM entries)",
    "an entry's account": f"UPDATE entries SET account = {ACCOUNT.format('credits.spent', 1)} WHERE id = 1",
    "an entry is gone": "DELETE FROM entries WHERE id = 5",
    "a whole transaction is gone": "DELETE FROM entries WHERE txn = (SELECT id FROM txns WHERE key = 'close:x1')",
    "a balance": "UPDATE accounts SET balance = balance + 1 WHERE name = 'cogs.model'",
    "two balances": "UPDATE accounts SET balance = balance * 2 WHERE name IN ('credits.issued', 'credits.balance')",
    "revenue in the rollup": "UPDATE rollup SET revenue_credits_nusd = revenue_credits_nusd + 1",
    "cost in the rollup": "UPDATE rollup SET cost_model_nusd = cost_model_nusd - 1",
    "requests in the rollup": "UPDATE rollup SET requests = requests + 1 WHERE requests = 1",
    "credits in the rollup": "UPDATE rollup SET credits_milli = credits_milli + 1",
    "savings by marks in the rollup": "UPDATE rollup SET saving_prompt_nusd = saving_prompt_nusd + 1",
    "savings in the rollup": "UPDATE rollup SET saving_routing_nusd = saving_routing_nusd + 1",
    "losses in the rollup": "UPDATE rollup SET saving_negative_nusd = 0",
    "baselines in the rollup": "UPDATE rollup SET baseline_nusd = baseline_nusd + 1",
    "unpriced requests in the rollup": "UPDATE rollup SET unpriced = 0",
    "a row of the rollup is gone": "DELETE FROM rollup WHERE requests = 1",
    "a month's margin": "UPDATE margin_months SET cost_nusd = cost_nusd + 1",
    "a month is gone": "DELETE FROM margin_months WHERE customer = 2",
    "a week's margin": "UPDATE margin_weeks SET cost_nusd = cost_nusd + 1",
    "a week is gone": "DELETE FROM margin_weeks WHERE customer = 2",
    "a day's margin": "UPDATE margin_days SET revenue_nusd = revenue_nusd + 1",
    "a total": "UPDATE rollup_totals SET input = input + 1",
    "a total is gone": "DELETE FROM rollup_totals WHERE outcome = 'ok'",
    "a day's tier": "UPDATE tier_days SET baseline_nusd = baseline_nusd + 1",
    "a balance of all": "UPDATE balances SET balance = balance + 1 WHERE account = 'credits.issued'",
    "a charge is gone": "DELETE FROM charges WHERE x = 'x1'",
    "a charge's credits": "UPDATE charges SET credits_milli = 1 WHERE x = 'x1'",
    "a charge's revenue": "UPDATE charges SET revenue_nusd = revenue_nusd - 1 WHERE x = 'x1'",
    "a charge's saving": "UPDATE charges SET saving_nusd = saving_nusd + 1 WHERE x = 'x1'",
    "a charge's name": "UPDATE charges SET x = 'x9' WHERE x = 'x1'",
    "a cost line is gone": "DELETE FROM cost_lines WHERE x = 'x2'",
    "a cost line's amount": "UPDATE cost_lines SET cost_nusd = 1 WHERE x = 'x1' AND n = 2",
    "a hold is gone": "DELETE FROM holds WHERE x = 'x5'",
    "a hold's amount": "UPDATE holds SET hold = replace(hold, '4000', '4001') WHERE x = 'x5'",
    "what a hold counts as": "UPDATE holds SET covered_milli = covered_milli + 1 WHERE x = 'x5'",
    "what a hold counts as beyond the grants": "UPDATE holds SET uncovered_milli = 1 WHERE x = 'x5'",
    "whom a hold counts for": "UPDATE holds SET customer = 2 WHERE x = 'x5'",
    "what a grant holds": "UPDATE grants SET held_milli = held_milli - 1, left_milli = left_milli + 1 WHERE id = 'g1'",
    "a charge's transaction": "UPDATE txns SET key = 'close:x9' WHERE key = 'close:x1'",
    "a grant is gone": "DELETE FROM grants WHERE id = 'g2'",
    "a grant's credits": "UPDATE grants SET left_milli = left_milli + 1 WHERE id = 'g2'",
    "a grant's cash": "UPDATE grants SET basis_nusd = basis_nusd + 1 WHERE id = 'g1'",
    "a grant's owner": "UPDATE grants SET customer = 2 WHERE id = 'g2'",
    "a refused record": "INSERT INTO refused VALUES (1, 'x1', 'settled without a hold')",
}


@pytest.mark.parametrize("sql", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_a_change_of_the_ledger_is_reported(folder, sql):
    """One changed number or row anywhere is at least one violation."""
    assert tampered(folder, sql) != []


def test_an_unbalanced_transaction_is_named_with_what_it_is_off_by(folder):
    """The report says which transaction and by how much; the sum of all is in dollars."""
    found = tampered(folder, "UPDATE entries SET amount = amount + 7 WHERE account = "
                             f"{ACCOUNT.format('cogs.model', 1)}")  # fmt: skip

    assert "I1: transaction close:x1 is off by 7 USD" in found
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        assert verify.imbalance_nusd(db) == 7
    db.close()


def test_the_file_refuses_to_change_an_entry(folder):
    """With its guards on, entries are neither updated nor deleted."""
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            db.execute("UPDATE entries SET amount = 0")
        with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
            db.execute("DELETE FROM entries")
    db.close()


# ---- journals --------------------------------------------------------------------------------------------------------


def reported(folder):
    """Verify the journals against what the ledger has folded."""
    store = Store(folder / "ledger.sqlite")
    try:
        return list(journals.verify_journals(folder, store.state().journals))
    finally:
        store.close()


def test_sound_journals_have_nothing_to_report(folder):
    """Every file leads from its first byte to where it was folded."""
    assert reported(folder) == []


def test_a_torn_tail_is_not_wrong(folder):
    """It was never acknowledged."""
    with (folder / "journal" / "worker-1.journal").open("ab") as file:
        file.write(b"0123abcd 0123")

    assert reported(folder) == []


def lines_of(path):
    """Return a journal's lines."""
    return path.read_bytes().splitlines(keepends=True)


CHANGES = {
    "a flipped bit": lambda lines: [bytes([lines[0][0] ^ 1]) + lines[0][1:], *lines[1:]],
    "swapped lines": lambda lines: [lines[1], lines[0], *lines[2:]],
    "a dropped line": lambda lines: [lines[0], *lines[2:]],
    "a doubled line": lambda lines: [lines[0], *lines],
    "the last line cut off": lambda lines: lines[:-1],
    "everything cut off": lambda _: [],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("name", ["worker-1.journal", "keeper-000001.journal"])
def test_a_change_of_a_journal_is_reported(folder, name, change):
    """Inside the file by its chain, at its end by what the ledger knows of it."""
    path = folder / "journal" / name

    path.write_bytes(b"".join(change(lines_of(path))))

    (found,) = reported(folder)
    assert name in found


@pytest.mark.parametrize("name", ["worker-1.journal", "keeper-000001.journal"])
def test_a_journal_that_is_gone_is_reported(folder, name):
    """A folded file that is not there is missed."""
    (folder / "journal" / name).unlink()

    assert reported(folder) == [f"journal {name} is missing"]


def test_an_older_journal_is_verified_too(folder):
    """Each keeper's journal stays part of the history after the next has begun."""
    open_books(folder).close()
    path = folder / "journal" / "keeper-000001.journal"

    path.write_bytes(b"".join(lines_of(path)[:-1]))

    (found,) = reported(folder)
    assert "keeper-000001.journal" in found


def test_a_whole_journal_that_was_written_anew_is_reported(folder):
    """Honest checksums and an honest chain over other records end in another chain value."""
    path = folder / "journal" / "worker-1.journal"
    path.unlink()
    forger = Worker(folder)
    forger.write(*EXCHANGES[:3], settled("x1", 1000, line(300, kind="failed"), line(700, n=2), baseline=5000))
    forger.write(*EXCHANGES[4:]).close()

    (found,) = reported(folder)
    assert "up to which it was folded" in found


def test_times_are_part_of_what_is_chained(folder):
    """Even a record that differs by a nanosecond is another record."""
    path = folder / "journal" / "worker-1.journal"
    path.unlink()
    Worker(folder).write(held("x1", 3000, plan="prepaid", t=T0 + 1), *EXCHANGES[1:]).close()

    assert len(reported(folder)) == 1
