"""Anthropic's own client against Penstock: Messages to a provider of each dialect, with the provider's bill beside."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest

from tests.e2e.conftest import Launch
from tests.e2e.server import Server, write_config

ASKED: Any = [{"role": "user", "content": "Why is the sky blue?"}]
TOOL: Any = {
    "name": "get_weather",
    "description": "Weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
DIALECTS = {"anthropic": "claude-haiku-5-5", "openai": "gpt-6-luna", "gemini": "gemini-3.8-flash"}
SHAPE: Any = {
    "format": {
        "type": "json_schema",
        "schema": {
            "type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"],
            "additionalProperties": False,
        },
    }
}  # fmt: skip
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module", params=sorted(DIALECTS))
def server(request: pytest.FixtureRequest, launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a server whose one model is behind a dialect."""
    name = DIALECTS[request.param]
    config: Path = write_config(
        tmp_path_factory.mktemp(request.param),
        providers={"there": {"dialect": request.param, "base_url": "simulator", "api_key": "simulator"}},
        models={name: {"provider": "there"}},
        tiers={tier: [name] for tier in ("simple", "medium", "complex")},
    )
    return launch(config)


@contextmanager
def client_of(server: Server, key: str | None = None) -> Iterator[anthropic.Anthropic]:
    """Return Anthropic's client."""
    with anthropic.Anthropic(base_url=server.origin, api_key=key or server.key, max_retries=0) as client:
        yield client


def assert_books_equal_invoice(server: Server) -> None:
    """Assert that the books say what the provider's invoice says."""
    found = server.ask("ledger.reconcile", export=str(server.invoice_path))
    assert (found["lines"], found["explained_share"]) == ([], 1)
    assert server.ask("ledger.verify")["ok"]


def test_a_plain_answer(server: Server) -> None:
    """The client takes it for Anthropic's; the headers say what happened."""
    with client_of(server) as client:
        raw = client.messages.with_raw_response.create(model="auto", max_tokens=64, system="Be brief.", messages=ASKED)
        told = raw.parse()

    assert (told.type, told.role, told.content[0].type) == ("message", "assistant", "text")
    assert told.content[0].text
    assert told.usage.input_tokens > 0
    assert told.usage.output_tokens > 0
    assert raw.headers["x-penstock-tier"] in {"simple", "medium", "complex"}
    assert_books_equal_invoice(server)


def test_a_stream(server: Server) -> None:
    """Its events come in the order that the client insists on, and add up to the message."""
    with client_of(server) as client, client.messages.stream(model="auto", max_tokens=64, messages=ASKED) as stream:
        kinds = [event.type for event in stream]
        told = stream.get_final_message()

    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert kinds.index("content_block_start") < kinds.index("content_block_delta") < kinds.index("content_block_stop")
    assert told.stop_reason in {"end_turn", "max_tokens"}
    assert told.usage.output_tokens > 0
    assert_books_equal_invoice(server)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["plain", "stream"])
def test_a_tool_is_called_and_answered(server: Server, is_streamed: bool) -> None:
    """Its input is an object, and the result goes back under the call's id."""
    asked: Any = {"model": "auto", "max_tokens": 256, "tools": [TOOL], "tool_choice": {"type": "any"}}
    with client_of(server) as client:
        if is_streamed:
            with client.messages.stream(messages=ASKED, **asked) as stream:
                first = stream.get_final_message()
        else:
            first = client.messages.create(messages=ASKED, **asked)
        (call,) = [block for block in first.content if block.type == "tool_use"]
        given = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "rain"}]}
        turns = [*ASKED, {"role": "assistant", "content": first.content}, {"role": "user", "content": [given]}]
        second = client.messages.create(
            model="auto", max_tokens=64, tools=[TOOL], tool_choice={"type": "none"}, messages=turns
        )

    assert first.stop_reason == "tool_use"
    assert call.name == "get_weather"
    assert isinstance(call.input, dict)
    assert second.content[0].type == "text"
    assert_books_equal_invoice(server)


def test_an_image_and_a_schema(server: Server) -> None:
    """Both reach the provider."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    with client_of(server) as client:
        told = client.messages.create(
            model="auto", max_tokens=256, output_config=SHAPE,
            messages=[{"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}],
        )  # fmt: skip

    assert told.content[0].text.startswith("{")
    assert_books_equal_invoice(server)


def test_errors_are_anthropic_s(server: Server) -> None:
    """An unknown key, a missing limit, an unknown model: each the client's own exception."""
    with client_of(server, "sk-penstock-wrong") as client, pytest.raises(anthropic.AuthenticationError) as refused:
        client.messages.create(model="auto", max_tokens=8, messages=ASKED)
    assert refused.value.body["error"]["type"] == "authentication_error"
    with client_of(server) as client:
        with pytest.raises(anthropic.BadRequestError) as malformed:
            client.post("/v1/messages", body={"model": "auto", "messages": ASKED}, cast_to=dict)
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(model="no-such-model", max_tokens=8, messages=ASKED)
    assert "max_tokens" in malformed.value.body["error"]["message"]


def test_tokens_are_counted_without_a_call(server: Server) -> None:
    """Nobody is asked, and nothing is charged; a model that a request would not find is not found here either."""
    before = len(server.invoice())
    with client_of(server) as client:
        found = client.messages.count_tokens(model="auto", messages=ASKED)
        with pytest.raises(anthropic.NotFoundError):
            client.messages.count_tokens(model="no-such-model", messages=ASKED)

    assert found.input_tokens > 0
    assert len(server.invoice()) == before


def test_what_is_no_request_is_refused_in_its_own_words(server: Server) -> None:
    """Before anybody read it: a body that is too large, on the hot route and beside it, and a method that is none."""
    large = b"x" * (server.settings.server.body_bytes_max + 1)
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        answer = httpx.post(f"{server.origin}{path}", headers={"x-api-key": server.key}, content=large)
        assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")
    answer = httpx.get(f"{server.origin}/v1/messages", headers={"x-api-key": server.key})
    assert (answer.status_code, answer.json()["type"]) == (405, "error")


def test_what_is_not_served_says_so_in_its_own_words(server: Server) -> None:
    """Batches are a typed 501 in Anthropic's shape."""
    answer = httpx.post(f"{server.origin}/v1/messages/batches", headers={"x-api-key": server.key}, json={})

    assert (answer.status_code, answer.json()["type"]) == (501, "error")


def test_models_are_listed_page_by_page(server: Server) -> None:
    """Anthropic's client finds every model that OpenAI's does, over pages, in either direction, and each by itself."""
    with server.openai() as client:
        names = [each.id for each in client.models.list()]

    with client_of(server) as client:
        first = client.models.list(limit=2)
        listed = [each.id for each in client.models.list(limit=2)]
        before = client.models.list(before_id=names[2], limit=1)
        one = client.models.retrieve(names[0])

    assert len(names) > 2
    assert listed == names
    assert (first.has_more, first.first_id, first.last_id) == (True, names[0], names[1])
    assert [each.id for each in before.data] == [names[1]]
    assert (one.id, one.type, one.display_name) == (names[0], "model", names[0])


@pytest.mark.parametrize(
    ("query", "names"),
    [({"limit": "0"}, "limit"), ({"limit": "x"}, "limit"), ({"after_id": "none"}, "after_id"),
     ({"after_id": "auto", "before_id": "auto"}, "before_id")],
)  # fmt: skip
def test_a_page_that_is_none_is_refused(server: Server, query: dict[str, str], names: str) -> None:
    """In Anthropic's shape, with the field named."""
    headers = {"x-api-key": server.key, "anthropic-version": "2023-06-01"}

    said = httpx.get(f"{server.origin}/v1/models", params=query, headers=headers)

    assert said.status_code == 400
    assert said.json()["error"]["type"] == "invalid_request_error"
    assert f"`{names}`" in said.json()["error"]["message"]
