"""What a conversation is, whatever API it was written in: the form in which surfaces and dialects meet.

A surface reads its own JSON into a `Prompt`, and writes `Piece`s as its own answers and events; a dialect has the
opposite pair. Plain answers and streams consist of the same pieces, so that both are translated by one piece of code.
See docs/adr/0011. Nothing here is built for a request whose caller and provider speak the same format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from margin.usage import Usage


@dataclass(frozen=True, slots=True)
class Text:
    """Words; up to here the provider is asked to keep the prompt in its cache, for as long as the mark says."""

    text: str
    cache: Literal["5m", "1h"] | None = None


@dataclass(frozen=True, slots=True)
class ImageBytes:
    """An image that came along, as base64, with its media type."""

    media_type: str
    base64: str


@dataclass(frozen=True, slots=True)
class ImageLink:
    """An image that the provider fetches: an https URL."""

    url: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the model called: the call's id, the tool's name, and its arguments, an object."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a called tool gave."""

    call_id: str
    parts: tuple[Text | ImageBytes | ImageLink, ...]


Block = Text | ImageBytes | ImageLink | Call | Result


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says until the other does. Results of tools are the user's."""

    role: Literal["user", "assistant"]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer. `schema` None: it takes no arguments; `strict`: arguments must keep to the schema."""

    name: str
    description: str | None
    schema: Mapping[str, Any] | None
    strict: bool


@dataclass(frozen=True, slots=True)
class Named:
    """The one tool that must be called."""

    name: str


Choice = Literal["auto", "none", "required"] | Named
"""Which tools the model may call: as it likes, none, any but at least one, this one."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request. None is what the caller did not say: the provider's own default applies.

    Args:
        system: Instructions, in their order.
        turns: The conversation; two neighbours never have the same role, and none is empty.
        tools: What may be called.
        choice: Which of them.
        parallel: Whether several may be called at once.
        output_max: Most tokens of the answer.
        stops: Texts that end the answer.
        temperature: 0..2, as OpenAI counts it.
        top_p: 0..1.
        effort: How much to think: none, minimal, low, medium, high, xhigh.
        schema: A JSON schema that the answer must keep to.
        user: Who asks, in the caller's own opaque words.
        stream: Whether to stream.
    """

    system: tuple[Text, ...]
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    choice: Choice | None = None
    parallel: bool | None = None
    output_max: int | None = None
    stops: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    effort: str | None = None
    schema: Mapping[str, Any] | None = None
    user: str | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """The answer begins: the provider's id of the call, and the model that answers, in its words."""

    id: str
    model: str


@dataclass(frozen=True, slots=True)
class Said:
    """Words of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """Words of the thinking before it, where the provider shows them."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """The `index`th tool call begins, counted from 0."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Argued:
    """A part of that call's arguments: JSON text, in whatever pieces."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Why the answer ends: it is said; a limit was reached; tools are to be called; the provider refused to go on."""

    reason: Literal["said", "limit", "calls", "refused"]


@dataclass(frozen=True, slots=True)
class Used:
    """What was used."""

    usage: Usage


Piece = Started | Said | Thought | Called | Argued | Ended | Used
"""What an answer consists of: one `Started` first; one `Ended`, then one `Used` (if known) last."""
