"""Anthropic's Messages, as a surface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from proxy.wire import messages_pieces, messages_prompt
from proxy.wire.ask import input_estimate
from proxy.wire.errors import anthropic_body as error_body
from proxy.wire.messages import MessagesRequest, read
from proxy.wire.messages_pieces import Events
from proxy.wire.neutral import Piece, Prompt
from proxy.wire.surfaces.surface import Knobs

__all__ = ["NAME", "NAMES", "answer", "error_body", "knobs", "prompt", "read", "schema", "unheld", "writer"]

NAME: Final = "messages"
NAMES: Final[Mapping[str, str]] = {
    "effort": "output_config.effort", "choice": "tool_choice", "parallel": "tool_choice.disable_parallel_tool_use",
    "shape": "output_config.format",
}  # fmt: skip


def knobs(ask: MessagesRequest) -> Knobs:
    """Return the settings that not every model takes."""
    fields = ask.fields
    thinking, config = fields.get("thinking") or {}, fields.get("output_config") or {}
    choice = fields.get("tool_choice") or {}
    return Knobs(
        temperature=fields.get("temperature"),
        top_p=fields.get("top_p"),
        effort="none" if thinking.get("type") == "disabled" else config.get("effort"),
        choice=choice.get("type") in ("any", "tool"),
        parallel=not choice.get("disable_parallel_tool_use"),
        shape="schema" if ask.wants_schema else "text",
        tools=ask.tools > 0,
    )


def schema(ask: MessagesRequest) -> Mapping[str, Any] | None:
    """Return the JSON schema that the answer must keep to."""
    return ((ask.fields.get("output_config") or {}).get("format") or {}).get("schema")


def unheld(ask: MessagesRequest) -> str | None:
    """Name a field that the neutral form has no word for."""
    return messages_prompt.unheld(ask)


def prompt(ask: MessagesRequest) -> Prompt:
    """Return the neutral form; raises `Malformed`."""
    return messages_prompt.read(ask)


def answer(pieces: Iterable[Piece], ask: MessagesRequest, at_s: int) -> bytes:
    """Return a whole answer."""
    return messages_pieces.message(pieces, input_estimate(ask))


def writer(ask: MessagesRequest, at_s: int) -> Events:
    """Return what writes the answer as events."""
    return Events(input_estimate(ask))
