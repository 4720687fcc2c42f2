"""What a key allows beyond its scopes. Most keys have none of it, and then nothing here is run for their requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Literal, get_args

from proxy.identity.addresses import Networks, client_of, is_within
from proxy.settings import Terms, Tier
from proxy.wire.errors import Forbidden, Unauthenticated

Surface = Literal[
    "chat", "messages", "responses", "completions", "embeddings", "models", "usage", "feedback", "admin", "tasks"
]
SURFACES: tuple[Surface, ...] = get_args(Surface)
"""What a key may be used for; each is one endpoint or one family of them."""


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """The bounds of one key; None is no bound.

    Args:
        expires_t: From this moment on, in nanoseconds since 1970 UTC, the key is good for nothing.
        models: Our names of the models that may be called, by name or by `auto`.
        tiers: The tiers that may serve.
        surfaces: The endpoints that may be used.
        ips: The networks that requests may come from.
        limits: What the key may use at most, where it says more than the defaults.
        paused: Whether it serves nothing until it is resumed.
    """

    expires_t: int | None = None
    models: frozenset[str] | None = None
    tiers: frozenset[Tier] | None = None
    surfaces: frozenset[str] | None = None
    ips: Networks | None = None
    limits: Terms | None = None
    paused: bool = False

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> KeyTerms | None:
        """Return the terms that a key's records state; None when they state none."""
        found = {name: reader(written[name]) for name, reader in _READERS.items() if written.get(name) is not None}
        limits = Terms.read(written)
        return cls(**found, limits=limits) if found or limits is not None else None

    def check(self, surface: str, t: int, peer: str | None, headers: Mapping[bytes, bytes], trusted: Networks) -> None:
        """Let a request pass.

        Raises:
            Unauthenticated: the key has expired.
            Forbidden: it is paused, or may not be used here, or from there.
        """
        if self.has_expired(t):
            raise Unauthenticated("The API key has expired.")
        if self.paused:
            raise Forbidden("This key is paused.", code="key_paused")
        if self.surfaces is not None and surface not in self.surfaces:
            allowed = ", ".join(sorted(self.surfaces))
            raise Forbidden(f"This key may not be used for {surface}; it may be used for: {allowed}.")
        if self.ips is not None:
            address = client_of(peer, headers, trusted)
            if address is None or not is_within(address, self.ips):
                raise Forbidden("This key may not be used from this address.", code="address_not_allowed")

    def has_expired(self, t: int) -> bool:
        """Tell whether the key has ended by `t`."""
        return self.expires_t is not None and self.expires_t <= t


def _networks(written: list[str]) -> Networks:
    return tuple(ip_network(each) for each in written)


_READERS: dict[str, Callable[[Any], Any]] = {
    "expires_t": int,
    "models": frozenset,
    "tiers": frozenset,
    "surfaces": frozenset,
    "ips": _networks,
    "paused": bool,
}
"""How each term is read from a record, where it is plain JSON. A name that is not here is of a later version."""
