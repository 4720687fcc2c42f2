"""Sliding windows: exact at their edges, bounded in memory, and corrected where an estimate was wrong."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.shares import Amounts, Name, share
from proxy.limits.windows import DAY, MINUTE, NS, Window

RPM = Name("key", "k", "requests", "minute")


def test_sixty_at_once_and_then_none_until_the_minute_is_over():
    """A fresh limit of 60 lets 60 through in one second; the 61st waits until that second has left the window."""
    mine = share(RPM, 60)
    mine.size = 60
    t = 1_000 * NS + 250_000_000
    for _ in range(60):
        mine.take(1, t)

    assert mine.free(t) == 0
    assert mine.free(1_060 * NS + 999_999_999) == 0
    assert mine.free(1_061 * NS) == 60


def test_it_says_to_the_nanosecond_when_there_is_room_again():
    """Ten in second 1000, ten in second 1030: one more fits at 1061, eleven more at 1091."""
    mine = share(RPM, 20)
    mine.size = 20
    for _ in range(10):
        mine.take(1, 1_000 * NS + 7)
    for _ in range(10):
        mine.take(1, 1_030 * NS + 7)

    assert mine.frees_ns(1, 1_040 * NS) == 21 * NS
    assert mine.frees_ns(11, 1_040 * NS) == 51 * NS


def test_a_day_counts_by_the_second():
    """What came in the first second of a day is forgotten a second after the next day began, not before."""
    window = Window(DAY)
    window.add(5, 0)
    window.add(7, 1 * NS)

    assert window.slide(86_401 * NS - 1) == 5 + 7
    assert window.slide(86_401 * NS) == 7
    assert window.slide(86_402 * NS) == 0


def test_a_day_with_too_many_seconds_counts_by_the_minute():
    """Of a limit that is used every second of a day a bounded number of buckets is kept; nothing comes back early."""
    window = Window(DAY)
    for second in range(86_400):
        window.add(1, second * NS)
        assert len(window._buckets) <= DAY.kept_max

    assert window.slide(86_400 * NS) == 86_400
    assert window.slide((86_400 + 60) * NS - 1) == 86_400  # its first minute leaves with its last second
    assert window.slide((86_400 + 60) * NS) == 86_400 - 60
    window.take_out(1, 61)
    assert window.total == 86_400 - 60 - 1
    window.take_out(1, 59)  # has left: nothing to take out
    assert window.total == 86_400 - 60 - 1


def test_an_estimate_is_corrected_by_the_usage():
    """What was reserved too much never counted; what came beyond the estimate counts from when it is known."""
    mine = share(Name("key", "k", "tokens", "minute"), 1_000)
    mine.size = 1_000
    small, large = mine.take(400, 0), mine.take(400, 0)

    mine.end(400, small, 100, 5 * NS)
    mine.end(400, large, 700, 5 * NS)

    assert mine.free(5 * NS) == 1_000 - 100 - 700
    assert mine.free(61 * NS) == 1_000 - 300
    assert mine.free(66 * NS) == 1_000


def test_what_is_in_the_window_is_not_given_up():
    """A share goes back but for what it let through within the minute."""
    mine = share(RPM, 60)
    mine.size = 60
    for _ in range(25):
        mine.take(1, 0)

    assert mine.surrender(NS) == 35
    assert mine.surrender(NS) == 0
    assert mine.surrender(61 * NS) == 25


def test_a_purse_tells_what_it_spent_as_it_gives_back():
    """Lent 100, held 30, spent 20 of 25 held: 70 are no longer lent, and the 30 held still are."""
    purse = share(Name("key", "k", "cost", "day"), 1_000)
    purse.size = 100
    purse.take(30, 0)
    purse.end(25, purse.take(25, 0), 20, 0)

    assert purse.free(0) == 100 - 20 - 30
    assert purse.surrender(0) == 100 - 30
    assert purse.free(0) == 0


steps = st.lists(
    st.tuples(st.integers(0, 20 * NS), st.sampled_from(["take", "back", "end"]), st.integers(1, 9), st.integers(0, 20)),
    max_size=60,
)


@given(steps, st.booleans())
def test_a_window_is_never_below_what_truly_came_within_it(moves, is_merged):
    """Against a list of all that came: a window counts all of the last minute, nothing older than 61 s.

    Of one whose seconds are merged, nothing older than two minutes.
    """
    span = replace(MINUTE, kept_max=2) if is_merged else MINUTE
    window, came, t = Window(span), [], 0
    for wait, move, count, actual in moves:
        t += wait
        window.slide(t)
        if move == "take" or not came:
            came.append([t, count, window.add(count, t)])
        else:
            entry = came[actual % len(came)]
            less = min(count, entry[1])
            window.take_out(less, entry[2])
            entry[1] -= less
        within = sum(n for at, n, _ in came if at > t - 60 * NS)
        at_most = sum(n for at, n, _ in came if at > t - (120 if is_merged else 61) * NS)

        assert within <= window.slide(t) <= at_most
        assert len(window._buckets) <= (4 if is_merged else MINUTE.buckets + 1)


@given(st.integers(1, 50), st.lists(st.tuples(st.integers(0, 3 * NS), st.integers(1, 5)), max_size=80))
def test_whoever_comes_back_when_told_gets_in(limit, asks):
    """`frees_ns` is honest: at that moment there is room, a nanosecond before there is not."""
    mine = share(RPM, limit)
    mine.size, t = limit, 0
    for wait, count in asks:
        t += wait
        if mine.free(t) >= count:
            mine.take(count, t)
        elif count <= limit:
            after = mine.frees_ns(count, t)
            assert after is not None
            t += after - 1
            assert mine.free(t) < count
            t += 1
            assert mine.free(t) >= count


def test_amounts_are_found_by_measure():
    """Each share counts its own measure."""
    amounts = Amounts(requests=1, tokens=2, cost_nusd=3, charge_nusd=4)
    measures = ("requests", "open", "tokens", "cost", "charge")

    assert [amounts[share(Name("key", "k", each, "minute"), 1).place] for each in measures] == [1, 1, 2, 3, 4]
