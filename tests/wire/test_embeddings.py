"""Requests for embeddings: what is read of them, what is refused by which name, and answers written for them."""

from base64 import b64decode
from struct import unpack
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.usage import Usage
from proxy.wire import embeddings
from proxy.wire.embeddings import INPUTS_MAX
from proxy.wire.errors import Malformed


def ask(given: Any = "hi", **fields: Any) -> embeddings.EmbeddingsRequest:
    """A request."""
    return embeddings.read(orjson.dumps({"model": "e", "input": given, **fields}))


@pytest.mark.parametrize(
    ("given", "inputs", "weight"),
    [
        ("four", ["four"], 4),
        (["é", "b"], ["é", "b"], 2 + 1),
        ([1, 2, 3], [[1, 2, 3]], 3 * 4),
        ([[1], [2, 3]], [[1], [2, 3]], 3 * 4),
    ],
)
def test_inputs_of_every_kind(given: Any, inputs: list[Any], weight: int) -> None:
    """One or many, as texts or as token ids; an id weighs what a token does, so that holds bound it."""
    found = ask(given)

    assert (found.inputs, found.prompts, found.body_bytes) == (inputs, len(inputs), weight)
    assert (found.output_max, found.messages, found.stream) == (0, [], False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": [[]]}, "input[0]"),
        ({"input": [1.5]}, "input[0]"),
        ({"input": [True]}, "input[0]"),
        ({"input": [-1]}, "input[0]"),
        ({"input": ["a", [1]]}, "input"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a"] * (INPUTS_MAX + 1)}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": "8"}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"encoding_format": 1}, "encoding_format"),
        ({"stream": True}, "stream"),
        ({"user": 7}, "user"),
        ({"model": ""}, "model"),
    ],
)
def test_what_is_no_request_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """Before anybody is asked; OpenAI refuses the same."""
    with pytest.raises(Malformed) as raised:
        embeddings.read(orjson.dumps({"model": "e", "input": "hi", **fields}))

    assert raised.value.param == param


def test_as_many_inputs_as_the_api_takes() -> None:
    """The bound itself is within it."""
    assert ask(["a"] * INPUTS_MAX).prompts == INPUTS_MAX


def test_a_lone_surrogate_is_refused_by_place() -> None:
    """It is no text that any tokenizer could read."""
    with pytest.raises(Malformed) as raised:
        embeddings.read(b'{"model": "e", "input": ["a", "\\ud83d"]}')

    assert raised.value.param == "input[1]"


def test_unknown_fields_pass_by_value() -> None:
    """What an API gets tomorrow goes along; the model is the provider's."""
    extra = {f"x{number}": number for number in range(200)}

    assert orjson.loads(ask(**extra).body_for("theirs")) == {"input": "hi", **extra, "model": "theirs"}


FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8)


@given(st.lists(FLOATS, min_size=1, max_size=4))
def test_both_formats_say_the_same(vectors: list[list[float]]) -> None:
    """Base64 holds little-endian floats of 32 bits, in the order of the inputs."""
    texts = ["a"] * len(vectors)
    plain = orjson.loads(embeddings.answer(vectors, ask(texts), "m", Usage(input=7)))
    coded = orjson.loads(embeddings.answer(vectors, ask(texts, encoding_format="base64"), "m", None))

    decoded = [
        list(unpack(f"<{len(v)}f", b64decode(one["embedding"]))) for v, one in zip(vectors, coded["data"], strict=True)
    ]
    assert decoded == [one["embedding"] for one in plain["data"]] == vectors
    assert [one["index"] for one in plain["data"]] == list(range(len(vectors)))
    assert plain["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert "usage" not in coded  # unknown is not zero
