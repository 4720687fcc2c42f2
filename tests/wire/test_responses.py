"""Reading a request of the Responses API: what is read, what is kept, what is refused and by which name."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import responses
from proxy.wire.errors import Malformed
from tests.wire.test_chat import JSON_VALUES, root

HI = {"model": "auto", "input": "hi"}
READ_FIELDS = {
    "model", "input", "instructions", "stream", "stream_options", "max_output_tokens", "tools", "text", "reasoning",
    "temperature", "top_p", "top_logprobs", "max_tool_calls", "metadata", "service_tier", "truncation", "user",
    "safety_identifier", "prompt_cache_key", "previous_response_id", "store", "include", "background", "conversation",
    "prompt",
}  # fmt: skip


def read(**fields: Any) -> responses.ResponsesRequest:
    """Read a good request with some fields changed."""
    return responses.read(orjson.dumps({**HI, **fields}))


def test_a_text_is_an_item_of_the_users() -> None:
    """The judge sees instructions and items alike, whichever way they were written."""
    short = read(instructions="Be brief.")
    long = read(instructions="Be brief.", input=[{"role": "user", "content": "hi"}])

    assert short.messages == long.messages == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"},
    ]  # fmt: skip
    assert (short.stream, short.output_max, short.previous, short.is_stored) == (False, None, None, True)
    assert orjson.loads(short.body_for("gpt-x")) == {"model": "gpt-x", "input": "hi", "instructions": "Be brief."}


def test_what_routing_and_holds_need_is_counted() -> None:
    """Images in messages and in tools' results, tools, a schema, a limit."""
    image = {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"}
    request = read(
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "see"}, image]},
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [image]},
        ],
        tools=[{"type": "function", "name": "look"}, {"type": "web_search"}],
        text={"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}},
        max_output_tokens=99, store=False, previous_response_id="resp_1",
    )  # fmt: skip

    assert (request.images, request.has_images, request.media_parts) == (2, True, 2)
    assert request.media_bytes == 2 * (len("input_image") + len("data:image/png;base64,aGk=") + len("low"))
    assert (request.tools, request.wants_schema, request.output_max) == (2, True, 99)
    assert (request.is_stored, request.previous) == (False, "resp_1")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": [1]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": 1}]}]}, "input[0].content[0].text"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "n"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"tools": [{}]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"text": {"format": {}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"stream_options": {}}, "stream_options"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"previous_response_id": "r" * 257}, "previous_response_id"),
        ({"store": "no"}, "store"),
        ({"temperature": True}, "temperature"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], param: str) -> None:
    """The place of the fault, as deep as it lies."""
    with pytest.raises(Malformed) as refused:
        read(**fields)

    assert refused.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
            "input[0].content[0].file_id",
        ),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools[0].vector_store_ids"),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "tools[0].container"),
    ],
)
def test_things_on_the_providers_account_are_out_of_reach(fields: dict[str, Any], param: str) -> None:
    """They are other customers', too: one who guesses or finds an id must not read what is behind it."""
    with pytest.raises(Malformed) as refused:
        read(**fields)

    assert refused.value.param == param


@given(st.dictionaries(st.text().filter(lambda name: name not in READ_FIELDS), JSON_VALUES, max_size=6))
def test_fields_we_do_not_read_are_kept_by_value(extra: dict[str, Any]) -> None:
    """Whatever else a caller sends goes upstream, for the provider's model."""
    assert orjson.loads(read(**extra).body_for("gpt-x")) == {**HI, **extra, "model": "gpt-x"}


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(READ_FIELDS), JSON_VALUES)))
def test_any_values_are_read_or_refused_by_name(fields: dict[str, Any]) -> None:
    """Junk in the fields that we read raises `Malformed` with a `param`, and nothing else."""
    refused: Malformed | None = None
    try:
        request = read(**fields)
    except Malformed as error:
        refused = error

    if refused is None:
        assert orjson.loads(request.body_for("gpt-x"))["model"] == "gpt-x"
    else:
        assert root(refused.param) in READ_FIELDS
