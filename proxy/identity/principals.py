"""Principals: whose request it is, by its key.

A presented key is digested in the first function that sees it; nothing after that can log or store it. Unknown and
revoked keys look alike. The tables are filled and changed by the keeper; a lookup is two dict reads.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from proxy.identity.addresses import Networks
from proxy.identity.keys import presented
from proxy.identity.terms import SURFACES, KeyTerms
from proxy.wire.errors import Forbidden, Malformed, Unauthenticated

_SCOPE_OF: dict[str, str] = {**dict.fromkeys(SURFACES, "serve"), "admin": "admin", "tasks": "outcomes"}

NAME_MAX = 128
"""Characters of a customer's name in a header."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose request it is. `customer` is our opaque number; the name is for headers and people.

    `terms` is None for a key that is bound by nothing but its scopes.
    """

    key: str
    customer: int
    name: str
    plan: str
    scopes: frozenset[str]
    terms: KeyTerms | None = None


class Identity:
    """The worker's tables of keys and customers."""

    def __init__(self) -> None:
        self._keys: dict[bytes, Principal] = {}
        self._digest_of: dict[str, bytes] = {}
        self._keys_of: dict[int, set[bytes]] = {}
        self._customers: dict[str, tuple[int, str]] = {}
        self._names: dict[int, str] = {}
        self.member_secret = token_bytes(32)
        """What members' names are digested with; the keeper says one that all workers share."""

    def put_customer(self, number: int, name: str, plan: str) -> None:
        """Learn of a customer, or of its new plan."""
        self._customers[name] = (number, plan)
        self._names[number] = name
        for found in self._keys_of.get(number, ()):
            self._keys[found] = replace(self._keys[found], plan=plan)

    def put_key(
        self, id_: str, digest_hex: str, customer: int, scopes: list[str], terms: Mapping[str, Any] | None = None
    ) -> None:
        """Learn of a key, or of what changed about it; its customer is known by now."""
        name = self._names[customer]
        plan = self._customers[name][1]
        found = bytes.fromhex(digest_hex)
        self._digest_of[id_] = found
        self._keys_of.setdefault(customer, set()).add(found)
        read = KeyTerms.read({} if terms is None else terms)
        self._keys[found] = Principal(id_, customer, name, plan, frozenset(scopes), read)

    def number(self, customer: str | None) -> int | None:
        """Return a customer's number; None of one that is not known here yet."""
        found = None if customer is None else self._customers.get(customer)
        return None if found is None else found[0]

    def drop_key(self, id_: str) -> None:
        """Forget a revoked key: the next request with it is refused."""
        found = self._digest_of.pop(id_, None)
        if found is not None:
            self._keys_of[self._keys.pop(found).customer].discard(found)

    def is_live(self, id_: str, t: int) -> bool:
        """Tell whether a key is neither revoked nor, by `t`, expired."""
        found = self._digest_of.get(id_)
        if found is None:
            return False
        terms = self._keys[found].terms
        return terms is None or not terms.has_expired(t)

    def authenticate(
        self,
        headers: Mapping[bytes, bytes],
        surface: str = "chat",
        peer: str | None = None,
        trusted: Networks = (),
    ) -> Principal:
        """Return the principal of the presented key.

        Args:
            headers: The request's.
            surface: What is asked for.
            peer: The other end of the connection.
            trusted: The proxies whose word is taken for where a request comes from.

        Raises:
            Unauthenticated: no key, or not a live one.
            Forbidden: a live key that may not be used for this, or from there.
        """
        principal = self._keys.get(sha256(presented(headers)).digest())
        if principal is None:
            raise Unauthenticated("The API key is missing, unknown or revoked.")
        if principal.terms is not None:
            principal.terms.check(surface, time.time_ns(), peer, headers, trusted)
        scope = _SCOPE_OF[surface]
        if scope not in principal.scopes:
            raise Forbidden(f"This key does not have the scope `{scope}`.")
        return principal

    def attributed(self, principal: Principal, name: str) -> Principal | None:
        """Return the principal acting for the customer `name`; None when that customer is not known here yet.

        Raises:
            Forbidden: the key may not attribute to others.
        """
        if name == principal.name:
            return principal
        if "attribute" not in principal.scopes:
            raise Forbidden("Naming another customer needs a key with the scope `attribute`.")
        found = self._customers.get(name)
        if found is None:
            return None
        return replace(principal, customer=found[0], name=name, plan=found[1])


def customer_name(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the customer a request names in its header, or None.

    Raises:
        Malformed: the name is empty, too long or not printable.
    """
    value = headers.get(b"x-penstock-customer")
    if value is None:
        return None
    # What is not UTF-8 becomes surrogates, which are not printable: two names must never become one.
    name = value.decode("utf-8", "surrogateescape").strip()
    if not is_name(name):
        where = "x-penstock-customer"
        raise Malformed(f"`{where}` must be 1 to {NAME_MAX} printable characters.", param=where)
    return name


def is_name(name: str) -> bool:
    """Tell whether a text can name a customer."""
    return 0 < len(name) <= NAME_MAX and name.isprintable()
