"""Keys and principals: who is asking, on which plan, and what the key allows.

A presented key is digested in the first function that sees it; nothing after that can log or store it. Unknown and
revoked keys look alike. The tables are filled and changed by the keeper; a lookup is two dict reads.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from proxy.wire.errors import Forbidden, Malformed, Unauthenticated

KEY_PREFIX = "sk-penstock-"
SCOPES = ("serve", "attribute", "outcomes", "costs", "see-cost", "admin")
NAME_MAX = 128
"""Characters of a customer's name in a header."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose request it is. `customer` is our opaque number; the name is for headers and people."""

    key: str
    customer: int
    name: str
    plan: str
    scopes: frozenset[str]


def new_key() -> tuple[str, str, str]:
    """Return a fresh key as (id, the key itself, digest). 256 random bits: a plain digest cannot be searched."""
    id_ = secrets.token_hex(6)
    key = f"{KEY_PREFIX}{id_}-{secrets.token_urlsafe(32)}"
    return id_, key, digest(key.encode())


def digest(key: bytes) -> str:
    """Return what is stored of a key."""
    return sha256(key).hexdigest()


class Identity:
    """The worker's tables of keys and customers."""

    def __init__(self) -> None:
        self._keys: dict[bytes, Principal] = {}
        self._digest_of: dict[str, bytes] = {}
        self._customers: dict[str, tuple[int, str]] = {}
        self._names: dict[int, str] = {}

    def put_customer(self, number: int, name: str, plan: str) -> None:
        """Learn of a customer, or of its new plan."""
        self._customers[name] = (number, plan)
        self._names[number] = name
        for found, principal in self._keys.items():
            if principal.customer == number:
                self._keys[found] = replace(principal, plan=plan)

    def put_key(self, id_: str, digest_hex: str, customer: int, scopes: list[str]) -> None:
        """Learn of a key; its customer is known by now."""
        name = self._names[customer]
        plan = self._customers[name][1]
        found = bytes.fromhex(digest_hex)
        self._digest_of[id_] = found
        self._keys[found] = Principal(id_, customer, name, plan, frozenset(scopes))

    def drop_key(self, id_: str) -> None:
        """Forget a revoked key: the next request with it is refused."""
        found = self._digest_of.pop(id_, None)
        if found is not None:
            self._keys.pop(found, None)

    def authenticate(self, headers: Mapping[bytes, bytes]) -> Principal:
        """Return the principal of the presented key.

        Raises:
            Unauthenticated: no key, or not a live one.
            Forbidden: a live key that may not serve requests.
        """
        principal = self._keys.get(sha256(_presented(headers)).digest())
        if principal is None:
            raise Unauthenticated("The API key is missing, unknown or revoked.")
        if "serve" not in principal.scopes:
            raise Forbidden("This key does not have the scope `serve`.")
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


def _presented(headers: Mapping[bytes, bytes]) -> bytes:
    # One function for every header that can carry a key, so that no header is a second door.
    bearer = headers.get(b"authorization")
    if bearer is not None:
        scheme, _, key = bearer.partition(b" ")
        return key.strip() if scheme.lower() == b"bearer" else b""
    return headers.get(b"x-api-key", b"")
