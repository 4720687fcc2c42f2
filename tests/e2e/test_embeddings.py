"""Embeddings through the server, as OpenAI's client asks for them: every call is on both accounts."""

from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Launch
from tests.e2e.server import ROOT, Server, write_config


@pytest.fixture(scope="module")
def house(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server with a model that embeds at each family that has any."""
    folder = tmp_path_factory.mktemp("embeddings")
    simulated = {"base_url": "simulator", "api_key": "simulator"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(ROOT / "tests" / "fakes"))
        patched.syspath_prepend(str(ROOT / "tests" / "fakes"))
        return launch(
            write_config(
                folder,
                providers={
                    "openai": {"dialect": "openai", **simulated},
                    "google": {"dialect": "gemini", **simulated},
                    "others": {"dialect": "litellm", **simulated},
                },
                models={
                    "gpt-6-luna": {"provider": "openai"},
                    "text-embedding-3-small": {"provider": "openai"},
                    "gemini-embedding-001": {"provider": "google"},
                    "borrowed": {
                        "provider": "others",
                        "model": "openai/text-embedding-3-small",
                        "price": {"input": 0.02},
                    },
                },
                tiers={tier: ["gpt-6-luna"] for tier in ("simple", "medium", "complex")},
            )
        )


@pytest.mark.parametrize("model", ["text-embedding-3-small", "gemini-embedding-001", "borrowed"])
def test_openais_client_as_it_comes(house: Server, model: str):
    """Its default, base64, and numbers say the same, one vector for each text in their order."""
    with house.openai() as client:
        told = client.embeddings.create(model=model, input=["a cat", "a dog"], dimensions=8)
        plain = client.embeddings.create(model=model, input=["a cat", "a dog"], dimensions=8, encoding_format="float")

    assert [len(each.embedding) for each in told.data] == [8, 8]
    for one, other in zip(told.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    assert told.usage.prompt_tokens == told.usage.total_tokens > 0


def test_token_ids_go_where_they_are_understood(house: Server):
    """At OpenAI each is a token; for Gemini, whose tokens are others, it is a 400 that names the field."""
    with house.openai() as client:
        told = client.embeddings.create(model="text-embedding-3-small", input=[[1, 2, 3], [4]])
    refused = post(house, model="gemini-embedding-001", input=[1, 2, 3])

    assert told.usage.prompt_tokens == 4
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")


def post(server: Server, **body: Any) -> httpx.Response:
    """Send a request."""
    return httpx.post(f"{server.origin}/v1/embeddings", json=body, timeout=30,
                      headers={"authorization": f"Bearer {server.key}"})  # fmt: skip


def test_the_books_are_the_invoice(house: Server):
    """To the nano-dollar. Only OpenAI's own answers name their calls: those of others are found on no side."""
    invoice, books = house.invoice(), house.cli("reconcile", "--json").json()

    assert {line["kind"] for line in invoice} == {"embeddings"}
    unnamed = sum(line["calls"] for line in books["lines"] if line["reason"] != "billed, not booked")
    assert unnamed == sum(line["calls"] for line in books["lines"]) / 2 == 4  # two models, asked twice each
    assert abs(books["difference_nusd"]) <= books["rounding_bound_nusd"]
    assert house.cli("ledger", "verify", "--json").json()["ok"] is True


def test_a_key_can_be_for_embeddings_alone(house: Server):
    """`surfaces` has a word for it."""
    found = house.ask("keys.create", customer="narrow", scopes=["serve"], surfaces=["embeddings"])
    headers = {"authorization": f"Bearer {found['key']}"}

    asked = {"model": "text-embedding-3-small", "input": "hi", "messages": [{"role": "user", "content": "hi"}]}
    statuses = [httpx.post(f"{house.origin}/v1/{path}", json=asked, headers=headers).status_code
                for path in ("embeddings", "chat/completions")]  # fmt: skip
    assert statuses == [200, 403]


def test_wrong_methods_are_told_so(house: Server):
    """405 in OpenAI's shape, and nothing that the framework says by itself."""
    answer = httpx.get(f"{house.origin}/v1/embeddings")

    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
