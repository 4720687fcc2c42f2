"""The Responses API passed through: what is relayed, what is held back, and what is read for the books."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.usage import Usage, UsageError
from proxy.upstream.dialects.openai.responses import ResponseStream, read_answer, read_usage
from proxy.wire import responses
from proxy.wire.errors import UpstreamBroke

ASK = responses.read(b'{"model": "auto", "input": "hi"}')
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 150,
}


def event(kind: str, number: int, **fields: Any) -> bytes:
    """An event as OpenAI writes it."""
    told = {"type": kind, "sequence_number": number, **fields}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(told))


def response(**fields: Any) -> dict[str, Any]:
    """A response."""
    return {"id": "resp_1", "object": "response", "error": None, "output": [], "usage": None, **fields}


DELTA = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
BEGUN = event("response.created", 0, response=response()) + event("response.in_progress", 1, response=response())
SAID = event("response.output_text.delta", 2, **DELTA, delta='He "said" response.completed')
SAID += event("response.output_text.delta", 3, **DELTA, delta="é" * 40)
DONE = event("response.output_item.done", 4, output_index=0, item={"id": "msg_1"})
LAST = event("response.completed", 5, response=response(usage=USAGE, status="completed"))


def fed(*parts: bytes) -> tuple[ResponseStream, bytes]:
    """A stream that was fed, and what it let through."""
    stream = ResponseStream()
    return stream, b"".join(stream.feed(part) for part in parts)


def test_buckets_are_disjoint() -> None:
    """Cached and written are inside the input, reasoning inside the output: each token is counted once."""
    assert read_usage(USAGE) == Usage(input=100 - 60 - 30, cache_read=60, cache_write_5m=30, output=30, reasoning=20)
    assert read_usage({"input_tokens": 5}) == Usage(input=5)
    assert read_usage(None) is read_usage({}) is None


def test_what_is_written_for_twelve_hours_is_the_longer_lifetime() -> None:
    """It has a price of its own; where the cost book has none for it the cost is unknown, not too low."""
    details = {"cache_write_tokens": 30, "cache_write_tokens_details": {"ttl_12h_tokens": 10, "ttl_30m_tokens": 20}}

    found = read_usage(USAGE | {"input_tokens_details": details})

    assert found == Usage(input=70, cache_write_5m=20, cache_write_1h=10, output=30, reasoning=20)


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_tokens": 80},
        {"output_tokens": 10},
        {"input_tokens": -1},
        {"total_tokens": 151},
        {"input_tokens_details": {"cache_write_tokens": "many"}},
        {"input_tokens_details": {"cache_write_tokens": 1, "cache_write_tokens_details": {"ttl_12h_tokens": 2}}},
    ],
)
def test_counts_that_contradict_each_other_are_no_usage(wrong: dict[str, Any]) -> None:
    """They are refused, not clamped; the answer is booked as an estimate, and says so."""
    with pytest.raises(UsageError):
        read_usage(USAGE | wrong)

    body = orjson.dumps(response(usage=USAGE | wrong))
    assert read_answer(body, ASK) == ("resp_1", None, body)


def test_a_plain_answer_passes_as_it_came() -> None:
    """Only its id and its usage are read, nested as they are."""
    body = orjson.dumps(response(usage=USAGE), option=orjson.OPT_INDENT_2)

    assert read_answer(body, ASK) == ("resp_1", read_usage(USAGE), body)


def test_the_service_tier_is_the_answers() -> None:
    """Whatever was asked for: it is what the answer says that is billed."""
    _, usage, _ = read_answer(orjson.dumps(response(usage=USAGE, service_tier="priority")), ASK)
    last = event("response.completed", 5, response=response(usage=USAGE, service_tier="flex"))
    stream, _ = fed(BEGUN, last)

    assert usage is not None
    assert stream.usage is not None
    assert (usage.service_tier, stream.usage.service_tier) == ("priority", "flex")


@pytest.mark.parametrize(
    ("kind", "source"),
    [("web_search_call", "estimated"), ("code_interpreter_call", "estimated"), ("function_call", "reported"),
     ("message", "reported")],
)  # fmt: skip
def test_fees_for_tools_of_the_provider_make_the_cost_a_lower_bound(kind: str, source: str) -> None:
    """They are billed by use, in no price list of tokens: what is booked is marked, until the bill says the rest."""
    told = response(usage=USAGE, status="completed", output=[{"type": kind, "id": "x"}])
    stream, _ = fed(BEGUN, event("response.completed", 5, response=told))

    _, usage, _ = read_answer(orjson.dumps(told), ASK)

    assert usage is not None
    assert usage == stream.usage
    assert usage.source == source


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", orjson.dumps(response(status="failed", error={"code": "x"}))]
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    """Nor is one that says that it failed, though it came with status 200."""
    with pytest.raises(UpstreamBroke):
        read_answer(body, ASK)


@given(st.data())
def test_a_stream_is_relayed_byte_for_byte_however_it_is_cut(data: st.DataObject) -> None:
    """All but the last event, which is held back until the books are closed."""
    whole = BEGUN + SAID + DONE + LAST
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    stream, relayed = fed(*parts)

    assert (relayed, stream.end()) == (BEGUN + SAID + DONE, LAST)
    assert (stream.call_id, stream.usage, stream.finished, stream.error) == ("resp_1", read_usage(USAGE), True, False)
    assert (stream.deltas, stream.number) == (2, 5)


def test_before_its_end_nothing_is_known_but_the_id() -> None:
    """Usage comes in the last event alone; a text that looks like it is no end."""
    stream, relayed = fed(BEGUN, SAID)

    assert relayed == BEGUN + SAID
    assert (stream.call_id, stream.usage, stream.finished) == ("resp_1", None, False)
    assert stream.output_estimate == (len(r"He \"said\" response.completed") + 80) // 4
    assert stream.number == 4


@pytest.mark.parametrize(
    "failure",
    [
        event("response.failed", 4, response=response(status="failed", usage=USAGE)),
        event("error", 4, code="server_error", message="secret words", param=None),
        b'data: {"error":{"message":"secret words"}}\n\n',
    ],
)
def test_a_failure_is_the_exchanges_to_tell(failure: bytes) -> None:
    """Each way to say it ends the stream, and none of its words reaches the caller."""
    stream, relayed = fed(BEGUN + SAID + failure + LAST)

    assert relayed == BEGUN + SAID
    assert (stream.error, stream.finished, stream.number) == (True, False, 4)
    assert (stream.usage == read_usage(USAGE)) is failure.startswith(b"event: response.failed")


def test_half_a_surrogate_pair_is_no_harm() -> None:
    """Models cut emoji in two: strict parsers refuse such an event, and it may be the last."""
    half = (
        rb"event: response.completed"
        b"\n"
        rb'data: {"type":"response.completed","response":{"id":"r","output":"\ud83d"}}'
    )

    stream, relayed = fed(BEGUN, half + b"\n\n")

    assert (relayed, stream.finished, stream.end()) == (BEGUN, True, half + b"\n\n")


def test_unknown_events_and_garbage_pass() -> None:
    """What OpenAI adds tomorrow goes to the caller today."""
    strange = event("response.something_new", 2, error="x") + b'data: {"error":\n\n' + b": ping\n\n"

    stream, relayed = fed(BEGUN + strange)

    assert (relayed, stream.error) == (BEGUN + strange, False)
