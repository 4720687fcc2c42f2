"""A ledger of copies is a ledger: every invariant holds, and the sums are those of folding."""

import pytest

from benchmarks import copies
from benchmarks.copies import Spread
from benchmarks.history import Ledger, Past, exchanges
from benchmarks.scale import Size, check
from margin.ledger import questions, verify


@pytest.mark.parametrize("plan", ["open", "prepaid"])
def test_copies_add_up(tmp_path, plan):
    """Six of each exchange, of three groups of customers in two stretches of days: nothing contradicts anything."""
    path, folded = tmp_path / "ledger.sqlite", Past(40, 4, 3, plan)
    ledger = Ledger(path)
    ledger.open_customers(12, plan)
    ledger.fold(exchanges(folded, incarnation=f"{0:012x}", seed=1), 7)
    once = questions.total(questions.margin_by_customer(ledger.store.db))
    ledger.close()

    copies.spread(path, folded, Spread(groups=3, stretches=2))

    ledger = Ledger(path)
    assert verify.violations(ledger.store.db, ledger.state) == []
    assert check(ledger.store.db) == []
    rows = questions.margin_by_customer(ledger.store.db)
    assert {row.customer for row in rows} <= set(range(1, 13))
    total = questions.total(rows)
    assert (total.requests, total.cost_nusd, total.revenue_nusd) == (
        6 * 40, 6 * once.cost_nusd, 6 * once.revenue_nusd,
    )  # fmt: skip
    whole, later = (
        questions.margin_by_customer(ledger.store.db, since_day=day) for day in ("2026-09-12", "2026-09-15")
    )
    assert questions.total(whole) == total
    assert questions.total(later).requests == pytest.approx(total.requests / 2, abs=6)
    ledger.close()


def test_new_exchanges_fold_into_copies(tmp_path):
    """What was copied is what the fold goes on from: names are taken, grants are as much used."""
    path, folded = tmp_path / "ledger.sqlite", Past(20, 2, 1, "prepaid")
    ledger = Ledger(path)
    ledger.open_customers(4, "prepaid")
    ledger.fold(exchanges(folded, incarnation=f"{0:012x}", seed=1), 7)
    ledger.close()
    copies.spread(path, folded, Spread(groups=2, stretches=2))

    ledger = Ledger(path)
    ledger.fold(exchanges(Past(30, 4, 1, "prepaid"), incarnation=f"{9:012x}", seed=2), 8)
    assert verify.violations(ledger.store.db, ledger.state) == []
    ledger.fold(exchanges(Past(5, 4, 1, "prepaid"), incarnation=f"{3:012x}", seed=2), 8)

    assert questions.refused_records(ledger.store.db) == 10
    ledger.close()


def test_a_size_divides_evenly():
    """Exchanges into copies, customers into groups, days into stretches; what does not is refused in words."""
    size = Size.of(Past(10_000_000, 100_000, 80, "open"), folded=50_000, stretches=10)

    assert (size.folded.exchanges, size.folded.customers, size.folded.days) == (50_000, 5_000, 8)
    assert size.spread.copies == 200
    with pytest.raises(ValueError, match="80 days are not 7 equal parts"):
        Size.of(Past(700, 10, 80, "open"), folded=100, stretches=7)
