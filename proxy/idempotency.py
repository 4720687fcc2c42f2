"""Idempotency keys, on the worker's side: a request that comes twice with one key is answered once and charged once.

The claim is made at the keeper, so it holds across workers; a request without the header pays nothing for it. Terms as
Stripe's users know them: the same key and request get the stored answer, another request 422, one still running 409.
Only an exchange that answered keeps its key: what was refused, or broken off by a provider, cost nothing and may run
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

import orjson

from proxy.admission import KeeperAway, Ticket
from proxy.wire.ask import Ask
from proxy.wire.errors import AnswerUnavailable, KeyInUse, KeyReused, Malformed, Unavailable
from proxy.wire.headers import Headers

HEADER = b"idempotency-key"
KEY_CHARS_MAX = 255
"""As at Stripe; a UUID, which is what most send, has 36."""
REPLAYED = (b"idempotent-replayed", b"true")
"""Stripe's mark of an answer that was given before."""
_OF_THE_FIRST = frozenset({b"x-penstock-cost-usd", b"x-penstock-overhead-ms", b"x-penstock-credits-remaining"})
"""Headers that are not kept: seen by some keys only, or true of one moment only."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key as it is known beyond the request: digests, the customer whose key it is, the exchange that wants it."""

    customer: int
    key: str
    request: str
    x: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer that was given before."""

    headers: Headers
    body: bytes


class Registry(Protocol):
    """The keeper, where claims are made. Each method may raise `KeeperAway`."""

    async def claim(self, claim: Claim) -> dict[str, Any]:
        """Return the keeper's verdict on a claim."""
        ...

    async def answered(self, claim: Claim, content: bytes | None) -> None:
        """The exchange answered, and this is its answer; None when it cannot be kept."""
        ...

    async def released(self, claim: Claim) -> None:
        """The exchange did not answer: its key is free."""
        ...

    def note(self, claim: Claim, *, is_answered: bool) -> None:
        """Either of the two, without waiting for the keeper's word."""
        ...


def read(headers: Mapping[bytes, bytes], ask: Ask, ticket: Ticket) -> Claim | None:
    """Return the claim that a request makes; None when it sends no key.

    Raises:
        Malformed: the key is empty, too long, or has a character that is not printable ASCII.
    """
    key = headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_CHARS_MAX or not all(0x20 <= each <= 0x7E for each in key):
        raise Malformed(f"`idempotency-key` must be 1 to {KEY_CHARS_MAX} printable ASCII characters.",
                        param="idempotency-key")  # fmt: skip
    # Compared by value, as Stripe does: a retry from elsewhere may order or space its JSON differently.
    body = orjson.dumps(ask.fields, option=orjson.OPT_SORT_KEYS)
    how = headers.get(b"x-penstock-tier", b"")[:64]
    request = blake2b(body, digest_size=16, key=how, person=_person(ask))
    # The customer is in the digest too: equal keys of two customers do not look alike in the journals.
    digest = blake2b(key, digest_size=16, key=b"%d" % ticket.customer)
    return Claim(ticket.customer, digest.hexdigest(), request.hexdigest(), ticket.x)


def _person(ask: Ask) -> bytes:
    """Return what keeps the same fields of two APIs apart; what was chat's before there were others stays so."""
    return b"" if ask.surface == "chat" else ask.surface.encode()


async def take(keeper: Registry, claim: Claim) -> Stored | None:
    """Claim a key; None: go ahead. The answer that was given before, if it still is there.

    Raises:
        KeyInUse, KeyReused, AnswerUnavailable: the claim is refused.
        Unavailable: no word from the keeper. Nothing runs without one: it might run twice.
    """
    try:
        verdict = await keeper.claim(claim)
    except BaseException as error:
        # The keeper may have said yes to nobody.
        keeper.note(claim, is_answered=False)
        if isinstance(error, KeeperAway):
            raise Unavailable("The idempotency key cannot be checked right now.") from None
        raise
    return _decided(verdict)


def _decided(verdict: dict[str, Any]) -> Stored | None:
    said = verdict["verdict"]
    if said == "run":
        return None
    if said == "replayed":
        content = verdict["content"]
        found = [(name.encode(), value.encode()) for name, value in content["headers"]]
        return Stored([*found, REPLAYED], content["body"].encode())
    if said == "reused":
        raise KeyReused("This idempotency key was used for another request.", param="idempotency-key")
    if said == "in_use":
        raise KeyInUse("A request with this idempotency key is still running.", param="idempotency-key")
    gone = AnswerUnavailable(
        f"The request with this idempotency key was answered and charged as {verdict['x']}; its answer is not kept.",
        param="idempotency-key",
    )
    gone.exchange = verdict["x"]
    raise gone


class Tape:
    """Keeps an answer as it goes by, up to a size, and tells the keeper how its exchange ended."""

    __slots__ = ("_bytes_left", "_claim", "_headers", "_is_ended", "_keeper", "_parts")

    def __init__(self, keeper: Registry, claim: Claim, bytes_max: int) -> None:
        self._keeper, self._claim, self._bytes_left = keeper, claim, bytes_max
        self._headers: list[tuple[str, str]] = []
        self._parts: list[bytes] = []
        self._is_ended = False

    def begin(self, headers: Headers) -> None:
        """Keep an answer's headers."""
        self._headers = [(name.decode(), value.decode()) for name, value in headers if name not in _OF_THE_FIRST]

    def add(self, part: bytes) -> None:
        """Keep a part, unless the answer has become too long: then none of it is kept."""
        self._bytes_left -= len(part)
        if self._bytes_left >= 0:
            self._parts.append(part)
        else:
            self._parts.clear()

    async def end(self, ticket: Ticket, *, is_whole: bool = True) -> None:
        """Tell the keeper before the caller has the last byte, so that who asks again finds the answer."""
        content = self._content() if is_whole and self._parts and self._bytes_left >= 0 else None
        self._is_ended = True
        with suppress(KeeperAway):
            if ticket.is_answered:
                await self._keeper.answered(self._claim, content)
            elif not ticket.is_open:
                await self._keeper.released(self._claim)

    def drop(self, ticket: Ticket) -> None:
        """Tell the keeper how the exchange ended when it ended otherwise; what is open it finds when we are gone."""
        if not self._is_ended and not ticket.is_open:
            self._keeper.note(self._claim, is_answered=ticket.is_answered)

    def _content(self) -> bytes | None:
        try:
            body = b"".join(self._parts).decode()
        except UnicodeDecodeError:
            return None
        return orjson.dumps({"headers": self._headers, "body": body})
