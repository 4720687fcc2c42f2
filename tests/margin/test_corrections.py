"""Corrections: what was booked wrongly is taken out, what is right is put in, once, and nothing booked is changed."""

from margin import records
from margin.ledger import questions
from tests.margin.bookkeeping import (
    DAY,
    EXCHANGE,
    OPENING,
    T0,
    Ledger,
    Worker,
    called,
    held,
    line,
    open_books,
    settled,
    sound,
    void,
)

ESTIMATED = [held("x1", 3000, plan="prepaid"), called("x1"), settled("x1", 2000, line(700, kind="estimated"))]


def corrected(x="x1", *, before=700, after=650, kind="estimated", revision=1, t=T0 + DAY):
    """The provider's account names the call: its bill takes the estimate's place."""
    return records.corrected(
        x=x, n=1, revision=revision, t=t, customer=1, plan="prepaid", charge_tier="medium", served_tier="simple",
        before=line(before, kind=kind), after=line(after), why="the provider's account", source="test",
    )  # fmt: skip


def test_a_corrected_estimate_leaves_suspense_and_its_bill_takes_its_place():
    """The suspense account is empty again, the provider is owed what it billed, the customer's charge stands."""
    books = Ledger(*OPENING, *ESTIMATED)

    books.apply(corrected(before=700, after=650))

    assert books.refused == []
    assert books.balance("cogs.estimated") == 0
    assert books.balance("cogs.model") == 650
    assert books.balance("ap.acme-ai", of=0) == -650
    assert books.credits()["spent"] == 2000


def test_the_rollups_sums_only_grow():
    """Counters are made of them: what was taken out is a sum of its own, on the day it was taken out."""
    books = Ledger(*OPENING, *ESTIMATED)

    books.apply(corrected(before=700, after=650))

    sums = [books.rollup(f"cost_{kind}_nusd") for kind in ("estimated", "model", "corrected")]
    assert sums == [700, 650, 700]
    days = {key.day for key, row in books.effects.rollup.items() if "cost_corrected_nusd" in row}
    assert days == {"2026-11-21"}


def test_a_correction_counts_once():
    """Read twice, it changes nothing and is listed; the next one needs the next revision."""
    books = Ledger(*OPENING, *ESTIMATED, corrected())

    books.apply(corrected(), corrected(before=650, after=640, kind="model", revision=2))

    assert books.refused == ["corrected twice"]
    assert books.balance("cogs.model") == 640


def test_what_was_never_booked_is_not_corrected():
    """A correction of nothing would be a booking without a call."""
    books = Ledger(*OPENING, *EXCHANGE)

    books.apply(corrected("x9"))

    assert books.refused == ["corrected, and was never booked"]


def test_what_is_open_is_not_corrected():
    """Its cost line is not booked yet."""
    books = Ledger(*OPENING, *EXCHANGE[:2])

    books.apply(corrected("x1"))

    assert books.refused == ["corrected, and was never booked"]


def test_an_unknown_cost_becomes_known():
    """Nothing was booked for it, so nothing is taken out."""
    books = Ledger(*OPENING, *EXCHANGE[:2], settled("x1", 2000, line(None, kind="estimated")))

    books.apply(corrected(before=None, after=650))

    assert books.balance("cogs.model") == 650
    assert books.rollup("cost_corrected_nusd") == 0


def test_corrected_books_are_sound_rebuild_alike_and_say_how_a_line_stands(tmp_path):
    """Also when the correction is read again after a restart, and for an attempt that was voided."""
    books = open_books(tmp_path / "data")
    worker = Worker(tmp_path / "data").write(
        *ESTIMATED, held("x2", 1000, plan="prepaid"), called("x2"), void("x2", line(90, kind="failed", call_id="call2"))
    )
    for record in OPENING:
        books.record(record)
    books.fold_worker(worker.path)
    books.commit()
    books.record(corrected())
    books.record(corrected("x2", before=90, after=80, kind="failed"))
    books.commit()
    books.close()

    books = open_books(tmp_path / "data")
    books.record(corrected())
    books.commit()

    assert [each for each in sound(books) if "no effect" not in each] == []
    assert questions.refused_records(books.store.db) == 1
    lines = {each.x: each for each in questions.cost_lines(books.store.db)}
    assert [(lines[x].kind, lines[x].cost_nusd, lines[x].revision) for x in ("x1", "x2")] == [
        ("model", 650, 1), ("model", 80, 1),
    ]  # fmt: skip
    total = questions.total(questions.margin_by_customer(books.store.db))
    assert total.cost_nusd == 650 + 80
    (correction,) = questions.charge(books.store.db, "x1")["corrections"]
    assert (correction["cost_before_nusd"], correction["cost_nusd"], correction["source"]) == (700, 650, "test")
    books.close()
    worker.close()
