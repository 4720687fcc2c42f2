"""OpenAI's chat completions, as a surface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from proxy.wire import chat_pieces, chat_prompt
from proxy.wire.chat import ChatRequest, read
from proxy.wire.chat_pieces import Chunks
from proxy.wire.errors import openai_body as error_body
from proxy.wire.neutral import Piece, Prompt
from proxy.wire.surfaces.surface import Knobs

__all__ = ["NAME", "NAMES", "answer", "error_body", "knobs", "prompt", "read", "schema", "unheld", "writer"]

NAME: Final = "chat"
NAMES: Final[Mapping[str, str]] = {
    "effort": "reasoning_effort", "choice": "tool_choice", "parallel": "parallel_tool_calls",
    "shape": "response_format",
}  # fmt: skip
_SHAPES: Final[Mapping[str, Literal["object", "schema"]]] = {"json_object": "object", "json_schema": "schema"}


def knobs(ask: ChatRequest) -> Knobs:
    """Return the settings that not every model takes."""
    fields = ask.fields
    form = fields.get("response_format")
    return Knobs(
        temperature=fields.get("temperature"),
        top_p=fields.get("top_p"),
        effort=fields.get("reasoning_effort"),
        choice=fields.get("tool_choice") not in (None, "auto", "none"),
        parallel=fields.get("parallel_tool_calls") is not False,
        shape="text" if form is None else _SHAPES.get(form["type"], "text"),
        tools=ask.tools > 0,
    )


def schema(ask: ChatRequest) -> Mapping[str, Any] | None:
    """Return the JSON schema that the answer must keep to."""
    form = ask.fields.get("response_format") or {}
    return (form.get("json_schema") or {}).get("schema")


def unheld(ask: ChatRequest) -> str | None:
    """Name a field that the neutral form has no word for."""
    return chat_prompt.unheld(ask)


def prompt(ask: ChatRequest) -> Prompt:
    """Return the neutral form; raises `Malformed`."""
    return chat_prompt.read(ask)


def answer(pieces: Iterable[Piece], ask: ChatRequest, at_s: int) -> bytes:
    """Return a whole answer."""
    return chat_pieces.completion(pieces, at_s)


def writer(ask: ChatRequest, at_s: int) -> Chunks:
    """Return what writes the answer as chunks."""
    return Chunks(include_usage=ask.include_usage, at_s=at_s)
