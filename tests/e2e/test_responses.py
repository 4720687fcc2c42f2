"""OpenAI's client on the Responses surface: conversations, whose they are, where they lie, and what breaks off."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import yaml

from tests.e2e import matrix
from tests.e2e.conftest import Launch
from tests.e2e.server import Server

MODELS = [model for model, _ in matrix.MODELS.values()]
NATIVE, COMPATIBLE, CLAUDE, *_ = MODELS


@pytest.fixture(scope="module")
def served(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with a model of each dialect and two workers, so that what one kept another must find."""
    path = matrix.config(tmp_path_factory.mktemp("responses"))
    path.write_text(path.read_text().replace("server:\n", "server:\n  workers: 2\n"))
    with matrix.borrowed():
        yield launch(path)


@pytest.mark.parametrize("model", MODELS)
def test_a_conversation_goes_on_and_ends(served: Server, model: str):
    """Plain and streamed, three turns, each billed for all that went before; found by its id until it is deleted."""
    with served.openai() as client:
        first = client.responses.create(model=model, input="My city is Oslo.", instructions="Be brief.")
        second = client.responses.create(model=model, input="And now?", previous_response_id=first.id)
        with client.responses.stream(model=model, input="And then?", previous_response_id=second.id) as stream:
            for _ in stream:
                pass
            third = stream.get_final_response()
        found = client.responses.retrieve(third.id)
        client.responses.delete(third.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(third.id)
        with pytest.raises(openai.BadRequestError) as gone:
            client.responses.create(model=model, input="And?", previous_response_id=third.id)
        assert client.responses.retrieve(second.id).output_text == second.output_text

    tokens = [turn.usage.input_tokens for turn in (first, second, third) if turn.usage]
    assert tokens == sorted(tokens)
    assert len(set(tokens)) == 3
    assert first._request_id
    assert (third.previous_response_id, found.output_text) == (second.id, third.output_text)
    assert gone.value.code == "previous_response_not_found"


@pytest.mark.parametrize("model", [NATIVE, CLAUDE])
def test_nobody_else_can_tell_that_it_is_there(served: Server, model: str):
    """Another customer's id and an invented one get the same answer, letter for letter but for the id."""
    other = served.create_key("globex")
    with served.openai() as mine, served.openai(other) as theirs:
        made = mine.responses.create(model=model, input="My secret is 42.")
        answers = []
        for identity in (made.id, "resp_" + "0" * len(made.id.removeprefix("resp_"))):
            with pytest.raises(openai.BadRequestError) as refused:
                theirs.responses.create(model=model, input="What is it?", previous_response_id=identity)
            with pytest.raises(openai.NotFoundError) as missing:
                theirs.responses.retrieve(identity)
            with pytest.raises(openai.NotFoundError):
                theirs.responses.delete(identity)
            answers.append([str(error.value).replace(identity, "ID") for error in (refused, missing)])
        assert mine.responses.retrieve(made.id).id == made.id

    assert answers[0] == answers[1]


@pytest.mark.parametrize("model", [NATIVE, CLAUDE])
def test_what_is_not_to_be_stored_is_not(served: Server, model: str):
    """Neither found nor gone on with."""
    with served.openai() as client:
        made = client.responses.create(model=model, input="Hello.", store=False)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)
        with pytest.raises(openai.BadRequestError):
            client.responses.create(model=model, input="And?", previous_response_id=made.id)


def test_a_providers_own_conversation_stays_with_it(served: Server):
    """Another's model cannot go on with what it does not have; what we keep goes wherever it is asked for."""
    with served.openai() as client:
        stored = client.responses.create(model=NATIVE, input="My city is Oslo.")
        kept = client.responses.create(model=CLAUDE, input="My city is Rome.")
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model=CLAUDE, input="And?", previous_response_id=stored.id)
        moved = client.responses.create(model=NATIVE, input="And?", previous_response_id=kept.id)

    assert refused.value.param == "previous_response_id"
    assert "My city is Rome." in str(served.seen_upstream()[-1]["body"]["input"])
    assert moved.usage is not None
    assert kept.usage is not None
    assert moved.usage.input_tokens > kept.usage.input_tokens


@pytest.mark.parametrize("model", [NATIVE, COMPATIBLE, CLAUDE])
@pytest.mark.parametrize("fault", ["error_in_stream=7", "cut=7"])
def test_a_stream_that_breaks_ends_in_an_error_event(served: Server, model: str, fault: str):
    """With the next number, and without a `response.completed`; the caller does not pay, and the books are sound."""
    with served.openai() as client:
        events = list(client.responses.create(model=model, input=f"hi [[sim: tokens=20 {fault}]]", stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "error"
    is_overloaded = model == CLAUDE and fault.startswith("error")  # as Anthropic says it in a stream
    assert events[-1].code == ("upstream_rate_limited" if is_overloaded else "upstream_error")
    assert served.cli("ledger", "verify", "--json").json()["ok"] is True


@pytest.mark.parametrize("model", [NATIVE, CLAUDE])
def test_what_went_before_counts(launch: Launch, tmp_path: Path, model: str):
    """A conversation fills the window of who goes on with it, wherever it lies, though the next body is short."""
    path = matrix.config(tmp_path)
    written = yaml.safe_load(path.read_text())
    written["models"][model]["context_window"] = 3500
    path.write_text(yaml.safe_dump(written))
    server = launch(path)
    with server.openai() as client:
        first = client.responses.create(model=model, input="word " * 1600, max_output_tokens=100)
        second = client.responses.create(model=model, input="And?", previous_response_id=first.id)
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model=model, input="word " * 800, previous_response_id=second.id)

    assert "window of 3500" in str(refused.value)


@pytest.mark.parametrize("model", [NATIVE, CLAUDE])
@pytest.mark.parametrize("stream", [False, True])
def test_a_retry_gets_the_same_response(served: Server, model: str, *, stream: bool):
    """Under an idempotency key: the same bytes, its last event with its number once, and one call at the provider."""
    headers = {"authorization": f"Bearer {served.key}", "idempotency-key": f"again-{model}-{stream}"}
    body = {"model": model, "input": "Say hello once.", "stream": stream}
    calls = len(served.invoice())

    first, again = (
        httpx.post(f"{served.origin}/v1/responses", json=body, headers=headers, timeout=30) for _ in range(2)
    )

    assert (first.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.content == first.content
    assert len(served.invoice()) == calls + 1
    if stream:
        told = [json.loads(line[6:]) for line in again.text.splitlines() if line.startswith("data: ")]
        assert [event["sequence_number"] for event in told] == list(range(len(told)))
        assert told[-1]["type"] == "response.completed"


def test_a_key_limited_to_chat_has_no_use_of_it(served: Server):
    """403, for what is asked and for what is stored."""
    made = served.ask("keys.create", customer="acme", scopes=["serve"], surfaces=["chat"])["key"]
    with served.openai(made) as client:
        with pytest.raises(openai.PermissionDeniedError):
            client.responses.create(model=CLAUDE, input="Hello.")
        with pytest.raises(openai.PermissionDeniedError):
            client.responses.retrieve("resp_0")
