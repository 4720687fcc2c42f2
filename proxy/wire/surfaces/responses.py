"""OpenAI's Responses, as a surface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from secrets import token_hex
from typing import Any, Final, Literal

from proxy.wire import responses_pieces, responses_prompt
from proxy.wire.errors import openai_body as error_body
from proxy.wire.neutral import Piece, Prompt
from proxy.wire.responses import ResponsesRequest, read
from proxy.wire.responses_pieces import Events
from proxy.wire.surfaces.surface import Knobs

__all__ = ["NAME", "NAMES", "PREVIOUS", "answer", "error_body", "knobs", "prompt", "read", "schema", "unheld", "writer"]

NAME: Final = "responses"
NAMES: Final[Mapping[str, str]] = {
    "effort": "reasoning.effort", "choice": "tool_choice", "parallel": "parallel_tool_calls", "shape": "text.format",
    "messages": "input",
    # What providers' refusals name, in chat's words:
    "max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort", "response_format": "text.format",
}  # fmt: skip
PREVIOUS: Final = "previous_response_id"
_SHAPES: Final[Mapping[str, Literal["object", "schema"]]] = {"json_object": "object", "json_schema": "schema"}


def knobs(ask: ResponsesRequest) -> Knobs:
    """Return the settings that not every model takes."""
    fields = ask.fields
    form = (fields.get("text") or {}).get("format")
    return Knobs(
        temperature=fields.get("temperature"),
        top_p=fields.get("top_p"),
        effort=(fields.get("reasoning") or {}).get("effort"),
        choice=fields.get("tool_choice") not in (None, "auto", "none"),
        parallel=fields.get("parallel_tool_calls") is not False,
        shape="text" if form is None else _SHAPES.get(form["type"], "text"),
        tools=ask.tools > 0,
    )


def schema(ask: ResponsesRequest) -> Mapping[str, Any] | None:
    """Return the JSON schema that the answer must keep to."""
    return ((ask.fields.get("text") or {}).get("format") or {}).get("schema")


def unheld(ask: ResponsesRequest) -> str | None:
    """Name a field that the neutral form has no word for, or the conversation that lies with a provider."""
    if ask.before is not None and ask.before.provider is not None:
        return PREVIOUS
    return responses_prompt.unheld(ask)


def prompt(ask: ResponsesRequest) -> Prompt:
    """Return the neutral form, of the whole conversation; raises `Malformed`."""
    return responses_prompt.read(ask, () if ask.before is None else ask.before.items)


def answer(pieces: Iterable[Piece], ask: ResponsesRequest, at_s: int) -> bytes:
    """Return a whole answer."""
    return responses_pieces.response(pieces, ask.fields, _identity(), at_s)


def writer(ask: ResponsesRequest, at_s: int) -> Events:
    """Return what writes the answer as events."""
    return Events(ask.fields, _identity(), at_s)


def _identity() -> str:
    """Return a response's id: like OpenAI's, and as hard to guess."""
    return f"resp_{token_hex(24)}"
