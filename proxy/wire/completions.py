"""A request for legacy completions: the few fields we read, typed and checked; everything else kept by value.

A prompt is a text, or the ids of its tokens; a request may hold many, and of each `n` answers come back, of `best_of`
that are made and billed. Source: OpenAI's API reference, "Create completion".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from proxy.wire.fields import COUNT_MAX, boolean, check_texts, include_usage, integer, model
from proxy.wire.inputs import Input, inputs_of, weight_bytes
from proxy.wire.shapes import check_settings
from proxy.wire.strict import read_object

PROMPTS_MAX: Final = 2_048
"""Servers have bounds of their own, all lower; this is that of embeddings."""
OUTPUT_TOKENS_DEFAULT: Final = 16
"""The API's own `max_tokens`."""


class CompletionsRequest(NamedTuple):
    """What we read of a request. `fields` is the whole object as it was sent; it is never changed in place."""

    fields: Mapping[str, Any]
    body_bytes: int
    """What its prompts weigh: no tokenizer makes more tokens of them."""
    model: str
    inputs: list[Input]
    messages: list[dict[str, Any]]
    """The prompts that are texts, as a judge reads them."""
    stream: bool
    include_usage: bool
    output_max: int | None
    choices: int
    """How many answers are made: of every prompt as many."""
    prompts: int
    tools: int = 0
    wants_schema: bool = False
    has_images: bool = False
    has_audio: bool = False
    images: int = 0
    media_parts: int = 0
    media_bytes: int = 0
    surface: str = "completions"

    def body_for(self, model: str) -> bytes:
        """Serialise what was judged, for the provider's `model`; a stream is asked to report its usage."""
        changed: dict[str, Any] = {**self.fields, "model": model}
        if self.stream and not self.include_usage:
            changed["stream_options"] = {**(self.fields.get("stream_options") or {}), "include_usage": True}
        return orjson.dumps(changed)


def read(body: bytes) -> CompletionsRequest:
    """Read a request.

    Raises:
        Malformed: with `param` naming the field.
    """
    fields = read_object(body)
    inputs = inputs_of(fields.get("prompt"), "prompt", many_max=PROMPTS_MAX)
    check_settings(fields)
    check_texts(fields, ("suffix", "user"))
    suffix = fields.get("suffix")
    boolean(fields, "echo")
    integer(fields, "logprobs", low=0, high=COUNT_MAX, default=0)
    stream = boolean(fields, "stream")
    most = integer(fields, "max_tokens", low=0, high=COUNT_MAX, default=-1)
    return CompletionsRequest(
        fields=fields,
        body_bytes=weight_bytes(inputs) + (0 if suffix is None else len(suffix.encode()) * len(inputs)),
        model=model(fields),
        inputs=inputs,
        messages=[{"role": "user", "content": each} for each in inputs if isinstance(each, str)],
        stream=stream,
        include_usage=include_usage(fields, stream=stream),
        output_max=None if most < 0 else most,
        choices=len(inputs) * max(integer(fields, name, low=1, high=COUNT_MAX, default=1) for name in ("n", "best_of")),
        prompts=len(inputs),
    )
