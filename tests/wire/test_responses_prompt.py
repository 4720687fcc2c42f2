"""Responses requests in the neutral form: the same as the same conversation of the chat surface, or refused by name."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import chat, chat_prompt, responses, responses_prompt
from proxy.wire.errors import Malformed
from proxy.wire.neutral import Prompt, Result, Text
from tests.wire.test_chat import JSON_VALUES, root

PNG = "data:image/png;base64,iVBORw0KGgo="
FILE = {"type": "input_file", "file_data": "x"}
CALL = {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def prompt(before: Any = (), **fields: Any) -> Prompt:
    """The neutral form of a request."""
    asked = responses.read(orjson.dumps({"model": "auto", "input": "hi", **fields}))
    return responses_prompt.read(asked, before)


def of_chat(**fields: Any) -> Prompt:
    """The neutral form of a chat request."""
    return chat_prompt.read(chat.read(orjson.dumps({"model": "auto", **fields})))


words = st.text(min_size=1, max_size=20)
user_parts = st.lists(st.one_of(words, st.just(None)), min_size=1, max_size=3)
"""Words, or (None) the one image."""
steps = st.lists(
    st.one_of(
        st.tuples(st.just("user"), user_parts),
        st.tuples(st.just("assistant"), words),
        st.tuples(st.just("system"), words),
        st.tuples(st.just("call"), st.tuples(words, st.dictionaries(words, st.integers(0, 9), max_size=2), words)),
    ),
    min_size=1,
    max_size=6,
)


def as_chat(step: Any, number: int) -> list[dict[str, Any]]:
    """A step of a conversation as chat has it."""
    kind, said = step
    if kind == "user":
        image = {"type": "image_url", "image_url": {"url": PNG}}
        return [{"role": "user", "content": [image if s is None else {"type": "text", "text": s} for s in said]}]
    if kind != "call":
        return [{"role": kind, "content": said}]
    name, arguments, result = said
    function = {"name": name, "arguments": orjson.dumps(arguments).decode()}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"call_{number}", "content": result},
    ]


def as_items(step: Any, number: int) -> list[dict[str, Any]]:
    """The same as Responses has it."""
    kind, said = step
    if kind == "user":
        image = {"type": "input_image", "image_url": PNG, "detail": "auto"}
        return [{"role": "user", "content": [image if s is None else {"type": "input_text", "text": s} for s in said]}]
    if kind == "assistant":
        part = {"type": "output_text", "text": said, "annotations": []}
        return [{"type": "message", "id": "msg_1", "status": "completed", "role": kind, "content": [part]}]
    if kind == "system":
        return [{"type": "message", "role": "developer", "content": said}]
    name, arguments, result = said
    call_id = f"call_{number}"
    return [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": call_id, "name": name, "arguments": orjson.dumps(arguments).decode()},
        {"type": "function_call_output", "call_id": call_id, "output": result},
    ]


@given(steps, st.data())
def test_a_conversation_means_the_same_on_both_surfaces(conversation: Any, data: st.DataObject) -> None:
    """Words, images, calls and results, and it does not matter where what went before was cut off."""
    messages = [each for number, step in enumerate(conversation) for each in as_chat(step, number)]
    items = [each for number, step in enumerate(conversation) for each in as_items(step, number)]
    cut = data.draw(st.integers(0, len(items) - 1))

    expected = of_chat(messages=messages)

    assert prompt(input=items) == expected
    assert prompt(before=items[:cut], input=items[cut:]) == expected


def test_settings_mean_the_same_on_both_surfaces() -> None:
    """Tools, choice, limits, schema, effort and identity, each under its other name."""
    named = {"name": "look", "description": "Looks.", "parameters": SCHEMA, "strict": True}
    shared = {"temperature": 0.5, "top_p": 0.9, "user": "u", "metadata": {"a": "b"}, "parallel_tool_calls": False,
              "stream": True}  # fmt: skip

    ours = prompt(
        instructions="Be brief.", max_output_tokens=50, tools=[{"type": "function", **named}],
        tool_choice={"type": "function", "name": "look"}, reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}},
        include=["reasoning.encrypted_content"], store=False, truncation="disabled", **shared,
    )  # fmt: skip

    assert ours == of_chat(
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        max_completion_tokens=50, tools=[{"type": "function", "function": named}],
        tool_choice={"type": "function", "function": {"name": "look"}}, reasoning_effort="low",
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}, **shared,
    )  # fmt: skip


def test_a_tools_result_may_hold_images_and_marks() -> None:
    """A screenshot comes back as an image, and a breakpoint of the prompt's cache as the form's own mark."""
    parts = [
        {"type": "input_text", "text": "seen", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "https://example.org/x.png"},
    ]
    found = prompt(
        input=[
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": ""},
            {"type": "function_call_output", "call_id": "c", "output": parts},
        ]
    )

    (result,) = found.turns[-1].blocks
    assert isinstance(result, Result)
    assert result.parts[0] == Text("seen", "5m")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": [{"type": "web_search_call", "id": "ws"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [FILE]}]}, "input[0].content[0].input_file"),
        ({"input": [CALL | {"arguments": "["}]}, "input[0].arguments"),
        ({"input": [CALL | {"namespace": "x"}]}, "input[0].namespace"),
        ({"tools": [{"type": "function", "name": "n", "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"reasoning": {"effort": "utter"}}, "reasoning.effort"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"truncation": "auto"}, "truncation"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"anything_new": 1}, "anything_new"),
    ],
)  # fmt: skip
def test_what_has_no_word_is_named(fields: dict[str, Any], param: str) -> None:
    """Nothing is dropped in silence."""
    with pytest.raises(Malformed) as refused:
        prompt(**fields)

    assert refused.value.param == param


PROMPT_FIELDS = ("input", "instructions", "tools", "tool_choice", "text", "reasoning", "parallel_tool_calls", "include",
                 "user", "metadata", "truncation", "top_logprobs", "context_management")  # fmt: skip


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(PROMPT_FIELDS, JSON_VALUES)))
def test_any_values_are_carried_or_refused_by_name(fields: dict[str, Any]) -> None:
    """Junk raises `Malformed` with a `param`, and nothing else."""
    refused: Malformed | None = None
    try:
        prompt(**fields)
    except Malformed as error:
        refused = error

    assert refused is None or root(refused.param) in PROMPT_FIELDS
