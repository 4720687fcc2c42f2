"""What the exchange asks of a provider family: the seam that every dialect fulfils.

A dialect is a module (or a package) of pure functions by these names: bytes and values in, bytes and values out, no
socket, no clock, no state but a stream's own. Everything about a provider's wire format is on its far side; on the near
side are the caller's request, the caller's bytes, and what the books need: usage and the provider's id of the call.

Where provider and caller speak the same format the bytes of an answer pass untouched and only what the books need is
read from them. Where they do not, a dialect goes through the neutral form (`proxy.wire.neutral`), so that surfaces and
dialects are translated once each and not pair by pair. See docs/adr/0011.
"""

from __future__ import annotations

from typing import Protocol

from margin.usage import Usage
from proxy.settings import Deployment
from proxy.wire.chat import ChatRequest
from proxy.wire.errors import ProxyError

Answered = tuple[str | None, Usage | None, bytes]
"""A plain answer: the provider's id of the call, what it used (None when it did not say), the caller's bytes."""


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
    def deltas(self) -> int:
        """Pieces of text relayed: providers send about one token in each."""

    @property
    def output_estimate(self) -> int:
        """About how many tokens were relayed, for when the provider never says."""

    def feed(self, data: bytes) -> bytes:
        """Return what may go to the caller of what just arrived.

        The caller's own end (`[DONE]`) and its error event are never in it: the exchange sends those, after settling.

        Raises:
            EventTooLarge: an event is beyond what we hold.
        """


class Dialect(Protocol):
    """One wire format. Fulfilled by a module: see `proxy.upstream.dialects.openai`."""

    def request_path(self, deployment: Deployment, *, stream: bool) -> str:
        """Return what is appended to a provider's base URL for a chat: asked once for each deployment and way."""

    def request_headers(self, api_key: str | None) -> list[tuple[bytes, bytes]]:
        """Return the headers of every call. Nothing of the caller's headers goes upstream."""

    def uncarried(self, ask: ChatRequest, deployment: Deployment) -> str | None:
        """Name the field of a request that this format has no word for, or the model none; None when all is carried.

        A look at the fields alone, cheap enough for every candidate of every route; `request_body` looks closer.
        """

    def request_body(self, ask: ChatRequest, deployment: Deployment) -> bytes:
        """Return the body of the call.

        Raises:
            Malformed: with `param` naming what cannot be said in this format.
        """

    def read_answer(self, body: bytes, at_s: int) -> Answered:
        """Read a plain answer that arrived at a moment in unix seconds. Usage that contradicts itself counts as none.

        Raises:
            UpstreamBroke: it is no answer.
        """

    def read_error(self, status: int, body: bytes, retry_after: bytes | None) -> ProxyError:
        """Return our error for a provider's refusal, mapped field by field; only what its format names is passed on."""

    def stream(self, ask: ChatRequest, at_s: int) -> Stream:
        """Return what reads the stream of an answer that began at a moment in unix seconds."""
