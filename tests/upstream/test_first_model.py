"""Which model a local server has."""

import httpx
import pytest
import respx

from proxy.upstream import models
from proxy.upstream.models import NoModel, first_model

URL = "http://127.0.0.1:11434/v1"


@pytest.mark.parametrize("base_url", [URL, f"{URL}/"])
def test_the_first_listed_model_is_taken(base_url: str) -> None:
    """In the server's order, under the server's name, whether or not the address ends in a slash."""
    listed = {"object": "list", "data": [{"id": "llama3.2:3b", "object": "model"}, {"id": "qwen3:8b"}]}

    with respx.mock:
        respx.get(f"{URL}/models").respond(json=listed)

        assert first_model(base_url) == "llama3.2:3b"


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b"{}", b'{"data": []}', b'{"data": [7]}', b'{"data": [{"id": ""}]}']
)
def test_a_server_that_lists_nothing(body: bytes) -> None:
    """Whatever else it answers, the sentence says what to do."""
    with respx.mock:
        respx.get(f"{URL}/models").respond(content=body)

        with pytest.raises(NoModel, match=r"/v1/models lists no model: load one into the local server"):
            first_model(URL)


@pytest.mark.parametrize("status", [302, 401, 404, 500])
def test_a_server_that_refuses(status: int) -> None:
    """Only 200 is an answer; a redirection is not followed."""
    with respx.mock:
        respx.get(f"{URL}/models").respond(status, headers={"location": "http://elsewhere.invalid"})

        with pytest.raises(NoModel, match=f"answered {status}: an OpenAI-compatible address often ends in /v1"):
            first_model(URL)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectError, "cannot reach http://127.0.0.1:11434/v1/models: start the local server"),
        (httpx.RemoteProtocolError, "cannot reach"),
        (httpx.ConnectTimeout, "did not answer within 5 s"),
        (httpx.ReadTimeout, "did not answer within 5 s"),
    ],
)
def test_a_server_that_is_not_there(error: type[httpx.TransportError], said: str) -> None:
    """Every way to fail is one sentence, without what the library says of it."""
    with respx.mock:
        respx.get(f"{URL}/models").mock(side_effect=error("internal words"))

        with pytest.raises(NoModel, match=said) as raised:
            first_model(URL)

    assert "internal words" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_answer_without_end_is_cut() -> None:
    """A list of models is small."""
    with respx.mock:
        respx.get(f"{URL}/models").respond(content=b" " * (models.LIST_BYTES_MAX + 1))

        with pytest.raises(NoModel, match="is no list of models"):
            first_model(URL)


def test_a_server_that_trickles_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is for the whole list, not for each of its pieces."""
    monkeypatch.setattr(models, "DEADLINE_S", 0.0)

    with respx.mock:
        respx.get(f"{URL}/models").respond(json={"data": [{"id": "llama"}]})

        with pytest.raises(NoModel, match="did not answer within 0 s"):
            first_model(URL)
