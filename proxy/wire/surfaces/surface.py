"""What the exchange and the dialects ask of an API that callers speak: the seam that every surface fulfils.

A surface is a module of pure functions by these names. Its near side is the caller's JSON, its far side a request
(`proxy.wire.ask`) and the neutral form (`proxy.wire.neutral`). It knows no dialect, as no dialect knows a surface. See
docs/adr/0011 and 0027.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from proxy.wire.ask import Ask
from proxy.wire.errors import ProxyError
from proxy.wire.neutral import Piece, Prompt


class Knobs(NamedTuple):
    """The settings of a request that not every model takes, in the neutral form's words; cheap to read."""

    temperature: float | None = None
    top_p: float | None = None
    effort: str | None = None
    choice: bool = False
    """Whether a tool must be called."""
    parallel: bool = True
    """Whether several tools may be called at once."""
    shape: Literal["text", "object", "schema"] = "text"
    """What the answer must be: JSON of no particular schema, or of one."""
    tools: bool = False
    """Whether there are tools."""


class Writer(Protocol):
    """A surface's way to write pieces as the events of one stream."""

    def write(self, piece: Piece) -> bytes:
        """Return a piece as bytes."""

    def end(self) -> bytes:
        """Return the end of a whole stream, which the exchange sends once its books are closed."""

    def fault(self, error: ProxyError) -> bytes:
        """Return the event that says that the stream breaks off here."""


class Surface(Protocol):
    """One API."""

    NAME: str

    def read(self, body: bytes) -> Ask:
        """Read a request; raises `Malformed`, with `param` naming the field."""

    def error_body(self, error: ProxyError) -> dict[str, Any]:
        """Return an error in this API's shape."""


class Conversation(Surface, Protocol):
    """One whose requests are prompts and whose answers are pieces. Fulfilled by a module: see `surfaces.chat`."""

    NAMES: Mapping[str, str]
    """What this API calls those of `Knobs`, and what dialects and refusals name, that it has other names for."""

    def knobs(self, ask: Any) -> Knobs:
        """Return the settings that not every model takes."""

    def schema(self, ask: Any) -> Mapping[str, Any] | None:
        """Return the JSON schema that the answer must keep to; None where there is none."""

    def unheld(self, ask: Any) -> str | None:
        """Name a field that the neutral form has no word for; cheap enough for every candidate of every route."""

    def prompt(self, ask: Any) -> Prompt:
        """Return the neutral form; raises `Malformed`, with `param` naming what it has no word for."""

    def answer(self, pieces: Iterable[Piece], ask: Any, at_s: int) -> bytes:
        """Return a whole answer, made at a moment in unix seconds."""

    def writer(self, ask: Any, at_s: int) -> Writer:
        """Return what writes the answer as a stream that began at a moment in unix seconds."""
