"""OpenAI's Responses API: answers, events, tools, what is stored, refusals and faults as its SDK sees them."""

import json
from fractions import Fraction
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from tests.simulator.conftest import Provider

TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


class Person(BaseModel):
    """What is extracted."""

    name: str
    age: int


def send(provider: Provider, prompt: Any, model: str = "gpt-6-luna", **fields: Any) -> httpx.Response:
    """Send a Responses request as any client would."""
    return provider.http.post("/v1/responses", json={"model": model, "input": prompt, **fields})


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the events of a stream: named as their data says, numbered from 0, each as the SDK's types have it."""
    found = []
    for number, event in enumerate(response.text.split("\n\n")[:-1]):
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
        assert found[-1]["sequence_number"] == number
        EVENT.validate_python(found[-1])
    return found


def test_an_answer_and_its_line(provider: Provider) -> None:
    """A plain answer is what the SDK's types say, and is billed to the exact fraction of a dollar."""
    told = send(provider, "Tell me [[sim: tokens=7]]", instructions="Be brief.", metadata={"a": "b"}).json()
    line = provider.line(told["id"])

    answer = Response.model_validate(told)
    assert (answer.status, answer.instructions, answer.metadata) == ("completed", "Be brief.", {"a": "b"})
    assert answer.output_text.endswith(".")
    assert answer.usage is not None
    assert answer.usage.output_tokens == 7
    assert (line["kind"], line["complete"]) == ("responses", True)
    assert Fraction(line["amount_usd"]) == Fraction(answer.usage.input_tokens, 10**7) + Fraction(7, 2 * 10**6)


def test_a_stream_says_the_same_in_order(provider: Provider) -> None:
    """The events come in OpenAI's order, are numbered, and add up to the plain answer; there is no `[DONE]`."""
    plain = send(provider, "Why is the sky blue?").json()
    streamed = events(send(provider, "Why is the sky blue?", stream=True))

    names = [event["type"].removeprefix("response.") for event in streamed]
    assert names[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert names[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert set(names[4:-4]) == {"output_text.delta"}
    text = "".join(event["delta"] for event in streamed if event["type"] == "response.output_text.delta")
    whole = streamed[-1]["response"]
    assert text == whole["output"][0]["content"][0]["text"] == plain["output"][0]["content"][0]["text"]
    assert whole["usage"] == plain["usage"]
    assert streamed[0]["response"]["usage"] is None
    assert streamed[-2]["item"] == whole["output"][0]


def test_the_sdk_follows_a_stream_to_its_end(provider: Provider) -> None:
    """Its accumulator, which checks indexes and order, ends with the same response; so does its parser of answers."""
    with provider.sdk.responses.stream(model="gpt-6-luna", input="Weather in Oslo?", tools=[TOOL]) as stream:  # type: ignore[list-item]
        for _ in stream:
            pass
        (call,) = stream.get_final_response().output
    parsed = provider.sdk.responses.parse(model="gpt-6-luna", input="Who was Ada?", text_format=Person)

    assert call.type == "function_call"
    assert isinstance(json.loads(call.arguments)["city"], str)
    assert isinstance(parsed.output_parsed, Person)


def test_tools_are_called_and_results_are_answered(provider: Provider) -> None:
    """Several calls are items of their own, whole or in pieces, and their results end the calling."""
    asked = "Weather in Oslo and in Rome? [[sim: tools=2]]"
    plain = send(provider, asked, tools=[TOOL]).json()
    streamed = events(send(provider, asked, tools=[TOOL], stream=True))

    calls = plain["output"]
    assert [item["type"] for item in calls] == ["function_call"] * 2
    for index, item in enumerate(calls):
        deltas = [e for e in streamed if e["type"] == "response.function_call_arguments.delta"]
        assert "".join(e["delta"] for e in deltas if e["output_index"] == index) == item["arguments"]
    results = [{"type": "function_call_output", "call_id": item["call_id"], "output": "rain"} for item in calls]
    history = [{"role": "user", "content": asked}, *calls, *results]
    after = send(provider, history, tools=[TOOL]).json()
    assert [item["type"] for item in after["output"]] == ["message"]


def test_a_model_that_thinks_says_so_and_bills_it(provider: Provider) -> None:
    """Reasoning is an item of its own, summarised only if that is asked for, and a part of the output's tokens."""
    quiet = send(provider, "Prove it.", "gpt-6-astra").json()
    streamed = events(send(provider, "Prove it.", "gpt-6-astra", stream=True, reasoning={"summary": "auto"}))

    assert [item["type"] for item in quiet["output"]] == ["reasoning", "message"]
    assert quiet["output"][0]["summary"] == []
    assert 0 < quiet["usage"]["output_tokens_details"]["reasoning_tokens"] < quiet["usage"]["output_tokens"]
    names = [event["type"].removeprefix("response.") for event in streamed if "reasoning" in event["type"]]
    assert names == [
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
    ]
    assert streamed[-1]["response"]["output"][0]["summary"][0]["text"]


def test_what_went_before_is_gone_on_with(provider: Provider) -> None:
    """A stored response's conversation is read again, and billed again, but for its instructions."""
    first = send(provider, "My city is Oslo.", instructions="Be very, very brief.").json()
    second = send(provider, "And now?", previous_response_id=first["id"]).json()
    alone = send(provider, "And now?").json()

    assert second["previous_response_id"] == first["id"]
    said = -(-len(first["output"][0]["content"][0]["text"].encode()) // 4) + 3
    assert second["usage"]["input_tokens"] == alone["usage"]["input_tokens"] + (4 + 3) + said


def test_what_is_stored_is_found_until_it_is_deleted(provider: Provider) -> None:
    """By who made it, and by nobody else; what was not to be stored is not there."""
    stored = send(provider, "Hello.").json()
    unstored = send(provider, "Hello.", store=False).json()

    path = f"/v1/responses/{stored['id']}"
    assert provider.http.get(path).json() == stored
    assert provider.http.get(path, headers={"authorization": "Bearer another"}).status_code == 404
    assert provider.http.get(f"/v1/responses/{unstored['id']}").status_code == 404
    assert provider.http.delete(path).json() == {"id": stored["id"], "object": "response", "deleted": True}
    assert provider.http.get(path).status_code == 404
    with pytest.raises(openai.BadRequestError) as refused:
        provider.sdk.responses.create(model="gpt-6-luna", input="And?", previous_response_id=stored["id"])
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")


def test_the_prompt_cache_is_told_and_billed(provider: Provider) -> None:
    """The second time a long prompt is read from the cache: told in Responses' own words, at the lower price."""
    first, second = (send(provider, "cached " + "word" * 2000).json() for _ in range(2))

    written = first["usage"]["input_tokens_details"]["cache_write_tokens"]
    assert second["usage"]["input_tokens_details"] == {"cached_tokens": written, "cache_write_tokens": 0}
    assert provider.line(second["id"])["usage"]["cache_read"] == written > 1024


def test_a_limit_makes_it_incomplete(provider: Provider) -> None:
    """What the limit cut off says so, in its status and in the name of its last event."""
    plain = send(provider, "Tell me all", max_output_tokens=16).json()
    streamed = events(send(provider, "Tell me all", max_output_tokens=16, stream=True))

    assert (plain["status"], plain["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert plain["output"][0]["status"] == "incomplete"
    assert streamed[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "mystery"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"background": True}, "background"),
        ({"model": "claude-haiku-5-5"}, "model"),
    ],
)
def test_bad_requests_are_refused(provider: Provider, fields: dict[str, Any], param: str) -> None:
    """What OpenAI refuses is refused in its shape, with the field at fault."""
    refused = send(provider, **({"prompt": "hi"} | fields))

    assert refused.status_code in {400, 404}
    assert refused.json()["error"]["param"] == param


def test_broken_streams_are_billed_for_what_they_gave(provider: Provider) -> None:
    """An error event, numbered like the others, ends a stream; what came before it is on the invoice."""
    streamed = events(send(provider, "hi [[sim: tokens=9 error_in_stream=6]]", stream=True))
    line = provider.line(streamed[0]["response"]["id"])

    assert (streamed[-1]["type"], streamed[-1]["code"]) == ("error", "server_error")
    assert (line["complete"], line["usage"]["output"]) == (False, 2)


@pytest.mark.parametrize("fault", ["no_done", "cut=5", "garbage=4", "status=429 retry_after=2"])
def test_the_other_faults_strike_here_too(provider: Provider, fault: str) -> None:
    """An end without its event, a connection cut, an event that is no JSON, a refusal."""
    text = ""
    try:
        with provider.http.stream("POST", "/v1/responses", json=_streamed(fault)) as answer:
            for part in answer.iter_text():
                text += part
    except httpx.RemoteProtocolError:
        assert fault == "cut=5"

    assert ("response.completed" in text) is (fault == "garbage=4")
    assert ('"del\n\n' in text) is (fault == "garbage=4")
    assert (answer.headers.get("retry-after") == "2") is fault.startswith("status")


def _streamed(fault: str) -> dict[str, Any]:
    return {"model": "gpt-6-luna", "input": f"hi [[sim: {fault}]]", "stream": True}


def test_usage_can_be_withheld(provider: Provider) -> None:
    """Plain or streamed, the response comes without it."""
    plain = send(provider, "hi [[sim: no_usage]]").json()
    streamed = events(send(provider, "hi [[sim: no_usage]]", stream=True))

    assert plain["usage"] is None
    assert streamed[-1]["response"]["usage"] is None
