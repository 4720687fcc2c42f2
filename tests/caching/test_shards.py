"""By which keys a provider finds beginnings again: each customer's own, split where they are asked often."""

from proxy.caching.shards import KEPT_MAX, MINUTE_NS, PER_MINUTE_MAX, SPLIT_MAX, Shards

HEAD = b"You are a careful analyst."


def test_conversations_with_one_beginning_share_a_key():
    """Until they are more than a machine takes; and each customer, model and beginning has its own."""
    shards = Shards()

    keys = {shards.key("1\nm", HEAD, b"%d" % n, n * MINUTE_NS) for n in range(50)}

    assert len(keys) == 1
    assert shards.key("2\nm", HEAD, b"0", 0) not in keys
    assert shards.key("1\nother", HEAD, b"0", 0) not in keys
    assert shards.key("1\nm", b"Be brief.", b"0", 0) not in keys
    assert all(len(key) == 32 for key in keys)


def test_names_that_run_into_each_other_are_told_apart():
    """Where the owner ends and the beginning begins is part of the name."""
    assert Shards().key("1\nm", b"x", b"", 0) != Shards().key("1\nmx", b"", b"", 0)


def test_what_is_asked_often_is_split_and_a_conversation_stays():
    """More than fifteen a minute: twice as many keys, never fewer again; the same turn asks by the same."""
    shards = Shards()

    burst = [shards.key("1\nm", HEAD, b"%d" % n, 0) for n in range(20 * PER_MINUTE_MAX)]
    later = {n: shards.key("1\nm", HEAD, b"%d" % n, 60 * MINUTE_NS) for n in range(PER_MINUTE_MAX)}

    assert len(set(burst[:PER_MINUTE_MAX])) == 1
    assert 16 <= len(set(burst[-100:])) <= SPLIT_MAX
    assert {n: shards.key("1\nm", HEAD, b"%d" % n, 61 * MINUTE_NS) for n in later} == later


def test_of_several_workers_each_sees_a_part():
    """Four together reach fifteen a minute when each has seen four."""
    shards = Shards()

    keys = [shards.key("1\nm", HEAD, b"%d" % n, 0, 4) for n in range(8)]

    assert len(set(keys[:3])) == 1
    assert len(set(keys)) > 1


def test_the_memory_is_bounded():
    """What was not asked for longest is forgotten."""
    shards = Shards()
    for n in range(KEPT_MAX + 10):
        shards.key("1\nm", b"%d" % n, b"", 0)

    assert len(shards) == KEPT_MAX
