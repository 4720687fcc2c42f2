"""Google's Gemini API: answers, events, signed tool calls, caches, refusals and faults as its clients see them."""

import json
from datetime import date
from fractions import Fraction
from typing import Any

import httpx
import pytest

from simulator.prices import PRICES, price_on
from tests.simulator.conftest import Provider

TOOL = {
    "functionDeclarations": [
        {
            "name": "get_weather",
            "parametersJsonSchema": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        }
    ]
}
MUST = {"functionCallingConfig": {"mode": "ANY"}}


def send(
    provider: Provider, prompt: Any, model: str = "gemini-2.5-flash", *, stream: bool = False, **fields: Any
) -> httpx.Response:
    """Send a request as any client would."""
    turns = prompt if isinstance(prompt, list) else [{"role": "user", "parts": [{"text": prompt}]}]
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    path = f"/v1beta/models/{model}:{method}"
    return provider.http.post(path, json={"contents": turns, **fields}, headers={"x-goog-api-key": "key"})


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the events of a stream: each a response of its own."""
    return [json.loads(event.removeprefix("data: ")) for event in response.text.split("\r\n\r\n")[:-1]]


def parts(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what an answer consists of."""
    (candidate,) = answer["candidates"]
    return candidate.get("content", {"parts": []})["parts"]


def test_an_answer_and_its_line(provider: Provider) -> None:
    """A plain answer has its parts, its reason and its usage, and is billed to the exact fraction of a dollar."""
    brief = {"parts": [{"text": "Be brief."}]}
    answer = send(provider, "Tell me [[sim: tokens=7]]", systemInstruction=brief).json()
    line, used = provider.line(answer["responseId"]), answer["usageMetadata"]

    assert answer["candidates"][0]["finishReason"] == "STOP"
    assert [*parts(answer)[0]] == ["text"]
    assert answer["modelVersion"] == "gemini-2.5-flash"
    assert used["candidatesTokenCount"] == 7
    assert used["totalTokenCount"] == used["promptTokenCount"] + 7
    assert (line["kind"], line["complete"]) == ("gemini", True)
    assert Fraction(line["amount_usd"]) == Fraction(3 * used["promptTokenCount"] + 25 * 7, 10**7)


def test_a_stream_says_the_same(provider: Provider) -> None:
    """Each event is a response; they add up to the plain answer, and the last has its reason and its usage."""
    plain = send(provider, "Why is the sky blue?").json()
    streamed = events(send(provider, "Why is the sky blue?", stream=True))

    assert "".join(part["text"] for event in streamed for part in parts(event)) == parts(plain)[0]["text"]
    assert streamed[-1]["usageMetadata"] == plain["usageMetadata"]
    assert streamed[0]["usageMetadata"]["candidatesTokenCount"] == 1
    assert [event["candidates"][0].get("finishReason") for event in streamed[-2:]] == [None, "STOP"]


def test_a_model_that_thinks_counts_its_thoughts_beside_the_answer(provider: Provider) -> None:
    """Thoughts are no candidates, and are billed as output."""
    answer = send(provider, "Prove it.", "gemini-2.5-pro").json()
    used, line = answer["usageMetadata"], provider.line(answer["responseId"])
    quiet = {"thinkingConfig": {"thinkingBudget": 0}}

    assert used["thoughtsTokenCount"] > 0
    assert line["usage"]["output"] == used["candidatesTokenCount"] + used["thoughtsTokenCount"]
    assert (
        "thoughtsTokenCount"
        not in send(provider, "x", "gemini-2.5-pro", generationConfig=quiet).json()["usageMetadata"]
    )


def test_tools_are_called_signed_and_answered(provider: Provider) -> None:
    """Parallel calls come whole; the first is signed, and goes back signed, or the API refuses it."""
    ask = "Weather in Oslo? [[sim: tools=2]]"
    plain = send(provider, ask, "gemini-3.8-flash", tools=[TOOL], toolConfig=MUST).json()
    streamed = events(send(provider, ask, "gemini-3.8-flash", tools=[TOOL], toolConfig=MUST, stream=True))
    calls = [part for part in parts(plain) if "functionCall" in part]

    assert [call["functionCall"]["name"] for call in calls] == ["get_weather"] * 2
    assert isinstance(calls[0]["functionCall"]["args"]["city"], str)
    assert ["thoughtSignature" in call for call in calls] == [True, False]
    told = [part for event in streamed for part in parts(event) if "functionCall" in part]
    assert ["thoughtSignature" in call for call in told] == [True, False]

    def answered(first: dict[str, Any]) -> httpx.Response:
        results = [{"functionResponse": {"name": "get_weather", "response": {"output": "rain"}}}] * 2
        turns = [
            {"role": "user", "parts": [{"text": ask}]},
            {"role": "model", "parts": [first, calls[1]]},
            {"role": "user", "parts": results},
        ]
        return send(provider, turns, "gemini-3.8-flash", tools=[TOOL])

    assert [*parts(answered(calls[0]).json())[0]] == ["text"]
    unsigned = answered({"functionCall": calls[0]["functionCall"]})
    assert unsigned.status_code == 400
    assert "missing a thought_signature" in unsigned.json()["error"]["message"]


def test_an_answer_in_a_schema_s_form(provider: Provider) -> None:
    """It is JSON, in text."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    form = {"responseMimeType": "application/json", "responseJsonSchema": schema}

    answer = send(provider, "A number", generationConfig=form).json()

    assert isinstance(json.loads(parts(answer)[0]["text"])["n"], int)


def test_what_was_read_before_is_cached(provider: Provider) -> None:
    """Without being asked, and inside the prompt's count."""
    first, second = (send(provider, "word" * 2000, "gemini-4-argon").json() for _ in range(2))
    used = second["usageMetadata"]

    assert "cachedContentTokenCount" not in first["usageMetadata"]
    assert 1024 < used["cachedContentTokenCount"] <= used["promptTokenCount"]
    assert provider.line(second["responseId"])["usage"]["cache_read"] == used["cachedContentTokenCount"]


def test_an_introductory_price_ends() -> None:
    """Argon costs twice as much from December on, all of it."""
    before, after = (price_on("gemini-4-argon", date(2026, month, 1)) for month in (11, 12))

    assert before == PRICES["gemini-4-argon"]
    assert (after.input, after.cache_read, after.output) == (4, Fraction("0.2"), 20)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"contents": []}, "* GenerateContentRequest.contents"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role"),
        ({"contents": [{"role": "user", "parts": [{"text": "x", "inlineData": {}}]}]}, "* GenerateContentRequest"),
        ({"max_tokens": 5}, 'Invalid JSON payload received. Unknown name "max_tokens"'),
        ({"generationConfig": {"max": 5}}, 'Invalid JSON payload received. Unknown name "max"'),
    ],
)
def test_bad_requests_are_refused(provider: Provider, fields: dict[str, Any], words: str) -> None:
    """What Gemini refuses is refused in its shape."""
    refused = send(provider, "hi", **fields)

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 400)
    assert refused.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert refused.json()["error"]["message"].startswith(words)


def test_models_and_keys_are_needed(provider: Provider) -> None:
    """Another family's model is not found; OpenAI's header is no key here."""
    other = send(provider, "hi", "gpt-6-luna")
    keyless = provider.http.post("/v1beta/models/gemini-2.5-flash:generateContent", json={})

    assert (other.status_code, other.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert (keyless.status_code, keyless.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(("status", "word"), [(429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE"), (500, "INTERNAL")])
def test_statuses_are_injected_in_its_shape(provider: Provider, status: int, word: str) -> None:
    """When to ask again is no header here: it stands among the details."""
    refused = send(provider, f"hi [[sim: status={status} retry_after=2.5]]")
    (detail,) = refused.json()["error"]["details"]

    assert (refused.status_code, refused.json()["error"]["status"]) == (status, word)
    assert detail == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}
    assert "retry-after" not in refused.headers


def test_broken_streams_are_billed_for_what_they_gave(provider: Provider) -> None:
    """An error event ends a stream; what came before it is on the invoice."""
    streamed = events(send(provider, "hi [[sim: tokens=9 error_in_stream=2]]", stream=True))
    line = provider.line(streamed[0]["responseId"])

    assert streamed[-1]["error"]["status"] == "UNAVAILABLE"
    assert (line["complete"], line["usage"]["output"]) == (False, 2)


def test_an_end_that_does_not_come(provider: Provider) -> None:
    """Without `done` no reason is given; without usage no event has any."""
    (*_, endless) = events(send(provider, "hi [[sim: tokens=3 no_done]]", stream=True))
    untold = events(send(provider, "hi [[sim: tokens=3 no_usage]]", stream=True))

    assert "finishReason" not in endless["candidates"][0]
    assert all("usageMetadata" not in event for event in untold)
