"""Chat requests as Anthropic's API wants them, and what cannot be said there."""

from typing import Any

import orjson
import pytest

from proxy.settings import Deployment, Provider
from proxy.upstream import dialects
from proxy.upstream.dialects import anthropic
from proxy.wire import chat
from proxy.wire.errors import Malformed

PROVIDER = Provider("anthropic", "anthropic", "https://api.anthropic.com", None, enabled=True)
HAIKU = "claude-haiku-5-5"
PNG = "iVBORw0KGgo="
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Now.", "parameters": {"type": "object"}}}


def deployment(model: str = HAIKU, output_max: int | None = 128_000) -> Deployment:
    """A deployment at Anthropic."""
    return Deployment("ours", PROVIDER, model, prices=None, free=True, output_max=output_max)


def user(content: Any) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": content}


def ask(*messages: dict[str, Any], **fields: Any) -> chat.ChatRequest:
    """A request; `hi` when no message is given."""
    return chat.read(orjson.dumps({"model": "auto", "messages": messages or [user("hi")], **fields}))


def sent(*messages: dict[str, Any], model: str = HAIKU, **fields: Any) -> dict[str, Any]:
    """The body that goes upstream; what goes had to be carried."""
    wanted = ask(*messages, **fields)
    assert dialects.uncarried(deployment(model), wanted) is None
    return orjson.loads(dialects.request_body(deployment(model), wanted))


def text(words: str) -> dict[str, str]:
    """A block of text."""
    return {"type": "text", "text": words}


def test_path_and_headers() -> None:
    """The key has a header of its own, and the API a version."""
    headers = dict(anthropic.request_headers("sk-ant"))

    assert anthropic.request_path(deployment(), stream=True) == "/v1/messages"
    assert headers[b"x-api-key"] == b"sk-ant"
    assert headers[b"anthropic-version"] == b"2023-06-01"
    assert b"authorization" not in headers
    assert b"x-api-key" not in dict(anthropic.request_headers(None))


def test_a_plain_question() -> None:
    """Model and limit are stated; nothing else is."""
    assert sent() == {
        "model": HAIKU,
        "max_tokens": 128_000,
        "messages": [{"role": "user", "content": [text("hi")]}],
    }


def test_the_limit_is_the_caller_s_then_the_model_s_then_a_default() -> None:
    """`max_tokens` is required there."""
    assert sent(max_tokens=5, max_completion_tokens=7)["max_tokens"] == 7
    assert sent(max_tokens=5)["max_tokens"] == 5
    unknown = orjson.loads(dialects.request_body(deployment("house", output_max=None), ask()))
    assert unknown["max_tokens"] == 4096


def test_instructions_are_lifted_out_in_their_order() -> None:
    """System and developer messages, wherever they stand; the turns around them become one."""
    body = sent(
        {"role": "system", "content": "one"},
        user("a"),
        {"role": "developer", "content": [text("two"), text("")]},
        user([text("b")]),
    )

    assert body["system"] == [text("one"), text("two")]
    assert body["messages"] == [{"role": "user", "content": [text("a"), text("b")]}]


def test_a_tool_is_called_and_answered() -> None:
    """Parallel calls keep their ids; their results and the next words of the user are one turn."""
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "weather", "arguments": f'{{"n":{n}}}'}}
        for n in (1, 2)
    ]
    body = sent(
        user("rain?"),
        {"role": "assistant", "content": None, "tool_calls": calls, "annotations": [], "refusal": None},
        {"role": "tool", "tool_call_id": "call_1", "content": "yes"},
        {"role": "tool", "tool_call_id": "call_2", "content": [text("no"), {**text("!"), "cache_control": None}]},
        user("thanks"),
        tools=[WEATHER],
    )

    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"n": 1}},
                {"type": "tool_use", "id": "call_2", "name": "weather", "input": {"n": 2}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [text("yes")]},
                {"type": "tool_result", "tool_use_id": "call_2", "content": [text("no"), text("!")]},
                text("thanks"),
            ],
        },
    ]
    assert body["tools"] == [{"name": "weather", "description": "Now.", "input_schema": {"type": "object"}}]


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "weather"}}}, {"type": "tool", "name": "weather"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False, "tool_choice": "required"}, {"type": "any", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
    ],
)
def test_which_tools_may_be_called(fields: dict[str, Any], choice: dict[str, Any] | None) -> None:
    """Each choice has its word."""
    assert sent(tools=[WEATHER], **fields).get("tool_choice") == choice


def test_a_tool_without_arguments_and_a_strict_one() -> None:
    """A schema is required there; strictness is carried."""
    bare = {"type": "function", "function": {"name": "now"}}
    strict = {"type": "function", "function": {"name": "then", "parameters": {"type": "object"}, "strict": True}}

    assert sent(tools=[bare, strict])["tools"] == [
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        {"name": "then", "input_schema": {"type": "object"}, "strict": True},
    ]


def test_images() -> None:
    """A data URL is taken apart, an https URL is passed on; how finely to look is a hint."""
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.jpg"}},
    ]

    (turn,) = sent(user(parts))["messages"]

    assert turn["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.jpg"}},
    ]


def test_cache_marks_are_carried() -> None:
    """On text, in Anthropic's own words: five minutes unless the mark says an hour."""
    hour = {**text("long"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    short = {**text("more"), "cache_control": {"type": "ephemeral"}}

    body = sent({"role": "system", "content": [hour]}, user([short]))

    assert body["system"] == [hour]
    assert body["messages"][0]["content"] == [{**text("more"), "cache_control": {"type": "ephemeral", "ttl": "5m"}}]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
        ({"safety_identifier": "s-1", "metadata": {"team": "x"}}, {"metadata": {"user_id": "s-1"}}),
        ({"metadata": {"user_id": "m-1"}}, {"metadata": {"user_id": "m-1"}}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"temperature": 1, "top_p": 1.0, "n": 1, "logprobs": False, "store": False, "seed": None}, {}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        (
            {"reasoning_effort": "minimal"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
    ],
)
def test_settings(fields: dict[str, Any], said: dict[str, Any]) -> None:
    """Each has its word; those that ask for nothing have none."""
    assert sent(**fields) == {**sent(), **said}


@pytest.mark.parametrize(
    ("model", "fields", "said"),
    [
        ("claude-sonnet-4-5", {"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
        ("claude-3-5-sonnet-20241022", {"temperature": 0.7}, {"temperature": 0.7}),
        ("claude-opus-4-20250514", {"temperature": 0.7, "reasoning_effort": "none"}, {"temperature": 0.7}),
        ("the-gateway-s-own", {"temperature": 0.7}, {"temperature": 0.7}),
    ],
)
def test_older_models_take_a_temperature(model: str, fields: dict[str, Any], said: dict[str, Any]) -> None:
    """So do those whose name says no version: their provider judges."""
    assert sent(model=model, **fields) == {**sent(model=model), **said}


@pytest.mark.parametrize(
    ("model", "fields", "named"),
    [
        (HAIKU, {"n": 2}, "n"),
        (HAIKU, {"logprobs": True}, "logprobs"),
        (HAIKU, {"logit_bias": {"50256": -100}}, "logit_bias"),
        (HAIKU, {"seed": 7}, "seed"),
        (HAIKU, {"modalities": ["text", "audio"]}, "modalities"),
        (HAIKU, {"audio": {"voice": "x"}}, "audio"),
        (HAIKU, {"frequency_penalty": 0.1}, "frequency_penalty"),
        (HAIKU, {"service_tier": "flex"}, "service_tier"),
        (HAIKU, {"functions": [{"name": "f"}]}, "functions"),
        (HAIKU, {"a_field_of_tomorrow": 1}, "a_field_of_tomorrow"),
        (HAIKU, {"temperature": 0.2}, "temperature"),
        (HAIKU, {"top_p": 0.2}, "top_p"),
        (HAIKU, {"response_format": {"type": "json_object"}}, "response_format"),
        ("claude-sonnet-4-5", {"temperature": 1.5}, "temperature"),
        ("claude-sonnet-4-5", {"reasoning_effort": "low"}, "reasoning_effort"),
        ("claude-opus-5-5", {"reasoning_effort": "none"}, "reasoning_effort"),
        ("claude-opus-5-5", {"tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
    ],
)
def test_fields_without_a_word_are_named(model: str, fields: dict[str, Any], named: str) -> None:
    """A look at the top is enough for routing to pass the deployment over."""
    assert dialects.uncarried(deployment(model), ask(**fields)) == named


@pytest.mark.parametrize(
    ("messages", "fields", "named"),
    [
        ([user([{"type": "input_audio", "input_audio": {}}])], {}, "messages[0].content[0].input_audio"),
        ([user([{"type": "image_url", "image_url": {"url": "http://x.test/a.png"}}])], {},
         "messages[0].content[0].image_url.url"),
        ([user([{"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}}])], {}, "messages"),
        ([{**user("x"), "name": "ada"}], {}, "messages[0].name"),
        ([{"role": "system", "content": "only"}], {}, "messages"),
        ([user("x"), {"role": "function", "name": "f", "content": "y"}], {}, "messages[1].role"),
        ([user("x"), {"role": "tool", "content": "y"}], {}, "messages[1].tool_call_id"),
        ([user("x"), {"role": "assistant", "function_call": {"name": "f"}}], {}, "messages[1].function_call"),
        ([user("x"), {"role": "assistant", "refusal": 5}], {}, "messages[1].refusal"),
        ([user("x"), {"role": "assistant", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}]}], {},
         "messages[1].tool_calls[0].function.arguments"),
        ([user("x")], {"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ([user("x")], {"tool_choice": "required"}, "tool_choice"),
        ([user("x")], {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ([user("x")], {"reasoning_effort": "tremendous"}, "reasoning_effort"),
        ([user("x")], {"stop": [1]}, "stop"),
        ([user("x")], {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format"),
    ],
)  # fmt: skip
def test_what_lies_deeper_is_named_too(messages: list[Any], fields: dict[str, Any], named: str) -> None:
    """Before anybody is called, with the place."""
    with pytest.raises(Malformed) as raised:
        dialects.request_body(deployment(), ask(*messages, **fields))

    assert raised.value.param == named
