"""Sliding windows: exact at their edges, bounded in memory, and corrected where an estimate was wrong."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.shares import Amounts, Name, Share
from proxy.limits.shares import share as share_of
from proxy.limits.windows import DAY_NS, MINUTE_NS, NS, THIN_BUCKETS, Room, Window

RPM = Name("key", "k", "requests", "minute")


def share(name: Name, limit: int) -> Share:
    """Return an empty share in a worker of its own."""
    return share_of(name, limit, Room())


def test_sixty_at_once_and_then_none_until_the_minute_is_over():
    """A fresh limit of 60 lets 60 through at once; the 61st waits until they are a minute old, to the nanosecond."""
    mine = share(RPM, 60)
    mine.size = 60
    t = 1_000 * NS + 250_000_000
    for _ in range(60):
        mine.take(1, t)

    assert mine.free(t) == 0
    assert mine.free(t + 60 * NS - 1) == 0
    assert mine.free(t + 60 * NS) == 60


def test_it_says_to_the_nanosecond_when_there_is_room_again():
    """Ten in second 1000, ten in second 1030: one more fits at 1060, eleven more at 1090."""
    mine = share(RPM, 20)
    mine.size = 20
    for _ in range(10):
        mine.take(1, 1_000 * NS + 7)
    for _ in range(10):
        mine.take(1, 1_030 * NS + 7)

    assert mine.frees_ns(1, 1_040 * NS) == 20 * NS + 7
    assert mine.frees_ns(11, 1_040 * NS) == 50 * NS + 7


def test_what_comes_within_a_second_leaves_with_the_last_of_it():
    """At 7.1 and 7.9 s: both are forgotten when the later one is a minute old, which is within a second of each."""
    mine = share(RPM, 20)
    mine.size = 20
    mine.take(4, 7 * NS + 100_000_000)
    mine.take(5, 7 * NS + 900_000_000)

    assert mine.free(67 * NS + 899_999_999) == 20 - 9
    assert mine.free(67 * NS + 900_000_000) == 20


def test_a_day_is_right_to_the_second():
    """What came at one moment is forgotten 86,400 s after it, and not a nanosecond before."""
    window = Window(DAY_NS, Room())
    window.add(5, 0)
    window.add(2, 30 * NS)

    assert window.frees_ns(1, 0) == window.frees_ns(5, 0) == 86_400 * NS
    assert window.frees_ns(6, 0) == window.frees_ns(99, 0) == 86_430 * NS
    assert window.slide(86_400 * NS - 1) == 7
    assert window.slide(86_400 * NS) == 2
    assert window.slide(86_430 * NS) == 0


def test_a_day_used_in_each_second_of_it():
    """Two days of a take in each second: what the window holds is never off by one, in as many buckets as seconds."""
    room = Room()
    window = Window(DAY_NS, room)
    for second in range(2 * 86_400):
        window.slide(second * NS)
        window.add(1, second * NS)
        assert window.total == min(second + 1, 86_400)
    assert room.buckets == 86_400
    assert window.frees_ns(86_399, second * NS) == 86_399 * NS

    window.slide((second + 86_400) * NS)
    assert (window.total, room.buckets) == (0, 0)


def test_beyond_their_room_days_are_counted_by_the_minute():
    """A worker with room for 10,000: both days go thin, and forget up to a minute late, never early."""
    room = Room(10_000)
    windows = [Window(DAY_NS, room), Window(DAY_NS, room)]
    for second in range(90_000):
        for window in windows:
            window.slide(second * NS)
            window.add(1, second * NS)
            assert min(second + 1, 86_400) <= window.total <= min(second + 1, 86_460)
        assert room.buckets <= 10_000 + 2 * THIN_BUCKETS


def test_minutes_need_no_room():
    """They have sixty buckets at most, and are right to the second in any case."""
    window = Window(MINUTE_NS, Room(0))
    for second in range(200):
        window.slide(second * NS)
        window.add(1, second * NS)

    assert window.total == 60


def test_what_was_thinned_is_corrected_all_the_same():
    """Uncounting finds the minute that a second became a part of; of what has left it takes nothing."""
    room = Room(THIN_BUCKETS)
    window = Window(DAY_NS, room)
    taken = [window.add(3, second * NS) for second in range(THIN_BUCKETS + 60)]
    for second in taken:
        window.take_out(2, second)

    assert window.total == len(taken)
    window.slide(86_400 * NS + 600 * NS)
    left = window.total
    window.take_out(1, taken[0])
    assert window.total == left == len(taken) - 600


def test_an_estimate_is_corrected_by_the_usage():
    """What was reserved too much never counted; what came beyond the estimate counts from when it is known."""
    mine = share(Name("key", "k", "tokens", "minute"), 1_000)
    mine.size = 1_000
    small, large = mine.take(400, 0), mine.take(400, 0)

    mine.end(400, small, 100, 5 * NS)
    mine.end(400, large, 700, 5 * NS)

    assert mine.free(5 * NS) == 1_000 - 100 - 700
    assert mine.free(60 * NS) == 1_000 - 300
    assert mine.free(65 * NS) == 1_000


def test_what_is_in_the_window_is_not_given_up():
    """A share goes back but for what it let through within the minute."""
    mine = share(RPM, 60)
    mine.size = 60
    for _ in range(25):
        mine.take(1, 0)

    assert mine.surrender(NS) == 35
    assert mine.surrender(NS) == 0
    assert mine.surrender(60 * NS) == 25


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


@given(steps)
def test_a_window_is_never_below_what_truly_came_within_it(moves):
    """Against a list of all that came: a window counts all of the last minute, nothing older than 61 s."""
    room = Room()
    window, came, t = Window(MINUTE_NS, room), [], 0
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
        at_most = sum(n for at, n, _ in came if at > t - 61 * NS)

        assert within <= window.slide(t) <= at_most
        assert room.buckets <= 61


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
