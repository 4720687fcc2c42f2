"""Pieces as a response and as its events: in OpenAI's order and types, and the two add up to the same."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from margin.usage import Usage
from proxy.wire import lenient, responses_pieces, sse
from proxy.wire.neutral import Argued, Called, Ended, Piece, Said, Started, Thought, Used
from proxy.wire.responses_pieces import Events, error_event

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
STARTED = Started("msg_1", "claude")
USED = Used(Usage(input=5, cache_read=3, cache_write_5m=2, output=7, reasoning=4))


def streamed(pieces: list[Piece], **fields: Any) -> list[dict[str, Any]]:
    """The events that pieces make, each as the SDK's types have it."""
    events = Events({"model": "auto", **fields}, "resp_x", 9)
    raw = b"".join(events.write(piece) for piece in pieces) + events.end()
    found = [lenient.loads(sse.payload(event) or b"") for event in sse.events(raw)]
    for number, event in enumerate(found):
        EVENT.validate_python(event)
        assert event["sequence_number"] == number
    return found


def whole(pieces: list[Piece], **fields: Any) -> dict[str, Any]:
    """The plain answer."""
    found = lenient.loads(responses_pieces.response(pieces, {"model": "auto", **fields}, "resp_x", 9))
    Response.model_validate(found)
    return found


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """What happens, in short."""
    return [event["type"].removeprefix("response.") for event in events]


def test_an_answer_in_words() -> None:
    """Created, in progress, an item and its part opened, grown and closed, completed with the usage."""
    events = streamed([STARTED, Said("Hel"), Said("lo"), Ended("said"), USED], instructions="Be brief.")

    assert kinds(events) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    last = events[-1]["response"]
    assert (last["id"], last["model"], last["status"], last["instructions"]) == (
        "resp_x", "claude", "completed", "Be brief.",
    )  # fmt: skip
    assert last["output"][0]["content"][0]["text"] == "Hello"
    assert last["usage"] == {
        "input_tokens": 5 + 3 + 2, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 7 + 4, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 10 + 11,
    }  # fmt: skip


def test_thinking_is_summarised_and_calls_are_items() -> None:
    """Parallel calls whose arguments come interleaved each get their own, and end together."""
    pieces = [
        STARTED, Thought("hm"), Called(0, "c0", "look"), Argued(0, "{"), Called(1, "c1", "go"), Argued(1, "{}"),
        Argued(0, "}"), Ended("calls"), USED,
    ]  # fmt: skip
    events = streamed(pieces)

    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "function_call", "function_call"]
    assert output[0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert [(item["call_id"], item["arguments"], item["status"]) for item in output[1:]] == [
        ("c0", "{}", "completed"), ("c1", "{}", "completed"),
    ]  # fmt: skip
    assert kinds(events)[-5:] == [
        "function_call_arguments.done", "output_item.done", "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip


def test_what_a_limit_or_a_refusal_cut_off_is_incomplete() -> None:
    """With the reason, in the item's status and in the name of the last event."""
    cut = streamed([STARTED, Said("half"), Ended("limit")])
    refused = whole([STARTED, Ended("refused")])

    assert (kinds(cut)[-1], cut[-1]["response"]["usage"]) == ("incomplete", None)
    assert cut[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert cut[-1]["response"]["output"][0]["status"] == "incomplete"
    assert (refused["status"], refused["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})


def test_an_error_has_the_next_number() -> None:
    """In the stream's own shape, and as the SDK's types have it."""
    told = orjson.loads(sse.payload(error_event("upstream_error", "It broke.", None, 7)) or b"")

    EVENT.validate_python(told)
    assert told == {
        "type": "error", "sequence_number": 7, "code": "upstream_error", "message": "It broke.", "param": None,
    }  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> list[Piece]:
    """Any answer: words and thoughts, halves of emoji among them, and calls in whatever order."""
    words = st.text(st.characters(), min_size=1, max_size=5)
    pieces: list[Piece] = [STARTED]
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["said", "thought", "called", "argued"]), max_size=12)):
        if kind == "said":
            pieces.append(Said(draw(words)))
        elif kind == "thought":
            pieces.append(Thought(draw(words)))
        elif kind == "called":
            pieces.append(Called(calls, f"call_{calls}", draw(words)))
            calls += 1
        elif calls:
            pieces.append(Argued(draw(st.integers(0, calls - 1)), draw(words)))
    return [*pieces, Ended(draw(st.sampled_from(["said", "limit", "calls", "refused"]))), USED]


@given(answers())
def test_events_add_up_to_the_plain_answer(pieces: list[Piece]) -> None:
    """Who adds the deltas up, who takes the items when they are done and who waits for the end sees the same."""
    events, plain = streamed(pieces), whole(pieces)

    assert events[-1]["response"] == plain
    done = {e["output_index"]: e["item"] for e in events if e["type"] == "response.output_item.done"}
    assert [done[index] for index in sorted(done)] == plain["output"]
    for index, item in enumerate(plain["output"]):
        deltas = "".join(e["delta"] for e in events if e.get("output_index") == index and "delta" in e)
        said = item.get("arguments") or (item.get("content") or item.get("summary") or [{"text": ""}])[0]["text"]
        assert deltas == said
    assert "".join(p.text for p in pieces if isinstance(p, Said)) == Response.model_validate(plain).output_text
    assert len({item["id"] for item in plain["output"]}) == len(plain["output"])
