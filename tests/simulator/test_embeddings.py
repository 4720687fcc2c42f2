"""Embeddings, as the OpenAI SDK sees them."""

import math
from fractions import Fraction
from typing import Any

import pytest

from tests.simulator.conftest import Provider


def embed(provider: Provider, given: Any, **fields: Any) -> Any:
    """Send an embeddings request and return the parsed answer."""
    body = {"model": "text-embedding-3-small", "input": given, **fields}
    return provider.http.post("/v1/embeddings", json=body).json()


def cosine(one: list[float], other: list[float]) -> float:
    """Return the cosine of two vectors of length 1."""
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def test_base64_and_numbers_agree(provider: Provider) -> None:
    """The SDK asks for base64 and decodes the numbers that a plain request gets."""
    decoded = provider.sdk.embeddings.create(model="text-embedding-3-small", input="a cat")
    plain = embed(provider, "a cat")

    assert decoded.data[0].embedding == plain["data"][0]["embedding"]
    assert len(decoded.data[0].embedding) == 1536
    assert math.isclose(cosine(*[decoded.data[0].embedding] * 2), 1, abs_tol=1e-6)


def test_similar_texts_lie_close(provider: Provider) -> None:
    """Texts that share words are closer than texts that do not."""
    answer = embed(provider, ["a cat on a mat", "the cat on the mat", "quarterly revenue"])
    cat, other_cat, revenue = (one["embedding"] for one in answer["data"])

    assert cosine(cat, other_cat) > cosine(cat, revenue) + 0.2


@pytest.mark.parametrize(
    ("given", "vectors", "tokens"),
    [
        ("four" * 5, 1, 5),
        (["four" * 5, "four"], 2, 6),
        ([1, 2, 3], 1, 3),
        ([[1, 2, 3], [4]], 2, 4),
    ],
)
def test_inputs_of_every_kind_are_billed(provider: Provider, given: Any, vectors: int, tokens: int) -> None:
    """Texts count a token per four letters, token ids one each, at the input price."""
    body = {"model": "text-embedding-3-large", "input": given, "dimensions": 8}
    response = provider.http.post("/v1/embeddings", json=body)
    line = provider.line(response.headers["x-request-id"])

    assert [len(one["embedding"]) for one in response.json()["data"]] == [8] * vectors
    assert response.json()["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert line["kind"] == "embeddings"
    assert Fraction(line["amount_usd"]) == tokens * Fraction("0.13") / 1_000_000


@pytest.mark.parametrize("given", [None, "", [], [""], [[]], [1.5], ["a"] * 2049, "word" * 8193])
def test_bad_inputs_are_refused(provider: Provider, given: Any) -> None:
    """What OpenAI refuses is refused as it does."""
    assert embed(provider, given)["error"]["param"] == "input"


def test_faults_work_for_embeddings(provider: Provider) -> None:
    """A marker in the first text steers the call."""
    body = {"model": "text-embedding-3-small", "input": ["hi [[sim: status=503]]"]}

    assert provider.http.post("/v1/embeddings", json=body).status_code == 503


def embed_for_gemini(provider: Provider, *texts: str, model: str = "gemini-embedding-001", **fields: Any) -> Any:
    """Send a batch as Gemini's clients do."""
    asked = [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **fields} for text in texts]
    return provider.http.post(
        f"/v1beta/models/{model}:batchEmbedContents", json={"requests": asked}, headers={"x-goog-api-key": "key"}
    )


def test_gemini_embeds_in_batches(provider: Provider) -> None:
    """Vectors in the order of the texts, usage beside them, one line on the invoice at the input price."""
    answer = embed_for_gemini(provider, "four" * 5, "four", outputDimensionality=8)
    line = provider.invoice()[-1]

    assert [len(each["values"]) for each in answer.json()["embeddings"]] == [8, 8]
    assert answer.json()["usageMetadata"] == {"promptTokenCount": 5 + 1}
    assert (line["model"], line["kind"]) == ("gemini-embedding-001", "embeddings")
    assert Fraction(line["amount_usd"]) == (5 + 1) * Fraction("0.15") / 1_000_000


@pytest.mark.parametrize("texts", [(), ("a",) * 101, ("",)])
def test_bad_batches_are_refused(provider: Provider, texts: tuple[str, ...]) -> None:
    """Empty, too long, or with nothing to embed: Google's words."""
    answer = embed_for_gemini(provider, *texts)

    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
