"""What servers that speak OpenAI's chat answer, for callers who speak another format: whole, and chunk by chunk."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from margin.usage import Usage
from proxy.upstream.dialects.openai import read, reader
from proxy.upstream.dialects.translated import TranslatedStream
from proxy.wire import messages_pieces, sse
from proxy.wire.errors import UpstreamBroke
from proxy.wire.neutral import Argued, Called, Ended, Piece, Said, Started, Thought, Used

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **fields}


def call(index: int | None, identity: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    """A delta of a tool call; what is None is left out."""
    function = {"arguments": arguments} | ({} if name is None else {"name": name})
    told = {"function": function} | ({} if index is None else {"index": index})
    return {"tool_calls": [told | ({} if identity is None else {"id": identity, "type": "function"})]}


_MORE = (None, None, None)
"""What a part says of its call that has neither number nor id."""
LAST = chunk({}) | {"choices": [], "usage": USAGE}
CHUNKS = [
    chunk({"role": "assistant", "content": ""}), chunk({"reasoning_content": "hmm"}), chunk({"content": "So: 😀"}),
    chunk(call(0, "c0", "f", '{"a":')), chunk(call(1, "c1", "g", "")), chunk(call(0, None, None, "1}")),
    chunk(call(1, None, None, "{}")), chunk({}, "tool_calls"), LAST,
]  # fmt: skip
STREAM = b"".join(sse.event(orjson.dumps(each)) for each in CHUNKS) + sse.event(sse.DONE)


def pieces(told: Sequence[dict[str, Any]]) -> list[Piece]:
    """What chunks come to, their end included."""
    found = reader()
    return [*(piece for each in told for piece in found.event(each)), *found.done()]


def calls(found: Sequence[Piece]) -> dict[str, str]:
    """The arguments of each call, by its id."""
    ids = {piece.index: piece.id for piece in found if isinstance(piece, Called)}
    told = dict.fromkeys(ids.values(), "")
    for piece in found:
        if isinstance(piece, Argued):
            told[ids[piece.index]] += piece.text
    return told


def test_a_stream_in_pieces() -> None:
    """Thinking, words, two calls whose arguments come by turns, the reason and the usage."""
    found = pieces(CHUNKS)

    assert [type(piece) for piece in found[:3]] == [Started, Thought, Said]
    assert calls(found) == {"c0": '{"a":1}', "c1": "{}"}
    assert found[-2:] == [Ended("calls"), Used(Usage(input=5, output=3))]


@pytest.mark.parametrize(
    "deltas",
    [
        [call(0, "c0", "f", "{}"), call(0, "c1", "f", "{}")],
        [call(None, "c0", "f", "{}"), call(None, "c1", "f", "{}")],
        [call(None, "c0", "f", "{"), call(None, None, None, "}"), call(None, "c1", "f", ""), call(*_MORE, "{}")],
    ],
    ids=["each has the number 0", "none has a number", "none has a number, in parts"],
)  # fmt: skip
def test_calls_without_numbers_of_their_own_stay_apart(deltas: list[dict[str, Any]]) -> None:
    """Gemini's and others' servers write them so: the arguments of two calls are not one text."""
    assert calls(pieces([chunk(each) for each in deltas])) == {"c0": "{}", "c1": "{}"}


def test_thinking_by_either_name() -> None:
    """Servers that show it agree on no name; one that sends both says it once."""
    told = [{"reasoning": "hm"}, {"reasoning_content": "m", "reasoning": "m"}]

    assert pieces([chunk(each) for each in told])[1:3] == [Thought("hm"), Thought("m")]


def test_content_in_parts_is_no_silence() -> None:
    """Mistral's models that think write parts: what they say is not lost, plain or streamed."""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}, {"type": "text", "text": "So."}]
    message = {"role": "assistant", "content": parts}
    whole = {"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    assert read(whole)[1:] == [Thought("hmm"), Said("So."), Ended("said")]
    assert pieces([chunk({"content": parts})])[1:] == [Thought("hmm"), Said("So."), Ended("said")]
    with pytest.raises(UpstreamBroke):
        read({"choices": [{"message": {"content": 5}}]})


def test_what_follows_the_end_is_nobody_s() -> None:
    """Else words would come after the event that says why the message ended, which clients take for no order at all."""
    more = sse.event(orjson.dumps(chunk({"content": "MORE"})))

    relay = TranslatedStream(reader(), messages_pieces.Events(7))

    assert relay.feed(STREAM + more) == TranslatedStream(reader(), messages_pieces.Events(7)).feed(STREAM)
    assert (relay.finished, relay.error) == (True, False)


def test_the_service_tier_of_the_first_chunk_counts() -> None:
    """Where the last, which has the usage, does not say it again."""
    found = pieces([chunk({"content": "x"}, service_tier="priority"), LAST])

    assert found[-1] == Used(Usage(input=5, output=3, service_tier="priority"))
