"""Plain chat answers, as the OpenAI SDK sees them."""

import json
from typing import Any

import openai
import pytest

from tests.simulator.conftest import Provider

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
            },
            "required": ["city"],
        },
    },
}


def ask(prompt: str) -> Any:
    """Return a conversation of one message."""
    return [{"role": "user", "content": prompt}]


def test_an_answer_is_a_whole_chat_completion(provider: Provider) -> None:
    """The SDK reads id, text, finish reason and a usage that adds up."""
    answer = provider.sdk.chat.completions.create(model="gpt-6-luna", messages=ask("How do I bake sourdough bread?"))

    assert answer.id.startswith("chatcmpl-")
    assert answer.model == "gpt-6-luna"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_answers_depend_on_prompt_and_model_only(provider: Provider) -> None:
    """The same question gets the same answer; another question or model another one."""

    def text(prompt: str, model: str = "gpt-6-luna") -> str:
        return provider.chat(prompt, model).json()["choices"][0]["message"]["content"]

    assert text("Describe glaciers") == text("Describe glaciers")
    assert text("Describe glaciers") != text("Describe volcanoes")
    assert text("Describe glaciers") != text("Describe glaciers", "gpt-6.1-sol")


def test_tokens_marker_is_exact(provider: Provider) -> None:
    """`tokens=` sets the output to the token, whatever the form of the answer and the model."""
    plain = provider.chat("Tell me [[sim: tokens=200]]")
    thinking = provider.chat("Tell me [[sim: tokens=200]]", "gpt-6-astra")
    structured = provider.chat("Tell me [[sim: tokens=200]]", response_format={"type": "json_object"})
    called = provider.chat("weather in Rome [[sim: tokens=50 tools=3]]", tools=[WEATHER])

    assert plain.json()["usage"]["completion_tokens"] == 200
    assert thinking.json()["usage"]["completion_tokens"] == 200
    assert structured.json()["usage"]["completion_tokens"] == 200
    assert called.json()["usage"]["completion_tokens"] == 50


def test_the_frontier_model_reports_reasoning_within_its_output(provider: Provider) -> None:
    """Reasoning is a part of the completion tokens, and can be switched off."""
    usage = provider.chat("Prove it", "gpt-6-astra").json()["usage"]
    quick = provider.chat("Prove it", "gpt-6-astra", reasoning_effort="none").json()["usage"]

    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    assert 0 < reasoning < usage["completion_tokens"]
    assert quick["completion_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_limit_cuts_the_answer(provider: Provider, field: str) -> None:
    """An answer that reaches its limit ends with `length`."""
    answer = provider.chat("Tell me [[sim: tokens=200]]", **{field: 7}).json()

    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 7


def test_choices_differ_and_all_count(provider: Provider) -> None:
    """With `n`, the prompt counts once and each answer counts."""
    answer = provider.chat("Name a river [[sim: tokens=20]]", n=3).json()

    texts = {choice["message"]["content"] for choice in answer["choices"]}
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert len(texts) == 3
    assert answer["usage"]["completion_tokens"] == 3 * 20


def test_a_tool_is_called_when_the_prompt_calls_for_it(provider: Provider) -> None:
    """The arguments are JSON that fits the parameters; without need there is no call."""
    called = provider.sdk.chat.completions.create(
        model="gpt-6-luna", messages=ask("What is the weather in Paris?"), tools=[WEATHER]
    )
    idle = provider.sdk.chat.completions.create(model="gpt-6-luna", messages=ask("Thank you!"), tools=[WEATHER])

    (call,) = called.choices[0].message.tool_calls or []
    assert call.type == "function"
    arguments = json.loads(call.function.arguments)
    assert called.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert arguments["city"] == "Paris"
    assert arguments["unit"] in {"celsius", "fahrenheit"}
    assert 1 <= arguments["days"] <= 7
    assert idle.choices[0].message.tool_calls is None


@pytest.mark.parametrize(
    ("choice", "count"),
    [
        ("none", 0),
        ("required", 1),
        ({"type": "function", "function": {"name": "get_weather"}}, 1),
    ],
)
def test_tool_choice_decides(provider: Provider, choice: Any, count: int) -> None:
    """`tool_choice` forces or forbids a call, whatever the prompt says."""
    message = provider.chat("Thank you!", tools=[WEATHER], tool_choice=choice).json()["choices"][0]

    assert len(message["message"].get("tool_calls", [])) == count


def test_a_tool_result_is_answered_in_words(provider: Provider) -> None:
    """An agent's loop ends: after the tool has answered the model does not call it again."""
    messages = [
        *ask("What is the weather in Paris? [[sim: tools=1]]"),
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
    ]
    body = {"model": "gpt-6-luna", "messages": messages, "tools": [WEATHER]}
    answer = provider.http.post("/v1/chat/completions", json=body).json()

    assert answer["choices"][0]["finish_reason"] == "stop"


def test_a_schema_is_filled(provider: Provider) -> None:
    """Structured output has every property, of the right type and within its bounds."""
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 5},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2},
            "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        },
        "$defs": {"tag": {"type": "string", "enum": ["red", "blue"]}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "card", "schema": schema}}
    answer = provider.chat("Describe glaciers", response_format=form).json()
    card = json.loads(answer["choices"][0]["message"]["content"])

    assert card.keys() == {"title", "score", "note", "tags", "next"}
    assert len(card["title"]) <= 5
    assert 0 <= card["score"] <= 1
    assert isinstance(card["note"], str)
    assert len(card["tags"]) >= 2
    assert set(card["tags"]) <= {"red", "blue"}


def test_images_cost_tokens(provider: Provider) -> None:
    """An image adds 765 tokens, or 85 at low detail, and its URL adds none."""
    text = {"type": "text", "text": "What is in this picture?"}

    def tokens(*images: dict[str, Any]) -> int:
        parts = [text, *({"type": "image_url", "image_url": image} for image in images)]
        body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": parts}]}
        answer = provider.http.post("/v1/chat/completions", json=body).json()
        return answer["usage"]["prompt_tokens"]

    url = "data:image/png;base64," + "A" * 4000
    assert tokens({"url": url}) - tokens() == 765
    assert tokens({"url": url}, {"url": url, "detail": "low"}) - tokens() == 765 + 85


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b'{"messages": []}', 400, "model"),
        (b'{"model": "gpt-6-luna", "messages": []}', 400, "messages"),
        (b'{"model": "gpt-6-luna", "messages": ["hi"]}', 400, "messages"),
        (b'{"model": "gpt-6-luna", "messages": [{"role": "user"}], "n": 0}', 400, "n"),
        (b'{"model": "gpt-7", "messages": [{"role": "user"}]}', 404, "model"),
        (b'{"model": "text-embedding-3-small", "messages": []}', 404, "model"),
        (b'{"model": "gpt-6-luna", "messages": [{"role": "user"}], "stream_options": {}}', 400, "stream_options"),
    ],
)
def test_bad_requests_get_openai_errors(provider: Provider, body: bytes, status: int, param: str | None) -> None:
    """What OpenAI refuses is refused with the same status and shape, and not billed."""
    before = len(provider.invoice())
    refused = provider.http.post("/v1/chat/completions", content=body)

    assert refused.status_code == status
    assert refused.json()["error"].keys() == {"message", "type", "param", "code"}
    assert refused.json()["error"]["param"] == param
    assert len(provider.invoice()) == before


def test_a_key_is_needed(provider: Provider) -> None:
    """Without a bearer token every endpoint answers 401."""
    for authorization in ("", "Bearer", "bearer", "Basic abc"):
        refused = provider.http.get("/v1/models", headers={"authorization": authorization})
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"


def test_a_prompt_beyond_the_window_is_refused(provider: Provider) -> None:
    """One token too many is `context_length_exceeded`."""
    too_long = "word" * 128_000  # 128,000 tokens and three for the message
    refused = provider.chat(too_long, "gpt-4o-mini")

    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "context_length_exceeded"


def test_models_are_listed_and_found(provider: Provider) -> None:
    """The SDK lists the models and finds one, colons and all; an unknown one is a 404."""
    listed = [model.id for model in provider.sdk.models.list()]

    assert "gpt-6.1-sol" in listed
    assert provider.sdk.models.retrieve("ft:gpt-6-luna:acme").owned_by == "acme"
    with pytest.raises(openai.NotFoundError) as refused:
        provider.sdk.models.retrieve("gpt-7")
    assert refused.value.code == "model_not_found"


def test_the_last_requests_can_be_inspected(provider: Provider) -> None:
    """What a proxy really sent is there to see: headers, and fields nobody interprets."""
    sent = provider.http.post(
        "/v1/chat/completions",
        json={"model": "gpt-6-luna", "messages": ask("hi"), "unheard_of": {"a": [1]}},
        headers={"x-trace": "t1"},
    )
    last = provider.http.get("/_simulator/last").json()[-1]

    assert sent.status_code == 200
    assert last["path"] == "/v1/chat/completions"
    assert last["body"]["unheard_of"] == {"a": [1]}
    assert last["headers"]["x-trace"] == "t1"
