"""Prompts that were answered, by what may share answers; and vectors."""

import math
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from proxy.caching.semantic.embedders import LETTERS
from proxy.caching.semantic.nearby import PARTITION_MAX, Entry, Nearby
from proxy.caching.semantic.reading import read
from proxy.caching.semantic.vectors import letters

HERE, THERE = b"here", b"there"
MUCH = 1 << 30


def entry(text, *, customer=1, key=None, t=0):
    """A prompt, kept under its own text."""
    return Entry(customer, key or text.encode(), letters(text), read(text), t)


def found(memory, text, *, partition=HERE, customer=1):
    """The key of what is near."""
    near = memory.find(partition, customer, letters(text), read(text), LETTERS)
    return None if near is None else near.entry.key


def test_the_nearest_without_a_difference_is_found():
    """Among many, and not the nearest of all, where a guard speaks against that."""
    memory = Nearby()
    for number in range(50):
        memory.add(HERE, entry(f"How do I sort list {number} in Python?"), MUCH)
    memory.add(HERE, entry("How do I center a div in CSS?"), MUCH)

    assert found(memory, "in CSS, how can I center a div") == b"How do I center a div in CSS?"
    assert found(memory, "How do I sort list 77 in Python?") is None
    assert found(memory, "how can i sort list 31 in Python") == b"How do I sort list 31 in Python?"


def test_neither_another_partition_nor_another_customer_is_found():
    """The partition holds the customer already; it is compared all the same."""
    memory = Nearby()
    memory.add(HERE, entry("Why is the sky blue?"), MUCH)

    assert found(memory, "why is the sky blue", partition=THERE) is None
    assert found(memory, "why is the sky blue", customer=2) is None
    assert found(memory, "why is the sky blue") is not None


def test_memory_is_bounded_by_prompts_and_by_bytes():
    """The oldest of a partition go, and the partition that was used longest ago; what is counted is what is used."""
    memory = Nearby()
    for number in range(PARTITION_MAX + 10):
        memory.add(HERE, entry("Why is the sky blue?", key=b"%d" % number), MUCH)
    assert len(memory) == PARTITION_MAX
    texts = [f"{word} {number}" for number in range(1500) for word in ("how far is the moon of planet", "what is item")]

    tracemalloc.start()
    small, before = Nearby(), tracemalloc.get_traced_memory()[0]
    for number, text in enumerate(texts):
        small.add(b"%d" % (number % 7), entry(text), 2_000_000)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    free = 2_000 * 20 * 8  # CPython keeps so many ended tuples of a size for the next ones
    assert 1_000_000 < used - free <= small.used_bytes <= 2_000_000
    for number, text in enumerate(texts):
        small.forget(b"%d" % (number % 7), text.encode())
    assert (len(small), small.used_bytes) == (0, 0)


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_cosine_is_one_with_itself_and_the_same_both_ways(one, other):
    """And never above one."""
    mine, theirs = letters(one), letters(other)
    if mine is None or theirs is None:
        return

    assert math.isclose(mine.near(mine), 1, abs_tol=1e-5)
    assert math.isclose(mine.near(theirs), theirs.near(mine), abs_tol=1e-6)
    assert mine.near(theirs) <= 1 + 1e-5
