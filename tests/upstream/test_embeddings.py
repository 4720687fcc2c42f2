"""Embeddings of every dialect: what goes to the provider, what comes back, and what is no answer."""

from typing import Any

import orjson
import pytest

from margin.usage import Usage
from proxy.settings import Deployment, Provider
from proxy.upstream import dialects
from proxy.wire import embeddings
from proxy.wire.errors import Malformed, UpstreamBroke

AT_S = 1_700_000_000


def deployment(dialect: str, model: str = "theirs") -> Deployment:
    """A model that embeds."""
    provider = Provider("p", dialect, "https://example.org", None, enabled=True)
    return Deployment("ours", provider, model, prices=None, free=True, serves=frozenset({"embeddings"}))


OPENAI, GEMINI, LITELLM = (deployment(name) for name in ("openai", "gemini", "litellm"))


def ask(given: Any = "hi", **fields: Any) -> embeddings.EmbeddingsRequest:
    """A request."""
    return embeddings.read(orjson.dumps({"model": "ours", "input": given, **fields}))


def sent(to: Deployment, asked: embeddings.EmbeddingsRequest) -> Any:
    """What goes to the provider; what goes had to be carried."""
    assert dialects.uncarried(to, asked) is None
    return orjson.loads(dialects.request_body(to, asked))


def listed(*vectors: Any, **more: Any) -> bytes:
    """An answer as OpenAI's API writes it."""
    data = [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(vectors)]
    return orjson.dumps({"object": "list", "data": data, "model": "theirs", **more})


def test_openai_is_passed_through() -> None:
    """The request field for field, the answer byte for byte; its usage is all input."""
    asked = ask([[1, 2], [3]], encoding_format="base64", dimensions=8, input_type="query")
    answer = listed("AAAA", "BBBB", usage={"prompt_tokens": 3, "total_tokens": 3})

    assert dialects.request_path(OPENAI, "embeddings", stream=False) == "/embeddings"
    assert sent(OPENAI, asked) == {**asked.fields, "model": "theirs"}
    assert dialects.read_answer(OPENAI, asked, answer, AT_S) == (None, Usage(input=3), answer)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1}, {"prompt_tokens": "3"}, {"prompt_tokens": 2.5}])
def test_usage_that_is_none_or_nonsense_is_not_known(usage: Any) -> None:
    """Then it is estimated, and marked; the answer is an answer all the same."""
    body = listed([0.5], usage=usage)

    assert dialects.read_answer(OPENAI, ask(), body, AT_S) == (None, None, body)


@pytest.mark.parametrize("to", [OPENAI, LITELLM, GEMINI])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"data": {}}', listed(), listed([0.5], [0.5]), b'{"embeddings": []}',
     b'{"embeddings": [{}]}', b'{"embeddings": [{"values": "x"}]}', b"[" * 9_999],
)  # fmt: skip
def test_what_has_no_vector_for_each_input_is_no_answer(to: Deployment, body: bytes) -> None:
    """A vector too few would be taken for another text's."""
    with pytest.raises(UpstreamBroke):
        dialects.read_answer(to, ask(), body, AT_S)


def test_gemini_has_its_own_words() -> None:
    """A request for each text, the length for each; vectors come back in the format that was asked for."""
    asked = ask(["a", "b"], dimensions=2, user="u", encoding_format="base64")
    answer = {"embeddings": [{"values": [0.5, 1.0]}, {"values": [0.0, -1.0]}], "usageMetadata": {"promptTokenCount": 9}}

    call_id, usage, body = dialects.read_answer(GEMINI, asked, orjson.dumps(answer), AT_S)

    assert dialects.request_path(GEMINI, "embeddings", stream=False) == "/models/theirs:batchEmbedContents"
    wanted = {"model": "models/theirs", "outputDimensionality": 2}
    assert sent(GEMINI, asked) == {
        "requests": [{**wanted, "content": {"parts": [{"text": text}]}} for text in ("a", "b")]
    }
    assert (call_id, usage) == (None, Usage(input=9))
    assert [each["embedding"] for each in orjson.loads(body)["data"]] == ["AAAAPwAAgD8=", "AAAAAAAAgL8="]
    assert orjson.loads(body)["usage"] == {"prompt_tokens": 9, "total_tokens": 9}


def test_gemini_of_older_models_says_no_usage() -> None:
    """It is then estimated, not zero."""
    _, usage, body = dialects.read_answer(GEMINI, ask(), b'{"embeddings": [{"values": [1.0]}]}', AT_S)

    assert usage is None
    assert "usage" not in orjson.loads(body)


@pytest.mark.parametrize(
    ("to", "fields", "param"),
    [
        (GEMINI, {"given": [1, 2]}, "input"),
        (GEMINI, {"given": ["a"] * 101}, "input"),
        (GEMINI, {"input_type": "query"}, "input_type"),
        (LITELLM, {"api_base": "http://attacker.test"}, "api_base"),
        (LITELLM, {"extra_headers": {}}, "extra_headers"),
        (deployment("anthropic"), {}, "input"),
    ],
)
def test_what_has_no_word_there_is_named(to: Deployment, fields: dict[str, Any], param: str) -> None:
    """Before anybody is called."""
    asked = ask(**fields)

    assert dialects.uncarried(to, asked) == param
    if to.provider.dialect != "anthropic":
        with pytest.raises(Malformed) as raised:
            dialects.request_body(to, asked)
        assert raised.value.param == param


def test_litellm_is_asked_for_numbers() -> None:
    """Not every provider behind it has base64: that is written here."""
    asked = ask("a", encoding_format="base64", dimensions=2)
    answer = listed([0.5, 1.0], usage={"prompt_tokens": 1, "total_tokens": 1})

    assert sent(LITELLM, asked) == {"model": "theirs", "input": ["a"], "dimensions": 2}
    _, usage, body = dialects.read_answer(LITELLM, asked, answer, AT_S)
    assert usage == Usage(input=1)
    assert orjson.loads(body)["data"][0]["embedding"] == "AAAAPwAAgD8="
