"""OpenAI's legacy completions, as a surface. To a model that chats a prompt is what its user says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from proxy.wire import completions_pieces
from proxy.wire.completions import OUTPUT_TOKENS_DEFAULT, CompletionsRequest, read
from proxy.wire.completions_pieces import Chunks
from proxy.wire.errors import openai_body as error_body
from proxy.wire.neutral import Piece, Prompt, Text, Turn
from proxy.wire.prompts import first_unheld, only, stops_of, unsayable
from proxy.wire.surfaces.surface import Knobs

__all__ = ["NAME", "NAMES", "answer", "error_body", "knobs", "prompt", "read", "schema", "unheld", "writer"]

NAME: Final = "completions"
NAMES: Final[Mapping[str, str]] = {"messages": "prompt", "stop_sequences": "stop"}
_HELD: Final = frozenset(
    {"model", "prompt", "max_tokens", "stream", "stream_options", "stop", "temperature", "top_p", "user"}
)
_HARMLESS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "n": lambda value: value == 1,
    "best_of": lambda value: value == 1,
    "echo": lambda value: value is False,
    "suffix": lambda value: value == "",
    "frequency_penalty": lambda value: value == 0,
    "presence_penalty": lambda value: value == 0,
    "logit_bias": lambda value: value == {},
    "service_tier": lambda value: value in ("auto", "default"),
}
"""Fields that the neutral form has no word for, and the values at which they ask for nothing."""


def knobs(ask: CompletionsRequest) -> Knobs:
    """Return the settings that not every model takes."""
    return Knobs(temperature=ask.fields.get("temperature"), top_p=ask.fields.get("top_p"))


def schema(ask: CompletionsRequest) -> None:
    """Return None: no completion keeps to a schema."""


def unheld(ask: CompletionsRequest) -> str | None:
    """Name a field that the neutral form has no word for; a prompt that is not one text is one."""
    found = first_unheld(ask.fields, _HELD, _HARMLESS)
    if found is not None:
        return found
    if ask.output_max == 0:  # nothing but the prompt, echoed or scored
        return "max_tokens"
    return "prompt" if len(ask.inputs) > 1 or not isinstance(ask.inputs[0], str) else None


def prompt(ask: CompletionsRequest) -> Prompt:
    """Return the neutral form; raises `Malformed`."""
    name = unheld(ask)
    if name is not None:
        raise unsayable(name)
    only(ask.fields.get("stream_options") or {}, {"include_usage", "include_obfuscation"}, "stream_options")
    (said,) = ask.inputs
    if not isinstance(said, str) or not said:
        raise unsayable("prompt", "must not be empty to be carried over to this model")
    return Prompt(
        system=(),
        turns=(Turn("user", (Text(said),)),),
        output_max=OUTPUT_TOKENS_DEFAULT if ask.output_max is None else ask.output_max,
        stops=stops_of(ask.fields.get("stop")),
        temperature=ask.fields.get("temperature"),
        top_p=ask.fields.get("top_p"),
        user=ask.fields.get("user") or None,
        stream=ask.stream,
    )


def answer(pieces: Iterable[Piece], ask: CompletionsRequest, at_s: int) -> bytes:
    """Return a whole answer."""
    return completions_pieces.completion(pieces, at_s)


def writer(ask: CompletionsRequest, at_s: int) -> Chunks:
    """Return what writes the answer as chunks."""
    return Chunks(include_usage=ask.include_usage, at_s=at_s)
