"""What the exchange asks of a provider family: the seam that every dialect fulfils.

A dialect is a module (or a package) of pure functions by these names: bytes and values in, bytes and values out, no
socket, no clock, no state but a stream's own. Everything about a provider's wire format is on its far side; on the near
side are the caller's request, the caller's bytes, and what the books need: usage and the provider's id of the call.

Where provider and caller speak the same format (`Native`) the bytes of an answer pass untouched and only what the
books need is read from them. Where they do not, a dialect reads and writes the neutral form (`proxy.wire.neutral`), and
so does the caller's surface: they are translated once each and not pair by pair. `proxy.upstream.dialects` puts the two
together. See docs/adr/0011 and 0027.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from margin.usage import Usage
from proxy.settings import Deployment
from proxy.upstream.dialects.translated import Reader
from proxy.wire.errors import ProxyError
from proxy.wire.neutral import Piece, Prompt
from proxy.wire.surfaces import Knobs

Answered = tuple[str | None, Usage | None, bytes]
"""A plain answer: the provider's id of the call, what it used (None when it did not say), the caller's bytes."""

Part = tuple[bytes, int]
"""Of a prompt, after which a mark for the provider's cache may stand: its bytes, and about how many tokens."""
Lifetimes = Sequence[Literal["5m", "30m", "1h"] | None]


class Choose(Protocol):
    """Decides what a provider's cache is to be told of a prompt."""

    def __call__(self, parts: Sequence[Part], tokens_min: int, *, goes_on: bool) -> Lifetimes:
        """Say after which parts a mark is to stand.

        Told them, the shortest prefix that is kept, in tokens, and whether the conversation holds answers.
        """

    def key(self, head: bytes, talk: bytes) -> str:
        """Say by which key a prompt is to be found: of what many conversations share, and of what only this one has."""


Marked = Callable[[bytes, str, Choose], bytes | None]
"""Puts marks into the body of a call to a model; None where it stays as it is."""


class Stream(Protocol):
    """A provider's stream on its way to the caller: fed with bytes as they arrive, in whatever pieces."""

    @property
    def call_id(self) -> str | None:
        """The provider's id of the call, once it was seen."""

    @property
    def usage(self) -> Usage | None:
        """What the provider says was used, once it has."""

    @property
    def finished(self) -> bool:
        """Whether the provider's own end was seen: only then is the answer whole."""

    @property
    def error(self) -> bool:
        """Whether the provider reported an error inside the stream."""

    @property
    def failure(self) -> ProxyError | None:
        """Our error for the one it reported; None while it did not."""

    @property
    def deltas(self) -> int:
        """Pieces of text relayed: providers send about one token in each."""

    @property
    def output_estimate(self) -> int:
        """About how many tokens were relayed, for when the provider never says."""

    def feed(self, data: bytes) -> bytes:
        """Return what may go to the caller of what just arrived.

        The caller's own end and its error event are never in it: the exchange sends those, after settling.

        Raises:
            EventTooLarge: an event is beyond what we hold.
        """

    def end(self) -> bytes:
        """Return the caller's own end of a whole stream."""

    def fault(self, error: ProxyError) -> bytes:
        """Return the caller's own event that says that the stream breaks off here."""


class Native(Protocol):
    """How a dialect serves a surface without the neutral form.

    Mostly its own format: field for field, byte for byte. Embeddings, which no neutral form has, in whatever words.
    """

    def request_path(self, deployment: Deployment, *, stream: bool) -> str:
        """Return what is appended to a provider's base URL: asked once for each deployment and way."""

    def uncarried(self, ask: Any, deployment: Deployment) -> str | None:
        """Name a field that does not pass after all; None where each provider knows best what it takes."""

    def request_body(self, ask: Any, deployment: Deployment) -> bytes:
        """Return the body of the call; raises `Malformed`, with `param` naming what does not pass."""

    def read_answer(self, body: bytes, ask: Any) -> Answered:
        """Read a plain answer. Usage that contradicts itself counts as none.

        Raises:
            UpstreamBroke: it is no answer.
        """

    def stream(self, ask: Any) -> Stream:
        """Return what watches the stream of an answer; asked only where the request asks for one."""


class Dialect(Protocol):
    """One provider family. Fulfilled by a package: see `proxy.upstream.dialects.anthropic`."""

    NATIVE: Mapping[str, Native]
    """The surfaces that it serves so, by name."""
    CACHES_UNASKED: bool
    """Whether its providers keep prompts in their caches that nobody marked."""
    MARKED: Marked | None
    """Puts marks for the provider's cache into the body of a call; None where it wants none."""

    def request_headers(self, api_key: str | None) -> list[tuple[bytes, bytes]]:
        """Return the headers of every call. Nothing of the caller's headers goes upstream."""

    def read_error(self, status: int, body: bytes, retry_after: bytes | None) -> ProxyError:
        """Return our error for a provider's refusal, mapped field by field; only what its format names is passed on.

        `param` is chat's name of the field, or that of the surface which the format is native to.
        """

    # For callers who speak another format:

    def request_path(self, deployment: Deployment, *, stream: bool) -> str:
        """Return what is appended to a provider's base URL."""

    def unworded(self, knobs: Knobs, model: str) -> str | None:
        """Name the setting that a model takes no value of, or not this one; cheap enough for every candidate."""

    def written(self, prompt: Prompt, deployment: Deployment) -> bytes:
        """Return the body of the call.

        Raises:
            Malformed: with `param` naming what cannot be said in this format.
        """

    def read(self, answer: Any) -> list[Piece]:
        """Return the pieces of a plain answer, parsed from its JSON.

        Raises:
            UpstreamBroke: it is no answer.
        """

    def reader(self) -> Reader:
        """Return what reads the events of a streamed one."""
