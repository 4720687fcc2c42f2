"""Grants burn in one order, and hand on every nano-dollar that was paid for them."""

from hypothesis import given
from hypothesis import strategies as st

from margin.ledger.grants import NEVER_T, Grant, allocate

grants = st.builds(
    Grant,
    id=st.uuids().map(str),
    seq=st.integers(1, 50),
    customer=st.just(1),
    given_milli=st.just(50_000),
    paid_nusd=st.sampled_from([0, 10**9]),
    given_t=st.just(0),
    left_milli=st.integers(0, 50_000),
    held_milli=st.just(0),
    basis_nusd=st.integers(0, 10**12),
    expires_t=st.sampled_from([100, 200, 300, NEVER_T]),
    priority=st.sampled_from([10, 50, 90]),
)
wallets = st.lists(grants, max_size=8, unique_by=lambda each: each.seq)


def parcel(seq, *, priority=50, expires=NEVER_T, left=1000, paid=0):
    """Return a grant named after its place in time."""
    return Grant.fresh(f"g{seq}", seq, 1, left, paid, 0, expires_t=expires, priority=priority)


def test_priority_comes_before_expiry_expiry_before_payment_and_that_before_age():
    """Included credits (10) burn before others (50), the sooner to end first, then the unpaid, then the older."""
    found = [
        parcel(1), parcel(2, expires=300), parcel(3, expires=200), parcel(4, priority=10), parcel(5),
        parcel(6, expires=200), parcel(7, paid=5), parcel(8),
    ]  # fmt: skip
    found[0] = parcel(1, paid=7)

    parts = allocate(found, 8 * 1000, t=0)

    assert [name for name, _ in parts] == ["g4", "g3", "g6", "g2", "g5", "g8", "g1", "g7"]


def test_ended_and_empty_grants_are_passed_over():
    """A grant that ends at this very moment has ended."""
    found = [parcel(1, expires=100), parcel(2, left=0), parcel(3, left=700)]

    assert allocate(found, 5000, t=100) == [("g3", 700)]
    assert allocate(found, 5000, t=99) == [("g1", 1000), ("g3", 700)]


@given(wallets, st.randoms(use_true_random=False), st.integers(0, 200_000), st.integers(0, 400))
def test_the_order_is_total(wallet, random, milli, t):
    """However the grants are listed, the same credits come from the same grants."""
    shuffled = list(wallet)
    random.shuffle(shuffled)

    assert allocate(shuffled, milli, t) == allocate(wallet, milli, t)


@given(wallets, st.integers(0, 200_000), st.integers(0, 400))
def test_an_allocation_takes_all_it_can_and_no_more(wallet, milli, t):
    """What is taken is the lesser of what was asked and what lives, never more than a grant has, never a zero part."""
    alive = {each.id: each.left_milli for each in wallet if each.expires_t > t}

    parts = allocate(wallet, milli, t)

    assert sum(taken for _, taken in parts) == min(milli, sum(alive.values()))
    assert all(0 < taken <= alive[name] for name, taken in parts)
    # Every grant but the last one taken from is empty afterwards.
    assert all(taken == alive[name] for name, taken in parts[:-1])


@given(
    st.integers(1, 100_000),
    st.integers(0, 10**15),
    st.lists(st.tuples(st.sampled_from(["hold", "release", "burn", "expire"]), st.integers(0, 100_000)), max_size=40),
)
def test_the_cash_is_conserved_to_the_nano(milli, paid, steps):
    """Whatever is held, released, burnt or dropped in whatever pieces: the parts add up to what was paid."""
    grant, burnt, dropped = Grant.fresh("g", 1, 1, milli, paid, 0, expires_t=NEVER_T, priority=50), 0, 0
    cash = []

    for step, amount in steps:
        if step == "hold":
            grant = grant.hold(min(amount, grant.left_milli))
        elif step == "release":
            grant, carried = grant.close(min(amount, grant.held_milli), 0)
            assert carried == 0
        elif step == "burn":
            spent = min(amount, grant.held_milli)
            grant, carried = grant.close(spent, spent)
            burnt += spent
            cash.append(carried)
        else:
            grant, gone, carried = grant.expire()
            dropped += gone
            cash.append(carried)

        assert grant.left_milli + grant.held_milli + burnt + dropped == milli
        assert grant.basis_nusd + sum(cash) == paid
        assert all(each >= 0 for each in cash)
        assert grant.basis_nusd >= 0

    grant, _ = grant.close(grant.held_milli, grant.held_milli)
    grant, _, _ = grant.expire()
    assert grant.basis_nusd == 0


@given(st.integers(1, 10_000), st.integers(0, 10**12))
def test_burning_one_by_one_and_at_once_earn_the_same(milli, paid):
    """A thousand small requests recognise what one large one does."""
    whole = Grant.fresh("g", 1, 1, milli, paid, 0, expires_t=NEVER_T, priority=50).hold(milli)

    parts, grant = [], whole
    while grant.held_milli:
        part = min(7, grant.held_milli)
        grant, carried = grant.close(part, part)
        parts.append(carried)

    assert sum(parts) == whole.close(milli, milli)[1] == paid
    # and no single part is further than rounding from its share
    assert all(abs(part * milli - paid * min(7, milli)) <= 8 * milli for part in parts[:-1])
