"""Records dated by a clock that jumps an hour either way: whatever the order of times, the books are sound."""

import random

import pytest

from margin import records
from tests.margin.bookkeeping import (
    CREDIT,
    DAY,
    NS,
    OPENING,
    T0,
    USD,
    balance,
    customer,
    grant,
    held,
    line,
    open_books,
    settled,
    sound,
    void,
)  # fmt: skip

HOUR_NS = 3600 * NS
STEPS = 60


@pytest.mark.parametrize("seed", range(4))
def test_books_under_a_jumping_clock_are_sound(tmp_path, seed):
    """Ticks, grants that end, holds and their ends in jumping time: nothing double, and no negative fee."""
    rng = random.Random(seed)
    books = open_books(tmp_path)
    for record in [*OPENING, customer(2, plan="starter"), customer(3, plan="hard")]:
        books.record(record)
    t, charged, open_holds = T0 + DAY, 0, list[str]()
    for n in range(STEPS):
        t += rng.choice([NS, 600 * NS, HOUR_NS, -HOUR_NS])
        kind = rng.randrange(4)
        if kind == 0:
            books.record(grant(f"jump{n}", 9 * CREDIT, to=3, paid=rng.choice([0, USD]), expires=t + HOUR_NS // 2, t=t))
        elif kind == 1:
            books.record(held(f"x{n}", CREDIT, of=3, plan="hard", t=t))
            open_holds.append(f"x{n}")
        elif kind == 2 and open_holds:
            x = open_holds.pop(rng.randrange(len(open_holds)))
            charge = rng.choice([None, 0, CREDIT])
            books.record(void(x, t=t) if charge is None else settled(x, charge, line(700), t=t))
            charged += 0 if charge is None else charge
        books.record(records.tick(t=t - NS))
        books.commit()
    for x in open_holds:
        books.record(void(x, t=t))
    books.record(records.tick(t=t + DAY))
    books.commit()

    found = balance(books, 3)
    print(f"seed {seed}: {found}")
    fees = books.store.db.execute(
        "SELECT MIN(entries.amount) FROM entries JOIN txns ON txns.id = entries.txn JOIN accounts ON"
        " accounts.id = entries.account WHERE txns.kind = 'fee' AND accounts.name = 'receivable'"
    ).fetchone()[0]
    assert fees >= 0
    assert sound(books) == []
    assert (found["held"], found["spent"]) == (0, charged)
    assert books.store.db.execute("SELECT COUNT(*) FROM refused").fetchone() == (0,)
    books.close()
