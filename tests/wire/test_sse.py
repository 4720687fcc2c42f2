"""The framer: however the bytes arrive, the same events in the same bytes."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.wire import sse
from proxy.wire.sse import Framer

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.one_of(
    st.binary(max_size=20).map(lambda text: b"data: " + text.translate(None, b"\r\n")),
    st.sampled_from([b"data", b"data:", b"data:x", b"data:  two", b"dataset: no", b": comment", b"event: ping"]),
)


@st.composite
def written_streams(draw: st.DrawFn) -> bytes:
    """Events with one kind of line end, as a server would write them, sometimes without the last empty line."""
    end = draw(LINE_ENDS)
    events = draw(st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=5))
    text = b"".join(end.join(lines) + end + end for lines in events)
    return text + draw(st.sampled_from([b"", b"data: rest", b"data: rest" + end]))


def fed(pieces: list[bytes]) -> tuple[list[bytes | None], bytes]:
    """Feed pieces; return the payloads of all events, and all bytes that came out or are left."""
    framer, out = Framer(), b""
    payloads: list[bytes | None] = []
    for piece in pieces:
        block = framer.feed(piece)
        payloads += [sse.payload(event) for event in sse.split(block)]
        out += block
    return payloads, out + framer.rest


def cut_at(text: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at some places."""
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


@given(written_streams(), st.lists(st.integers(0, 10_000), max_size=8))
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", list(range(30)))
@example(b"data: a\r\rdata: b\r\r", list(range(30)))
def test_any_cut_gives_the_same_events(text: bytes, places: list[int]) -> None:
    """Cut anywhere, the same events come out, and every byte is passed on or waits."""
    whole, _ = fed([text])

    payloads, passed = fed(cut_at(text, places))

    assert [each for each in payloads if each is not None] == [each for each in whole if each is not None]
    assert passed == text


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_cut_at_every_byte(end: bytes) -> None:
    """One byte at a time, and each single cut, with each kind of line end."""
    text = end.join([b": hi", b"", b"data: one", b"data: more", b"", b"event: x", b"data:two", b"", b""])
    expected = [b"one\nmore", b"two"]

    for pieces in [[text[i : i + 1] for i in range(len(text))], *(cut_at(text, [i]) for i in range(len(text)))]:
        payloads, passed = fed(pieces)
        assert [each for each in payloads if each is not None] == expected
        assert passed == text


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_an_event_waits_for_its_empty_line(end: bytes) -> None:
    """Without the empty line an event is not complete, however it looks."""
    framer = Framer()

    assert framer.feed(b"data: a" + end) == b""
    assert framer.rest == b"data: a" + end
    assert framer.feed(end) == b"data: a" + end + end
    assert framer.rest == b""


def test_whole_events_are_passed_before_the_rest_is_there() -> None:
    """The caller need not wait for the event after the one that is complete."""
    framer = Framer()

    assert framer.feed(b"data: a\n\ndata: b\n\ndata: c") == b"data: a\n\ndata: b\n\n"
    assert framer.rest == b"data: c"


def test_an_event_without_an_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that never ends a line cannot fill the memory; exactly the limit passes."""
    monkeypatch.setattr(sse, "EVENT_BYTES_MAX", 100)
    framer = Framer()

    assert framer.feed(b"d" * 60) == b""
    assert framer.feed(b"d" * 40) == b""
    with pytest.raises(sse.EventTooLarge):
        framer.feed(b"d")


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b"data: a\r\ndata: b\r\n\r\n", b"a\nb"),
        (b"data: a\rdata: b\r\r", b"a\nb"),
        (b"event: x\nid: 1\ndata: a:b\n\n", b"a:b"),
        (b": comment\n\n", None),
        (b"event: ping\n\n", None),
        (b"dataset: no\n\n", None),
        (b"data : no\n\n", None),
        (b"", None),
        # Only CR and LF end lines; what Unicode calls a line end is text here.
        ("data: a\u2028b\x0bc\x85d\n\n".encode(), "a\u2028b\x0bc\x85d".encode()),
    ],
)
def test_the_payload_of_an_event(event: bytes, data: bytes | None) -> None:
    """By the HTML standard: one space after the colon goes, lines are joined, other fields are not data."""
    assert sse.payload(event) == data


def test_what_is_written_can_be_read() -> None:
    """`event` and `comment` make what `split` and `payload` take apart."""
    text = sse.comment("x-penstock-cost-usd 0.1") + sse.event(b'{"a":1}') + sse.event(sse.DONE)

    assert [sse.payload(each) for each in sse.split(text)] == [None, b'{"a":1}', b"[DONE]"]
    assert b"".join(sse.split(text)) == text
