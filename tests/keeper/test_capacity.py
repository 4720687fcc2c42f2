"""Sums are of 64 bits: what would take one past its end is refused before it is journalled; the books stay provable."""

import sqlite3

import pytest

from margin import records
from margin.ledger import audit, capacity, rebuilding
from margin.ledger.store import connect
from proxy.keeper.credits import GRANT_MILLI_MAX, GRANT_NUSD_MAX
from tests.keeper.offices import again, balance, sound
from tests.keeper.test_commands import refusal, result
from tests.keeper.test_rerating import booked, price_file  # noqa: F401 - a fixture
from tests.margin.bookkeeping import CREDIT


def granted(found, milli, paid, customer="whale"):
    """Give credits; return the answer."""
    return result(found, "credits.grant", customer=customer, credits_milli=milli, paid_nusd=paid, expires_s=None)


def test_the_tenth_billion_is_refused_and_the_books_stay_provable(found):
    """Nine billion dollars fit into 64 bits; whose they are does not matter, since house accounts add them up."""
    for number in range(9):
        granted(found, CREDIT, GRANT_NUSD_MAX, f"whale{number}")
    offset = found.books.journal.offset

    said = refusal(found, "credits.grant", customer="minnow", credits_milli=1, paid_nusd=GRANT_NUSD_MAX, expires_s=None)

    assert said == ("that does not fit into the books: the dollars taken from all customers may add up to "
                    "9,123,372,036 dollars, and are 9,000,000,000 already")  # fmt: skip
    assert found.books.journal.offset == offset
    granted(found, CREDIT, 0)
    assert sound(found) == []
    assert audit.audit(found.settings.server.data_dir).violations == ()
    assert rebuilding.rebuild(found.settings.server.data_dir, None).differences == ()


def test_credits_that_do_not_fit_are_refused(found):
    """There is room for one and a half of the largest grants: one fits, a second does not."""
    number, given = found.open_customer("whale"), capacity.ROOM - GRANT_MILLI_MAX * 3 // 2
    found.act(
        records.grant(t=1, id="g1", customer=number, credits_milli=given, paid_nusd=0, expires_t=None, priority=50)
    )
    granted(found, GRANT_MILLI_MAX, 0)

    said = refusal(found, "credits.grant", customer="other", credits_milli=GRANT_MILLI_MAX, paid_nusd=0, expires_s=None)

    assert said.startswith("that does not fit into the books: the credits given to all customers may add up to ")
    assert sound(found) == []


def test_a_journal_in_which_it_happened_folds_and_goes_on(found):
    """What an earlier release journalled is not given, is counted as refused, and takes nothing else with it."""
    number = found.open_customer("whale")
    for name in range(10):
        found.act(records.grant(t=1, id=f"g{name}", customer=number, credits_milli=CREDIT, paid_nusd=GRANT_NUSD_MAX,
                                expires_t=None, priority=50))  # fmt: skip

    opened = again(found)

    assert balance(opened, number)["available"] == 9 * CREDIT
    assert opened.books.state.cash_nusd == 9 * GRANT_NUSD_MAX
    assert audit.audit(opened.settings.server.data_dir).violations == (
        "1 journal records had no effect (a settlement without a hold, or the like)",)  # fmt: skip
    opened.close()


@pytest.mark.parametrize(("table", "column"), [
    ("accounts", "balance"), ("balances", "balance"), ("rollup", "cost_model_nusd"),
    ("rollup_totals", "revenue_fee_nusd"), ("margin_months", "revenue_nusd"), ("spending", "charge_nusd"),
])  # fmt: skip
def test_no_sum_becomes_a_rounded_number(booked, table, column):  # noqa: F811 - a fixture
    """SQLite turns an integer that grows past 64 bits into a REAL, without a word; here the write fails."""
    db = connect(booked.settings.server.data_dir / "ledger.sqlite")

    db.execute("BEGIN")
    db.execute(f"UPDATE {table} SET {column} = ?", (capacity.SUM_MAX,))
    with pytest.raises(sqlite3.IntegrityError, match="typeof"):
        db.execute(f"UPDATE {table} SET {column} = {column} + 1")
    db.close()


def test_corrections_that_do_not_fit_are_refused_before_the_first(booked, tmp_path, monkeypatch):  # noqa: F811
    """Three lines of 1.1 dollars would be posted, where the books have room for two."""
    monkeypatch.setattr(capacity, "ROOM", 3 * 10**9)
    offset = booked.books.journal.offset

    said = refusal(booked, "ledger.rerate", since="2026-11-01", prices=price_file(tmp_path, 100), apply=True)

    assert said.startswith("that does not fit into the books: the dollars of cost ever booked or corrected")
    assert booked.books.journal.offset == offset


def test_an_account_of_absurd_amounts_is_refused(booked, tmp_path):  # noqa: F811 - a fixture
    """A bill of a quintillion dollars is no bill, and its difference no number of ours."""
    path = tmp_path / "invoice.jsonl"
    path.write_text('{"call_id": "call1", "model": "m", "amount_usd": "1000000000000000000"}\n')

    said = refusal(booked, "ledger.reconcile", export=str(path), apply=True)

    assert said == "the account differs by more than the books can count; are its amounts in US dollars?"
    assert sound(booked) == []
