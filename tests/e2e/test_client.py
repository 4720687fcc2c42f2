"""The OpenAI SDK, unchanged, against a real server: what comes back, and what goes upstream."""

import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.server import Server, get, post

PROMPT = "Why is the sky blue?"
ASKED = [{"role": "user", "content": PROMPT}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}
NAMES = ["auto", "auto:simple", "auto:medium", "auto:complex", "gpt-6-luna", "gpt-6.1-sol", "gpt-6-astra",
         "gpt-4o-mini", "text-embedding-3-small", "gpt-4o", "fast"]  # fmt: skip
"""What sandbox.yaml lets a caller ask for."""


def test_plain_answer_is_the_providers(server: Server):
    """A plain answer arrives whole, from a model of the sandbox, with a usage that adds up."""
    with server.openai() as client:
        answer = client.chat.completions.create(model="auto", messages=ASKED)

    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model in NAMES
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_plain_answer_asynchronously(server: Server):
    """The asynchronous SDK gets the same answer to the same question."""

    async def ask() -> str:
        async with server.openai_async() as client:
            answer = await client.chat.completions.create(model="gpt-6-luna", messages=ASKED)
            return answer.choices[0].message.content

    with server.openai() as client:
        plain = client.chat.completions.create(model="gpt-6-luna", messages=ASKED)

    assert asyncio.run(ask()) == plain.choices[0].message.content


def test_streamed_answer_says_the_same_without_usage(server: Server):
    """A stream adds up to the plain answer; who did not ask for usage gets no usage chunk and no usage field."""
    with server.openai() as client:
        plain = client.chat.completions.create(model="gpt-6-luna", messages=ASKED)
        chunks = list(client.chat.completions.create(model="gpt-6-luna", messages=ASKED, stream=True))

    assert all(chunk.choices for chunk in chunks)
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == plain.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_streamed_usage_when_asked(server: Server):
    """Who asks for usage gets it in one last chunk without choices, equal to the plain answer's."""
    asked = {"model": "gpt-6-luna", "messages": ASKED}

    with server.openai() as client:
        plain = client.chat.completions.create(**asked)
        chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))

    assert [bool(chunk.choices) for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert [chunk.usage is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1].usage == plain.usage


def test_streamed_answer_asynchronously(server: Server):
    """The asynchronous SDK streams to the end."""

    async def ask() -> list[str]:
        async with server.openai_async() as client:
            stream = await client.chat.completions.create(model="auto:medium", messages=ASKED, stream=True)
            return [chunk.choices[0].delta.content or "" async for chunk in stream]

    said = asyncio.run(ask())

    assert len(said) > 10
    assert "".join(said)


def test_tools_plain_and_streamed(server: Server):
    """A tool call arrives with arguments that are JSON, also when they come in pieces."""
    asked = {"model": "gpt-6.1-sol", "messages": ASKED, "tools": [WEATHER], "tool_choice": "required"}

    with server.openai() as client:
        plain = client.chat.completions.create(**asked)
        chunks = list(client.chat.completions.create(**asked, stream=True))

    call = plain.choices[0].message.tool_calls[0]
    assert call.function.name == "weather"
    assert set(json.loads(call.function.arguments)) == {"city", "days"}
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
    assert len(parts) > 2
    assert parts[0].function.name == "weather"
    assert "".join(part.function.arguments or "" for part in parts) == call.function.arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_images_go_upstream_as_they_came(server: Server):
    """Parts with an image URL are answered and reach the provider unchanged."""
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png", "detail": "low"}}
    content = [{"type": "text", "text": "What is in this picture of test_images?"}, picture]

    with server.openai() as client:
        answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": content}])

    assert answer.choices[0].message.content
    assert upstream(server, "test_images")["messages"][0]["content"] == content


def test_answer_keeps_to_a_json_schema(server: Server):
    """With a JSON schema the answer is JSON of that shape."""
    shape = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": shape}}

    with server.openai() as client:
        answer = client.chat.completions.create(model="auto", messages=ASKED, response_format=wanted)

    person = json.loads(answer.choices[0].message.content)
    assert isinstance(person["name"], str)
    assert isinstance(person["age"], int)


def test_unknown_fields_reach_the_provider_by_value(server: Server):
    """What the proxy does not read goes upstream as it came; only the model's name is the provider's."""
    unknown = {"x_new": {"deep": [1, 2.5, None, True, "ü", {"a": []}], "big": 2**63 - 1}, "temperature": 0.30000000001}
    messages = [{"role": "user", "content": "unknown-fields", "x_mark": {"nested": [0.1]}}]

    with server.openai() as client:
        client.chat.completions.create(model="fast", messages=messages, extra_body=unknown)

    sent = upstream(server, "unknown-fields")
    assert sent == {**unknown, "messages": messages, "model": "gpt-6-luna"}


def test_callers_key_does_not_go_upstream(server: Server):
    """The provider sees its own key and none of the caller's headers."""
    with server.openai() as client:
        client.chat.completions.create(
            model="fast", messages=[{"role": "user", "content": "no-headers"}], extra_headers={"x-trace": "a-secret"}
        )

    (seen,) = [each for each in server.seen_upstream() if "no-headers" in json.dumps(each["body"])]
    assert seen["headers"]["authorization"] == "Bearer simulator"
    assert server.key not in str(seen)
    assert "a-secret" not in str(seen)


def upstream(server: Server, word: str) -> dict[str, object]:
    """Return the one body the provider got that holds `word`."""
    (found,) = [each["body"] for each in server.seen_upstream() if word in json.dumps(each["body"])]
    return found


def test_models_are_listed_and_retrieved(server: Server):
    """The list holds `auto`, its tiers, models and aliases; each can be retrieved, an unknown one is a 404."""
    with server.openai() as client:
        listed = [model.id for model in client.models.list()]
        retrieved = [client.models.retrieve(name).id for name in listed]
        with pytest.raises(openai.NotFoundError) as refused:
            client.models.retrieve("gpt-0")

    assert listed == NAMES
    assert retrieved == NAMES
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("model", "tiers", "routes", "served"),
    [
        ("auto", {"simple", "medium", "complex"}, {"judged"}, {"gpt-6-luna", "gpt-6.1-sol", "gpt-6-astra"}),
        ("auto:medium", {"medium"}, {"pinned"}, {"gpt-6.1-sol"}),
        ("gpt-6-astra", {"complex"}, {"named"}, {"gpt-6-astra"}),
        ("fast", {"simple"}, {"pinned"}, {"gpt-6-luna"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_response_headers(
    server: Server, model: str, tiers: set[str], routes: set[str], served: set[str], *, stream: bool
):
    """Every header of the contract is there and plausible; the cost only where it is known in time."""
    before_s = time.perf_counter()
    found = server.chat("Say hello", model=model, stream=stream).headers
    took_ms = (time.perf_counter() - before_s) * 1000

    charged = Decimal({"simple": 1, "medium": 3, "complex": 10}[found["x-penstock-tier"]])
    assert found["x-penstock-request-id"].startswith("ex_")
    assert found["x-penstock-tier"] in tiers
    assert found["x-penstock-served-tier"] in tiers
    assert 0 <= float(found["x-penstock-confidence"]) <= 1
    assert found["x-penstock-model"] in served
    assert found["x-penstock-provider"] == "sandbox"
    assert found["x-penstock-cache"] in {"hit", "semantic", "coalesced", "miss", "bypass"}
    assert found["x-penstock-route"] in routes
    assert Decimal(found["x-penstock-credits-charged"]) == charged
    assert 0 <= Decimal(found["x-penstock-credits-remaining"]) <= 100_000 - charged
    assert 0 <= float(found["x-penstock-overhead-ms"]) <= took_ms
    assert ("x-penstock-cost-usd" in found) is not stream
    assert stream or 0 < Decimal(found["x-penstock-cost-usd"]) < Decimal("0.1")


def test_remaining_credits_are_the_balance(server: Server):
    """The header says what the balance says."""
    found = server.chat("Say hello").headers

    assert Decimal(found["x-penstock-credits-remaining"]) == Decimal(str(server.balance("sandbox")["available"]))


def test_cost_is_shown_to_keys_that_may_see_it(server: Server):
    """Without the scope there is no cost in sight; with it a stream ends in a comment when that is asked for."""
    blind = server.create_key("sandbox")
    asked = {"x-penstock-cost": "1"}

    unseen = raw_stream(server, blind, asked)
    seen = raw_stream(server, server.key, asked)

    assert "cost" not in unseen.text
    assert "x-penstock-cost-usd" not in server.chat("Say hello", blind).headers
    comment, done = seen.text.strip().split("\n\n")[-2:]
    assert comment.startswith(": x-penstock-cost-usd 0.0")
    assert done == "data: [DONE]"


def raw_stream(server: Server, key: str, headers: dict[str, str]) -> httpx.Response:
    """Stream an answer and return its bytes."""
    body = {"model": "fast", "messages": ASKED, "stream": True}
    known = {"authorization": f"Bearer {key}", **headers}
    return post(f"{server.origin}/v1/chat/completions", json=body, headers=known)


def test_unknown_model_is_told_what_there_is(server: Server):
    """An unknown model is a 404 that lists every name there is."""
    with server.openai() as client, pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-nonsense", messages=ASKED)

    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"
    assert all(name in refused.value.message for name in NAMES)


@pytest.mark.parametrize("key", ["sk-penstock-000000000000-unknown", "nonsense"])
def test_unknown_key_is_refused(server: Server, key: str):
    """A key that is not ours is a 401, on the hot route and on the others."""
    with server.openai(key) as client:
        for ask in (lambda: client.chat.completions.create(model="auto", messages=ASKED), client.models.list):
            with pytest.raises(openai.AuthenticationError) as refused:
                ask()
            assert refused.value.code == "invalid_api_key"


def test_legacy_completions_as_the_client_asks_for_them(server: Server):
    """A model that chats answers a prompt, plain and streamed; what it was is in the headers of every answer."""
    with server.openai() as client:
        plain = client.completions.create(model="auto:simple", prompt="Say hi", max_tokens=9)
        chunks = list(
            client.completions.create(
                model="auto:simple", prompt="Say hi", max_tokens=9, stream=True, stream_options={"include_usage": True}
            )
        )

    assert plain.choices[0].text
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == plain.choices[0].text
    assert plain.usage is not None
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens <= 9


NOT_SERVED: dict[str, Callable[[OpenAI], object]] = {
    "moderations": lambda client: client.moderations.create(input="hi"),
    "images": lambda client: client.images.generate(model="auto", prompt="hi"),
    "audio": lambda client: client.audio.speech.create(model="auto", input="hi", voice="alloy"),
    "files": lambda client: client.files.list(),
    "file upload": lambda client: client.files.create(file=b"{}", purpose="batch"),
    "batches": lambda client: client.batches.list(),
    "batch": lambda client: client.batches.retrieve("batch_1"),
}


@pytest.mark.parametrize("name", NOT_SERVED)
def test_what_is_not_served_says_so_once(server: Server, name: str):
    """An endpoint that is not built is a typed 501 in OpenAI's shape, which the SDK does not retry."""
    with server.openai(retries=2) as client, pytest.raises(openai.APIStatusError) as refused:
        NOT_SERVED[name](client)

    assert refused.value.status_code == 501
    assert refused.value.code == "not_served"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert set(refused.value.response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("POST", "/", 405),
        ("POST", "/v1/chat/completions/more", 404),
        ("POST", "/v1/models", 405),
        ("DELETE", "/healthz", 405),
        ("GET", "/v1/chat/completions", 405),
        ("PUT", "/v1/responses", 405),
        ("GET", "/v1/completions", 405),
        ("PATCH", "/v1/embeddings", 405),
        ("PUT", "/v1/responses/resp_1", 405),
        ("POST", "/v1/responses/compact", 501),
        ("POST", "/v1/responses/input_tokens", 501),
        ("POST", "/v1/responses/resp_1/cancel", 501),
    ],
)
def test_wrong_turns_have_openais_shape(server: Server, method: str, path: str, status: int):
    """An unknown path is a 404, a wrong method a 405 that says which is right, what is not built a 501."""
    found = httpx.request(
        method, f"{server.origin}{path}", headers={"authorization": f"Bearer {server.key}"}, verify=False
    )

    assert found.status_code == status
    assert set(found.json()["error"]) == {"message", "type", "param", "code"}
    assert bool(found.headers.get("allow")) is (status == 405)


def test_health_needs_no_key(server: Server):
    """Both probes answer without a key."""
    assert get(f"{server.origin}/healthz").json() == {"status": "ok"}
    assert get(f"{server.origin}/readyz").json() == {"status": "ready"}
