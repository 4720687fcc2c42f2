"""The judge's work is bounded: counted in steps of the interpreter, not in seconds."""

import gc
import sys
from collections.abc import Callable

from classifiers import judge, read_ask

SENTENCE = "Please compare <b>these</b> 2 offers; which should we take, and why? "


def steps(work: Callable[[], object]) -> int:
    """Count the lines and calls that Python executes."""
    count = 0

    def tracer(frame, event, arg):
        nonlocal count
        count += 1
        return tracer

    before = sys.gettrace()
    gc.disable()  # collections come when they like, and what others hung on them would count
    sys.settrace(tracer)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def request(chars: int) -> list[dict[str, str]]:
    """A request of one message with so many characters."""
    return [{"role": "user", "content": (SENTENCE * (chars // len(SENTENCE) + 1))[:chars]}]


def test_a_megabyte_takes_no_more_steps_than_ten_kilobytes():
    """Reading and judging 1 MB runs as many steps as 10 KB, but for words torn at the cut."""
    judge(read_ask(request(100)))  # reads the weights once
    small, large = request(10_000), request(1_000_000)

    few = steps(lambda: judge(read_ask(small)))
    many = steps(lambda: judge(read_ask(large)))

    assert few > 100
    assert abs(many - few) <= 0.1 * few


def test_at_most_4000_characters_are_kept_of_a_megabyte():
    """Nothing after `read_ask` can be slow, because nothing long is left."""
    ask = read_ask([{"role": "user", "content": "why?" * 250_000}])

    assert len(ask.text) == 2_000 + 2_000
    assert ask.text_chars == 1_000_000


def test_a_long_conversation_is_read_from_its_ends():
    """100,000 messages take no more steps than 1,000."""
    turn = [{"role": "user", "content": "yes"}, {"role": "assistant", "content": "Go on?"}]

    read_ask(turn * 500)  # the first reading fills caches, which are no steps of the second
    few = steps(lambda: read_ask(turn * 500))
    many = steps(lambda: read_ask(turn * 50_000))

    assert many == few


def test_a_text_full_of_unclosed_tags_stays_cheap():
    """Openings that never close are looked for in the bounded text only."""
    hostile = [{"role": "user", "content": "<system-reminder>" * 60_000}]

    assert steps(lambda: judge(read_ask(hostile))) < 20_000
