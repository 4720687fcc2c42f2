"""What is charged by quantity, as it is booked: request by request, by item, by seat, and short of a minimum."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin import records
from margin.components import Metered
from margin.ledger.terms import Period
from margin.tiering import Band, Tiers, flat
from tests.margin.bookkeeping import (
    CREDIT,
    DAY,
    FREE,
    NS,
    USD,
    Ledger,
    Worker,
    at,
    customer,
    held,
    line,
    open_books,
    repeated,
    sellbook,
    settled,
    sound,
)

NOVEMBER = Period.of(at("2026-11-01"))
BEGIN, END = NOVEMBER.start_t, NOVEMBER.end_t
BRIEF = Tiers((Band(500, Decimal("0.99")), Band(2_000, Decimal("0.79")), Band(None, Decimal("0.59"))))


def plan(*, fee=0, seats=None, usage=None, items=None, **terms):
    """Return a plan's terms as the journal has them."""
    found = FREE | {"fee": fee * USD} | terms
    found |= {} if seats is None else {"seats": seats}
    for kind, metered in (("usage", usage), ("items", items)):
        found |= {} if metered is None else {kind: {name: each.terms() for name, each in metered.items()}}
    return found


def opened(terms, *, t=BEGIN):
    """Open a ledger with one customer on a plan."""
    return Ledger(sellbook({"open": FREE, "sold": terms}, t=t), customer(plan="sold", t=t))


def exchanges(count, *, t=BEGIN, name="x", milli=0):
    """Serve so many requests."""
    return [
        each
        for n in range(count)
        for each in (held(f"{name}{n}", milli, plan="sold", t=t), settled(f"{name}{n}", milli, line(10), t=t))
    ]


def tick(t):
    """Let time pass."""
    return records.tick(t=t)


def delivered(id_, item, count=1, *, t=BEGIN):
    """Say that items were delivered."""
    return records.delivered(t=t, id=id_, customer=1, item=item, count=count)


def earned(books):
    """Return the revenue of each kind, in nano-dollars."""
    kinds = ("subscription", "metered", "seats", "shortfall", "usage", "credits")
    return {kind: -books.balance(f"rev.{kind}") for kind in kinds if books.balance(f"rev.{kind}")}


def test_base_and_consumption():
    """$99, and $0.05 a call above 10,000: 12,500 calls are 99 + 2,500 × 0.05 = 224 dollars."""
    books = opened(plan(fee=99, usage={"calls": Metered(flat(Decimal("0.05"), included=10_000))}))

    books.apply(*exchanges(12_500), tick(END))

    assert earned(books) == {"subscription": 99 * USD, "metered": 125 * USD}
    assert books.balance("receivable") == 224 * USD
    assert books.rollup("revenue_metered_nusd") == 125 * USD
    assert books.refused == []


def test_base_and_credits():
    """$199 with 1,000 credits, then $0.15: 1,300 credits are 199 + 300 × 0.15 = 244 dollars."""
    books = opened(plan(fee=199, included=1_000 * CREDIT, enforce="soft", overage=150_000_000))

    books.apply(*exchanges(130, milli=10 * CREDIT), tick(END))

    assert earned(books) == {"subscription": 199 * USD, "usage": 45 * USD}


def test_tokens_by_the_thousand():
    """1,234,567 tokens at $0.01 a thousand are $12.34567, whatever the requests they came in; line() has 120."""
    books = opened(plan(usage={"tokens": Metered(flat(Decimal("0.01"), per=1_000))}))

    books.apply(held("x", 0, plan="sold", t=BEGIN))
    books.apply(settled("x", 0, line() | {"u": {"input": 1_000_000, "output": 200_000, "reasoning": 34_567}}, t=BEGIN))

    assert earned(books) == {"metered": 12_345_670_000}


def test_what_an_exchange_is_measured_by():
    """120 tokens, 100 of them in; 90 s are one and a half minutes; what was refused and what failed is no quantity."""
    price = Metered(flat(Decimal(1)))
    meters = dict.fromkeys(("calls", "tokens", "input_tokens", "output_tokens"), price)
    meters["compute_minutes"] = Metered(flat(Decimal(1), parts=60_000))
    books = opened(plan(usage=meters))

    books.apply(held("x", 0, plan="sold", t=BEGIN), settled("x", 0, line(), t=BEGIN + 90 * NS))
    books.apply(held("y", 0, plan="sold", t=BEGIN), settled("y", 0, line(), outcome="error", t=BEGIN + NS))
    books.apply(repeated("z", 0, spared=5, plan="sold", t=BEGIN))

    found = Counter[str]()
    for row in books.effects.rated:
        found[row.meter] += row.quantity
    assert found == {
        "calls": 2, "tokens": 120, "input_tokens": 100, "output_tokens": 20, "compute_minutes": 90_000,
    }  # fmt: skip


@pytest.mark.parametrize(("resolved", "short"), [(30, 20), (50, 0), (51, 0)])
def test_a_minimum_is_made_up_when_the_month_ends(resolved, short):
    """30 of 50 calls: the 20 that are missing, at the first tier's price, and not before the month ends."""
    books = opened(plan(usage={"calls": Metered(BRIEF, 50)}))

    books.apply(*exchanges(resolved), tick(END - 1))
    assert "shortfall" not in earned(books)
    books.apply(tick(END), tick(END + DAY))

    assert earned(books).get("shortfall", 0) == short * 990_000_000
    assert books.rollup("revenue_shortfall_nusd") == short * 990_000_000


def test_what_comes_late_is_not_paid_for_twice():
    """A call of October that is folded in November was paid for as shortfall; the 51st is charged."""
    books = opened(plan(usage={"calls": Metered(BRIEF, 50)}))

    books.apply(*exchanges(49), tick(END), *exchanges(2, name="late", t=END - 1))

    assert sum(earned(books).values()) == 51 * 990_000_000


def test_a_part_of_a_month_has_a_part_of_the_minimum():
    """A customer of ten days of November is short of 10/30 of the 60 calls."""
    books = opened(plan(usage={"calls": Metered(flat(Decimal(1)), 60)}), t=BEGIN + 20 * DAY)

    books.apply(tick(END))

    assert earned(books) == {"shortfall": 20 * USD}


def test_a_seat_is_paid_by_the_second():
    """$30 a seat: ten for the month, and five more for its last ten days of thirty: 10 × 30 + 5 × 10."""
    books = opened(plan(seats={"price": 30 * USD, "included": 0}))

    books.apply(records.seats(t=BEGIN, customer=1, count=10), tick(BEGIN + 5 * DAY + 1))
    books.apply(records.seats(t=BEGIN + 20 * DAY, customer=1, count=15), tick(END))

    assert abs(earned(books)["seats"] - (300 + 50) * USD) <= 2
    assert books.rollup("revenue_seats_nusd") == earned(books)["seats"]


def test_seats_fill_one_pool_and_grant_once():
    """Who leaves and comes again within a month adds no credits; the next month gives those of the seats there are."""
    books = opened(plan(seats={"price": 30 * USD, "included": 100 * CREDIT}, included=50 * CREDIT))

    for day, count in enumerate((3, 1, 3, 5, 2)):
        books.apply(records.seats(t=BEGIN + day * DAY, customer=1, count=count), tick(BEGIN + day * DAY + 1))
    assert books.credits()["available"] == (50 + 5 * 100) * CREDIT
    books.apply(tick(END), tick(END + 1))

    assert books.credits()["available"] == (50 + 2 * 100) * CREDIT
    assert books.state.customers[1].seats == 2


def test_packages_are_granted_once_by_two_schedulers():
    """500 or 2,000 credits a month: ticks of two keepers at one moment give them once."""
    for credits_ in (500, 2_000):
        books = opened(plan(included=credits_ * CREDIT))
        books.apply(tick(END), tick(END), tick(END + 1))

        assert books.credits()["available"] == credits_ * CREDIT
        assert books.credits()["expired"] == credits_ * CREDIT


def test_services():
    """A retainer, a project by milestone, a price per deliverable, and a retainer with overage."""
    retainer = opened(plan(fee=4_000)).apply(tick(END))
    project = opened(plan(items={"design": Metered(flat(Decimal(5_000))), "launch": Metered(flat(Decimal(7_500)))}))
    project.apply(delivered("d1", "design"), delivered("d2", "launch"))
    each = opened(plan(items={"report": Metered(BRIEF)})).apply(delivered("r", "report", 501))
    capped = opened(plan(fee=4_000, items={"hours": Metered(flat(Decimal(150), included=20))}))
    capped.apply(delivered("h1", "hours", 15), delivered("h2", "hours", 8), tick(END))

    assert sum(earned(retainer).values()) == 4_000 * USD
    assert sum(earned(project).values()) == (5_000 + 7_500) * USD
    assert sum(earned(each).values()) == 495_790_000_000
    assert sum(earned(capped).values()) == (4_000 + 3 * 150) * USD


def test_a_delivery_counts_once():
    """The same id again changes nothing; nor does an item that is not sold."""
    books = opened(plan(items={"report": Metered(flat(Decimal(10)))}))

    books.apply(delivered("r1", "report"), delivered("r1", "report"), delivered("r2", "brief"))

    assert earned(books) == {"metered": 10 * USD}
    assert len(books.refused) == 2


def test_a_reversed_request_gives_back_what_the_rest_costs_less():
    """Of 501 calls one is taken back: 0.79 dollars, not the 0.99 that were booked for it."""
    books = opened(plan(usage={"calls": Metered(BRIEF)})).apply(*exchanges(501))
    first = books.effects.rated[0]

    books.apply(records.reversed_charge(
        x="x0", t=BEGIN + 1, customer=1, credits_milli=0, burnt=[], row=["sold", "", "", "", "", "ok"], why="test",
        rated=[[first.meter, first.plan, first.period, first.quantity, first.nusd]],
    ))  # fmt: skip

    assert earned(books) == {"metered": 495 * USD}
    assert books.rollup("revenue_metered_reversed_nusd") == 790_000_000


def test_a_reversed_request_that_cost_nothing_is_reversed_once(tmp_path):
    """Within what is included nothing moves; the request is taken off the quantity once, and the audit agrees."""
    books = open_books(tmp_path)
    books.record(sellbook({"open": FREE, "sold": plan(usage={"calls": Metered(Tiers(BRIEF.bands, included=10))})},
                          t=BEGIN))  # fmt: skip
    books.record(customer(plan="sold", t=BEGIN))
    worker = Worker(tmp_path)
    worker.write(*exchanges(5))
    books.fold_worker(worker.path)
    again = records.reversed_charge(
        x="x0", t=BEGIN + 1, customer=1, credits_milli=0, burnt=[], row=["sold", "medium", "medium", "", "", "ok"],
        why="test", rated=[["calls", "sold", "2026-11", 1, 0]],
    )  # fmt: skip
    books.record(again)
    books.commit()
    assert sound(books) == []
    books.record(again)
    books.commit()

    assert books.store.quantity((1, "sold", "calls", "2026-11")) == (4, 0, False)
    assert [each for each in sound(books) if "had no effect" not in each] == []
    books.close()


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.sampled_from(["graduated", "volume"]), st.randoms())
@settings(deadline=None, max_examples=50)
def test_what_is_booked_is_the_price_of_the_sum(parts, mode, random):
    """I11 in the books: whatever the order, whatever the split."""
    tiers = Tiers(BRIEF.bands, mode)
    random.shuffle(parts)
    books = opened(plan(items={"report": Metered(tiers)}))

    books.apply(*[delivered(f"d{n}", "report", count) for n, count in enumerate(parts)])

    assert -books.balance("rev.metered") == tiers.total_nusd(sum(parts))


def test_the_books_are_sound_and_rebuilt_the_same(tmp_path):
    """Quantities outlive a restart within a month, and a rebuild from the journals makes the same rows."""
    terms = plan(fee=10, seats={"price": USD, "included": CREDIT}, usage={"calls": Metered(BRIEF, 700)})
    books = open_books(tmp_path)
    books.record(sellbook({"open": FREE, "sold": terms}, t=BEGIN))
    books.record(customer(plan="sold", t=BEGIN))
    books.record(records.seats(t=BEGIN, customer=1, count=3))
    worker = Worker(tmp_path)
    for name in ("a", "b"):
        worker.write(*exchanges(300, name=name))
        books.fold_worker(worker.path)
        books.commit()
        books.close()
        books = open_books(tmp_path)
    books.record(tick(END))
    books.commit()

    assert books.store.quantity((1, "sold", "calls", "2026-11")) == (600, BRIEF.total_nusd(700), True)
    assert sound(books) == []
    books.close()
