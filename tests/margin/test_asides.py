"""Calls beside an exchange: kinds of cost of their own, never charged, overhead in the waterfall, nobody's use."""

from pathlib import Path

import pytest

from margin import records
from margin.ledger import glances, questions, spending
from margin.ledger.spending import HOUR_NS, Sums
from margin.records import Aside
from proxy.keeper.commands import perform
from tests.keeper.offices import office
from tests.margin import bookkeeping
from tests.margin.bookkeeping import OPENING, T0, Ledger, begun, line, settled, void

HOUR = T0 // HOUR_NS


def asked(kind: Aside, cost: int = 40) -> list[dict[str, object]]:
    """A call beside x1 that the provider answered."""
    name = records.aside("x1", kind)
    return [begun(name, 0), void(name, line(cost, kind=kind, call_id=f"call-{kind}"))]


@pytest.mark.parametrize("kind", records.ASIDES)
def test_it_has_a_kind_of_cost_of_its_own_and_is_never_charged(kind: Aside):
    """The cost stands in an account of its kind, under a name that says of which exchange it is."""
    books = Ledger(*OPENING, *asked(kind))

    assert (
        books.balance(f"cogs.{kind}") == books.rollup(f"cost_{kind}_nusd") == books.rollup("cost_overhead_nusd") == 40
    )
    assert books.credits()["spent"] == books.rollup("requests") == 0
    assert records.aside_of(records.aside("x1", kind)) == kind
    assert records.aside_of("x1") is records.aside_of("x1.other") is None


def test_one_whose_answer_nobody_saw_is_overhead_too():
    """A worker died: the keeper closes it as any other exchange, by what its input may cost."""
    name = records.aside("x1", "classifier")

    books = Ledger(*OPENING, begun(name, 0, cost=25), void(name, line(25, kind="failed")))

    assert books.balance("cogs.failed") == books.rollup("cost_overhead_nusd") == 25
    assert books.rollup("cost_classifier_nusd") == 0


def test_it_is_nobodys_use_but_the_house_s():
    """It counts as cost of its kind, its model and all together: no key, customer or plan has used anything."""
    found = spending.by_subject(Ledger(*OPENING, *asked("shadow")).effects.spent)

    cost = Sums(0, 0, 40)
    assert found == {
        ("aside", "shadow", HOUR): cost, ("all", "", HOUR): cost, ("model", "d1", HOUR): cost._replace(requests=1),
    }  # fmt: skip


def test_the_waterfall_ends_at_a_bill_with_them(tmp_path: Path):
    """Report, page, charge and margin agree: 5,000 less 4,300 that routing saved, plus 40 and 300 of overhead."""
    found = office(tmp_path / "data")
    found.open_customer("acme")
    worker = bookkeeping.Worker(found.settings.server.data_dir)
    worker.write(
        *asked("classifier"), begun("x1", 0), settled("x1", 0, line(700), baseline=5_000), *asked("shadow", 300)
    )

    report = perform(found, "report.savings", {}, by="test")["result"]["total"]
    charge = perform(found, "explain.charge", {"id": "x1"}, by="test")["result"]
    db = found.books.store.db

    assert (report["routing_nusd"], report["overhead_nusd"], report["actual_nusd"]) == (4_300, 340, 1_040)
    assert charge["standing"]["cost_nusd"] == charge["cost_nusd"] == 700
    assert [(each["x"], each["kind"], each["cost_nusd"]) for each in charge["asides"]] == [
        ("x1.classifier", "classifier", 40), ("x1.shadow", "shadow", 300),
    ]  # fmt: skip
    assert [(each["step"], each["nusd"]) for each in charge["waterfall"]] == [
        ("baseline", 5_000), ("routing", -4_300), ("overhead", 340), ("actual", 1_040),
    ]  # fmt: skip
    (row,) = questions.margin_by_customer(db)
    assert (row.requests, row.cost_nusd, row.savings_nusd) == (1, 1_040, 5_000 - 1_040)
    assert sum(each.overhead_nusd for each in glances.by_tier(db, "")) == 340
    assert perform(found, "ledger.verify", {}, by="test")["result"]["violations"] == []
    found.close()
