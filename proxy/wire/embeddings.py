"""A request for embeddings, and the answer to it where its provider speaks another format.

Same shape on both sides: texts, or token ids, go in, and one vector for each comes out. There is no conversation in it,
so that the neutral form has no part in this; see docs/adr/0038. Source: OpenAI's API reference, "Create embeddings".
"""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from margin.usage import Usage
from proxy.wire.errors import Malformed
from proxy.wire.fields import COUNT_MAX, boolean, check_texts, integer, model
from proxy.wire.inputs import Input, check_filled, inputs_of, weight_bytes
from proxy.wire.strict import read_object

INPUTS_MAX: Final = 2_048
"""OpenAI's own bound."""
FORMATS: Final = frozenset({"float", "base64"})


class EmbeddingsRequest(NamedTuple):
    """What we read of a request. `fields` is the whole object as it was sent; it is never changed in place."""

    fields: Mapping[str, Any]
    body_bytes: int
    """What its inputs weigh: no tokenizer makes more tokens of them."""
    model: str
    inputs: list[Input]
    dimensions: int | None
    """How long the vectors are to be; None is the model's own length."""
    is_base64: bool
    """Whether vectors come as base64 of 32-bit floats, as SDKs ask for, or as arrays of numbers."""
    prompts: int
    messages: list[dict[str, Any]]
    """None: there is nothing to judge."""
    stream: bool = False
    include_usage: bool = False
    output_max: int | None = 0
    choices: int = 1
    tools: int = 0
    wants_schema: bool = False
    has_images: bool = False
    has_audio: bool = False
    images: int = 0
    media_parts: int = 0
    media_bytes: int = 0
    surface: str = "embeddings"

    def body_for(self, model: str) -> bytes:
        """Serialise what was read, for the provider's `model`."""
        return orjson.dumps({**self.fields, "model": model})


def read(body: bytes) -> EmbeddingsRequest:
    """Read a request.

    Raises:
        Malformed: with `param` naming the field.
    """
    fields = read_object(body)
    inputs = inputs_of(fields.get("input"), "input", many_max=INPUTS_MAX)
    check_filled(inputs, "input")
    if boolean(fields, "stream"):
        raise Malformed("Embeddings are not streamed.", param="stream")
    form = fields.get("encoding_format")
    if form is not None and (not isinstance(form, str) or form not in FORMATS):
        raise Malformed("`encoding_format` must be float or base64.", param="encoding_format")
    check_texts(fields, ("user", "service_tier"))
    return EmbeddingsRequest(
        fields=fields,
        body_bytes=weight_bytes(inputs),
        model=model(fields),
        inputs=inputs,
        dimensions=integer(fields, "dimensions", low=1, high=COUNT_MAX, default=0) or None,
        is_base64=form == "base64",
        prompts=len(inputs),
        messages=[],
    )


def answer(vectors: Sequence[Sequence[float]], ask: EmbeddingsRequest, model: str, usage: Usage | None) -> bytes:
    """Return the answer of a provider that has another format, in the caller's.

    Args:
        vectors: One for each input, in their order.
        ask: The request.
        model: Who made them, by the name that the caller asked for.
        usage: What it took; left out where nobody said so.

    Raises:
        TypeError: a vector is none, or holds what is no number.
    """
    if not all(isinstance(vector, list) for vector in vectors):
        raise TypeError("a vector is no array")
    try:
        checked = [array("d", vector) for vector in vectors]
    except OverflowError:
        raise TypeError("a number in a vector is beyond all numbers") from None
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if ask.is_base64 else vector.tolist()}
        for index, vector in enumerate(checked)
    ]
    told: dict[str, Any] = {"object": "list", "data": data, "model": model}
    if usage is not None:
        told["usage"] = {"prompt_tokens": usage.input_total, "total_tokens": usage.total}
    return orjson.dumps(told)


def _base64(vector: array[float]) -> str:
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()
