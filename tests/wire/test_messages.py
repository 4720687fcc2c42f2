"""Anthropic's Messages as a surface: what is read, what is refused by name, and what survives the neutral form."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from margin.usage import Usage
from proxy.settings import Deployment, Provider
from proxy.upstream.dialects import anthropic
from proxy.wire import messages, messages_pieces, messages_prompt, sse
from proxy.wire.errors import Malformed, OutOfCredit, Unavailable, anthropic_body
from proxy.wire.neutral import Argued, Called, Ended, Piece, Result, Said, Started, Text, Thought, Used

USER = {"role": "user", "content": "hi"}
PROVIDER = Provider("there", "anthropic", "https://there.test", None, enabled=True)
DEPLOYMENT = Deployment("ours", PROVIDER, "claude-haiku-5-5", prices=None, free=True)
EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)

words = st.text(min_size=1, max_size=12)
text = st.builds(lambda said: {"type": "text", "text": said}, words)
image = st.just({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}})
call = st.builds(lambda id_, name, value: {"type": "tool_use", "id": id_, "name": name, "input": {"a": value}},
                 words, words, words)  # fmt: skip
result = st.builds(lambda id_, said: {"type": "tool_result", "tool_use_id": id_, "content": [said]}, words, text)
turns = st.lists(
    st.builds(lambda asked, said: [{"role": "user", "content": asked}, {"role": "assistant", "content": said}],
              st.lists(text | image | result, min_size=1, max_size=3), st.lists(text | call, min_size=1, max_size=3)),
    min_size=1, max_size=3,
)  # fmt: skip


def read(**fields: Any) -> messages.MessagesRequest:
    """Read a request with some fields changed; None leaves one out."""
    whole = {"model": "auto", "max_tokens": 9, "messages": [USER]} | fields
    return messages.read(orjson.dumps({name: value for name, value in whole.items() if value is not None}))


@given(turns)
def test_a_conversation_survives_the_neutral_form(said: list[list[dict[str, Any]]]) -> None:
    """Read, written for Anthropic, and read again it is the same prompt."""
    conversation = [turn for pair in said for turn in pair] + [USER]
    tool = {"name": "t", "input_schema": {"type": "object"}}
    asked = read(messages=conversation, system="Be brief.", tools=[tool], stop_sequences=["x"], temperature=0.5)
    prompt = messages_prompt.read(asked)

    body = anthropic.written(prompt, DEPLOYMENT)

    assert messages_prompt.read(messages.read(body)) == prompt


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"system": 5}, "system"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"temperature": True}, "temperature"),
        ({"thinking": "much"}, "thinking"),
        ({"container": "c1"}, "container"),
        ({"mcp_servers": [{"url": "https://x"}]}, "mcp_servers"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}
                ]
            },
            "messages[0].content[0].source",
        ),
    ],
    ids=str,
)
def test_a_bad_field_is_named(fields: dict[str, Any], named: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(Malformed) as refused:
        read(**fields)

    assert refused.value.param == named


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"top_k": 5}, "top_k"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"tools": [{"name": "web_search", "type": "web_search_20250305"}]}, "tools[0].type"),
        ({"output_config": {"effort": "max"}}, "output_config.effort"),
        ({"of_tomorrow": 1}, "of_tomorrow"),
        ({"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "text"}}]}]},
         "messages[0].content[0].type"),
        ({"speed": "fast"}, "speed"),
        ({"top_k": None, "service_tier": "auto", "speed": "standard"}, None),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_neutral_form_has_no_word_for_is_named(fields: dict[str, Any], named: str | None) -> None:
    """At Anthropic it passes by value; nowhere else is it dropped in silence."""
    assert messages_prompt.unheld(read(**fields)) == named


def test_a_judge_reads_what_was_asked() -> None:
    """Instructions apart, and what tools gave as nobody's words."""
    given_ = {"type": "tool_result", "tool_use_id": "c", "content": "rain"}
    found = read(system="S", messages=[USER, {"role": "user", "content": [given_, {"type": "text", "text": "so?"}]}])

    assert [each["role"] for each in found.messages] == ["system", "user", "tool", "user"]
    assert found.messages[-1]["content"] == [{"type": "text", "text": "so?"}]


ANSWER: list[Piece] = [
    Started("msg_1", "m"), Thought("hm"), Said("It"), Said(" rains"), Called(0, "c1", "now"), Argued(0, '{"a"'),
    Argued(0, ": 1}"), Called(1, "c2", "then"), Ended("calls"),
    Used(Usage(input=5, cache_read=3, cache_write_5m=2, cache_write_1h=1, output=4, reasoning=2)),
]  # fmt: skip


def test_an_answer_is_one_that_the_sdk_takes() -> None:
    """Whole, and as events that its types take one by one, with usage in Anthropic's buckets."""
    whole = Message.model_validate_json(messages_pieces.message(ANSWER, 7))
    writer = messages_pieces.Events(7)
    sent = b"".join(map(writer.write, ANSWER)) + writer.end()

    events = [EVENTS.validate_json(sse.payload(event) or b"") for event in sse.events(sent)]

    assert [block.type for block in whole.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert (whole.content[2].input, whole.content[3].input) == ({"a": 1}, {})
    assert (whole.usage.input_tokens, whole.usage.cache_read_input_tokens, whole.usage.output_tokens) == (5, 3, 6)
    assert whole.usage.cache_creation_input_tokens == 3
    indexes = [event.index for event in events if event.type == "content_block_start"]
    assert indexes == [0, 1, 2, 3]
    assert [event.type for event in events][-2:] == ["message_delta", "message_stop"]


def accumulated(pieces: list[Piece], input_estimate: int) -> list[tuple[int | None, int]]:
    """What the SDK's own accumulation of a stream says of its usage, after its start and at its end."""
    writer = messages_pieces.Events(input_estimate)
    sent = b"".join(map(writer.write, pieces)) + writer.end()
    snapshot, found, buffers = None, [], dict[int, bytes]()
    for event in sse.events(sent):
        told = EVENTS.validate_json(sse.payload(event) or b"")
        snapshot = accumulate_event(event=told, current_snapshot=snapshot, json_bufs=buffers)
        found.append((snapshot.usage.input_tokens, snapshot.usage.output_tokens))
    return [found[0], found[-1]]


def test_a_stream_tells_an_estimate_first_and_what_was_used_last() -> None:
    """Other providers tell it at the end, while clients read the input off the start, where 0 of 0 misleads them."""
    assert accumulated(ANSWER, 123) == [(123, 0), (5, 4 + 2)]


@given(st.data())
def test_calls_whose_arguments_come_by_turns_are_told_one_after_the_other(data: st.DataObject) -> None:
    """Servers may begin a second call while the first still goes on; here one block is whole before the next begins."""
    given = [orjson.dumps({"a": data.draw(words)}).decode() for _ in range(3)]
    order = data.draw(st.permutations([at for at, text in enumerate(given) for _ in ("begins", *text)]))
    number = {at: index for index, at in enumerate(dict.fromkeys(order))}  # as they begin
    left: dict[int, Iterator[Piece]] = {
        at: iter([Called(number[at], f"c{at}", "f"), *(Argued(number[at], each) for each in text)])
        for at, text in enumerate(given)
    }
    said: list[Piece] = [Started("a", "m"), Said("So: "), *(next(left[at]) for at in order), Ended("calls")]
    said.insert(data.draw(st.integers(2, len(said) - 1)), Said("and"))

    writer = messages_pieces.Events(7)
    snapshot, buffers, opened = None, dict[int, bytes](), list[int]()
    for event in sse.events(b"".join(map(writer.write, said)) + writer.end()):
        told = EVENTS.validate_json(sse.payload(event) or b"")
        if told.type == "content_block_start":
            assert told.index == len(opened)
            opened.append(told.index)
        elif told.type in {"content_block_delta", "content_block_stop"}:
            assert told.index == opened[-1]
        snapshot = accumulate_event(event=told, current_snapshot=snapshot, json_bufs=buffers)

    assert snapshot is not None
    blocks = [(block.id, block.input) for block in snapshot.content if block.type == "tool_use"]
    assert blocks == [(f"c{at}", orjson.loads(given[at])) for at in number]
    assert "".join(block.text for block in snapshot.content if block.type == "text") == "So: and"


def test_without_usage_the_end_still_says_why_and_about_how_much() -> None:
    """A provider that reports none ends the message all the same; the API has no word for what nobody knows."""
    said: list[Piece] = [Started("a", "m"), Said("x"), Said("y"), Ended("limit")]
    writer = messages_pieces.Events(7)

    sent = b"".join(map(writer.write, said)) + writer.end()
    whole = Message.model_validate_json(messages_pieces.message(said, 7))

    assert b'"stop_reason":"max_tokens"' in sent
    assert sent.endswith(messages_pieces.END)
    assert accumulated(said, 7)[-1] == (7, 2)
    assert whole.usage.input_tokens == 7
    assert whole.usage.output_tokens > 0


def test_errors_are_in_anthropic_s_words() -> None:
    """By status, with the exchange as its request's id."""
    error = OutOfCredit("No credit.")
    error.exchange = "ex_1"

    assert anthropic_body(error) == {
        "type": "error", "error": {"type": "billing_error", "message": "No credit."}, "request_id": "ex_1",
    }  # fmt: skip
    assert anthropic_body(Unavailable("Away."))["error"]["type"] == "overloaded_error"


def test_the_message_names_the_field_where_it_does_not_yet() -> None:
    """There is no other place for it in this shape."""
    bare, named = Malformed("No images here.", param="messages"), Malformed("`top_k` is none.", param="top_k")

    assert anthropic_body(bare)["error"]["message"] == "`messages`: No images here."
    assert anthropic_body(named)["error"]["message"] == "`top_k` is none."


@pytest.mark.parametrize(("mark", "first"), [(True, ("The tool failed: ", "no such city")), (False, ("no such city",))])
def test_a_tool_that_failed_is_told_to_have_failed(mark: bool, first: tuple[str, ...]) -> None:
    """Other APIs have no mark for it: without a word the model would take the error for the tool's answer."""
    failed = {"type": "tool_result", "tool_use_id": "t1", "content": "no such city", "is_error": mark}

    found = messages_prompt.read(read(messages=[{"role": "user", "content": [failed]}]))

    assert found.turns[0].blocks == (Result("t1", tuple(Text(words) for words in first)),)
