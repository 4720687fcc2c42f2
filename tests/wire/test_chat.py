"""A chat request: what is read is checked and named; what is not read is kept by value."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import chat
from proxy.wire.errors import Malformed
from proxy.wire.fields import COUNT_MAX, TEXT_MAX
from proxy.wire.strict import read_object
from tests.wire.test_strict import JSON_VALUES

HI: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
READ_FIELDS = {
    "model", "messages", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "tools", "functions",
    "response_format", "temperature", "top_p", "frequency_penalty", "presence_penalty", "metadata", "stop",
    "best_of", "service_tier",
}  # fmt: skip


def read(**fields: Any) -> chat.ChatRequest:
    """Read a good request with some fields changed."""
    return chat.read(orjson.dumps({**HI, **fields}))


def root(param: str | None) -> str:
    """The top-level field that a path begins with."""
    assert param is not None
    return re.split(r"[.\[]", param)[0]


def message(**fields: Any) -> dict[str, Any]:
    """Fields of a request whose only message is this one."""
    return {"messages": [{"role": "user", "content": "hi", **fields}]}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"model": ["auto"]}, "model"),
        ({"model": "m" * (TEXT_MAX + 1)}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": {"role": "user"}}, "messages"),
        ({"messages": [HI["messages"][0]] * (chat.MESSAGES_MAX + 1)}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [HI["messages"][0], None]}, "messages[1]"),
        (message(role=None), "messages[0].role"),
        (message(role="wizard"), "messages[0].role"),
        (message(role=["user"]), "messages[0].role"),
        (message(content=7), "messages[0].content"),
        (message(content={"type": "text"}), "messages[0].content"),
        (message(content=None), "messages[0].content"),
        (message(role="system", content=None), "messages[0].content"),
        (message(role="developer", content=None), "messages[0].content"),
        (message(content=["hi"]), "messages[0].content[0]"),
        (message(content=[{"type": "text", "text": "a"}, {"text": "b"}]), "messages[0].content[1]"),
        (message(content=[{"type": ["text"]}]), "messages[0].content[0]"),
        ({"stream": 1}, "stream"),
        ({"stream": "true"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": []}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"n": 0}, "n"),
        ({"n": -1}, "n"),
        ({"n": COUNT_MAX + 1}, "n"),
        ({"n": True}, "n"),
        ({"n": 1.5}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "10"}, "max_tokens"),
        ({"max_tokens": COUNT_MAX + 1}, "max_tokens"),
        ({"max_tokens": 1e9}, "max_tokens"),
        ({"max_completion_tokens": 0, "max_tokens": 5}, "max_completion_tokens"),
        ({"best_of": 0}, "best_of"),
        ({"best_of": 2.5, "n": 49}, "best_of"),
        ({"best_of": True}, "best_of"),
        ({"service_tier": ["priority"]}, "service_tier"),
        ({"tools": {}}, "tools"),
        ({"tools": "search"}, "tools"),
        ({"functions": {"name": "f"}}, "functions"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": []}, "response_format"),
        ({"response_format": {"type": ["json_schema"]}}, "response_format"),
        ({"response_format": {"type": {}}}, "response_format"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_bad_field_is_named(fields: dict[str, Any], param: str) -> None:
    """The error says which field, by its path, as OpenAI's do."""
    with pytest.raises(Malformed) as raised:
        read(**fields)

    assert raised.value.param == param
    assert root(param) in raised.value.message


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_missing_field_is_named(name: str) -> None:
    """Both are required."""
    with pytest.raises(Malformed) as raised:
        chat.read(orjson.dumps({key: value for key, value in HI.items() if key != name}))

    assert raised.value.param == name


def test_what_is_at_the_limits_is_read() -> None:
    """The largest allowed values, and null where it means absent."""
    request = read(
        model="m" * TEXT_MAX, n=COUNT_MAX, max_tokens=COUNT_MAX, stream=None, stream_options=None,
        tools=None, response_format=None, max_completion_tokens=None,
    )  # fmt: skip

    assert (request.choices, request.output_max) == (COUNT_MAX, COUNT_MAX)
    assert (request.stream, request.include_usage, request.tools, request.wants_schema) == (False, False, 0, False)


def test_a_plain_request_has_no_limits_but_its_own() -> None:
    """Unknown is None: no `max_tokens` is not 0, and one answer is the default."""
    request = read()

    assert request.output_max is None
    assert request.choices == 1
    assert request.body_bytes == len(orjson.dumps(HI))
    assert request.tools == 0
    assert {request.has_images, request.has_audio, request.wants_schema} == {False}


def test_the_larger_of_both_limits_counts() -> None:
    """Both are sent on, and nobody knows which one a server goes by."""
    assert read(max_tokens=5, max_completion_tokens=7).output_max == 7
    assert read(max_tokens=9, max_completion_tokens=7).output_max == 9
    assert read(max_tokens=5).output_max == 5


def test_what_a_request_needs() -> None:
    """Tools of both generations are added up, parts and formats are seen."""
    parts = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "https://x"}}]
    audio = [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]

    tool = {"type": "function", "function": {"name": "look_up"}}
    assert read(tools=[tool, tool], functions=[{}]).tools == 2 + 1
    assert read(**message(content=parts)).has_images
    assert read(**message(content=audio)).has_audio
    assert read(response_format={"type": "json_schema", "json_schema": {"name": "x"}}).wants_schema
    assert read(response_format={"type": "json_object"}).wants_schema
    assert not read(response_format={"type": "text"}).wants_schema


@pytest.mark.parametrize("role", ["assistant", "tool", "function"])
def test_who_may_say_nothing(role: str) -> None:
    """An assistant that only called tools has no content."""
    messages = [HI["messages"][0], {"role": role, "content": None}]

    assert read(messages=messages).messages == messages


def sent(request: chat.ChatRequest, model: str = "gpt-x") -> Any:
    """What goes upstream."""
    return orjson.loads(request.body_for(model))


@given(st.dictionaries(st.text().filter(lambda name: name not in READ_FIELDS), JSON_VALUES, max_size=6))
def test_fields_we_do_not_read_are_kept_by_value(extra: dict[str, Any]) -> None:
    """Whatever else a caller sends goes upstream, for the provider's model."""
    assert sent(read(**extra)) == {**HI, **extra, "model": "gpt-x"}


@given(
    st.dictionaries(
        st.text().filter(lambda name: name not in {"role", "content", "tool_calls"}), JSON_VALUES, max_size=4
    ),
    st.text(),
)
def test_messages_are_kept_by_value(extra: dict[str, Any], text: str) -> None:
    """Unknown fields inside messages, and any text."""
    messages = [{"role": "user", "content": text, **extra}, {"role": "assistant", "content": [{"type": "x", **extra}]}]
    messages[1]["content"][0]["type"] = "x"

    assert sent(read(messages=messages))["messages"] == messages


def test_of_duplicate_keys_only_the_last_goes_upstream() -> None:
    """What was judged is what is sent: a second spelling cannot smuggle another model or message past us."""
    body = (
        rb'{"model":"gpt-expensive","messages":[{"role":"user","content":"hard"}],"n":128,'
        rb'"model":"auto","messages":[{"role":"system","role":"user","content":"easy"}],"\u006e":1}'
    )

    request = chat.read(body)
    upstream = request.body_for("gpt-x")

    assert (request.model, request.choices) == ("auto", 1)
    assert upstream.count(b'"model"') == upstream.count(b'"role"') == upstream.count(b'"n"') == 1
    assert b"hard" not in upstream
    assert b"expensive" not in upstream
    assert sent(request) == {"model": "gpt-x", "messages": [{"role": "user", "content": "easy"}], "n": 1}


@pytest.mark.parametrize(
    ("fields", "options", "asked"),
    [
        ({}, None, False),
        ({"stream": False}, None, False),
        ({"stream": True}, {"include_usage": True}, False),
        ({"stream": True, "stream_options": None}, {"include_usage": True}, False),
        ({"stream": True, "stream_options": {}}, {"include_usage": True}, False),
        ({"stream": True, "stream_options": {"include_usage": False}}, {"include_usage": True}, False),
        ({"stream": True, "stream_options": {"include_usage": None}}, {"include_usage": True}, False),
        ({"stream": True, "stream_options": {"x": 1}}, {"x": 1, "include_usage": True}, False),
        ({"stream": True, "stream_options": {"include_usage": True, "x": 1}}, {"include_usage": True, "x": 1}, True),
    ],
)
def test_a_stream_is_asked_for_its_usage(fields: dict[str, Any], options: Any, asked: bool) -> None:
    """Streams always report usage to us; whether the caller sees it is what the caller asked for."""
    request = read(**fields)

    assert request.include_usage is asked
    assert sent(request).get("stream_options") == options


def test_serialising_changes_nothing_that_was_read() -> None:
    """A fallback serialises the same request for another model."""
    request = read(stream=True, stream_options={"x": 1})

    first, second = sent(request, "one"), sent(request, "two")

    assert (first.pop("model"), second.pop("model")) == ("one", "two")
    assert first == second
    assert request.fields["stream_options"] == {"x": 1}


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(READ_FIELDS), JSON_VALUES)))
def test_any_values_are_read_or_refused_by_name(fields: dict[str, Any]) -> None:
    """Junk in the fields that we read raises `Malformed` with a `param`, and nothing else."""
    refused: Malformed | None = None
    try:
        request = read(**fields)
    except Malformed as error:
        refused = error

    if refused is None:
        assert sent(request)["model"] == "gpt-x"
    else:
        assert root(refused.param) in READ_FIELDS


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": None}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": None}]}]},
            "messages[0].content[0].image_url",
        ),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": 5}]}, "messages[0].tool_calls"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": None}]}, "tools[0].function"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"temperature": "hot"}, "temperature"),
        ({"metadata": 5}, "metadata"),
        ({"stop": {}}, "stop"),
    ],
)
def test_a_shape_that_every_provider_refuses_is_refused_here(fields, param):
    """Nothing is held or charged for it, and the caller learns which field it was."""
    with pytest.raises(Malformed) as refused:
        read(**fields)

    assert refused.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"a": [1, {"b": NaN}]}', "a[1].b"),
        (b'{"a": "\\ud800"}', "a"),
        (b'{"max_tokens": 123456789012345678901234567890}', "max_tokens"),
        (b'{"a": {"b": [-9223372036854775809]}}', "a.b[0]"),
        (b'{"a": ', None),
    ],
)
def test_a_value_that_is_no_json_is_named(body, param):
    """NaN, a lone surrogate, an integer beyond 64 bits: the error says where."""
    with pytest.raises(Malformed) as refused:
        read_object(body)

    assert refused.value.param == param
