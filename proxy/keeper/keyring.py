"""Keys as the keeper makes, changes and ends them. A key itself is known only to the function that makes it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from margin import records
from margin.ledger.state import Key
from proxy.identity import digest
from proxy.identity.keys import new_id, secret_of
from proxy.keeper.office import Office, UnknownName, key_change

Terms = Mapping[str, Any]
"""What a key allows beyond its scopes, as its records state it; see `proxy.identity.KeyTerms`."""
Metadata = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wish:
    """A key that is to be: whose, and what it allows."""

    customer: str
    scopes: Sequence[str]
    terms: Terms = field(default_factory=dict)
    metadata: Metadata = field(default_factory=dict)
    digest: str = ""
    """Of a key that is there already, at another gateway or in another folder."""


def create(office: Office, wish: Wish, *, id_: str | None = None) -> tuple[Key, str]:
    """Make a key; return it, and the text that its customer sends."""
    number = office.open_customer(wish.customer)
    id_ = new_id() if id_ is None else id_
    secret = secret_of(id_)
    _note(office, id_, wish.metadata)
    office.act(
        records.key(
            t=time.time_ns(), id=id_, digest=digest(secret.encode()), customer=number, scopes=list(wish.scopes),
            terms=dict(wish.terms),
        )
    )  # fmt: skip
    return _told(office, id_), secret


def adopt(office: Office, wishes: Sequence[Wish]) -> list[Key]:
    """Take keys over by their digests, all or none."""
    office.open_customers(wish.customer for wish in wishes)
    t, ids = time.time_ns(), [new_id() for _ in wishes]
    made = [
        records.key(
            t=t, id=id_, digest=wish.digest, customer=office.number(wish.customer), scopes=list(wish.scopes),
            terms=dict(wish.terms),
        )
        for id_, wish in zip(ids, wishes, strict=True)
    ]  # fmt: skip
    office.directory.note({id_: wish.metadata for id_, wish in zip(ids, wishes, strict=True) if wish.metadata})
    office.act(records.keys_imported(t=t, keys=made))
    return [_told(office, id_) for id_ in ids]


def change(office: Office, key: Key, after: Mapping[str, Any], metadata: Metadata | None = None) -> Key:
    """Change what a key allows; `after` holds `scopes` or terms, None for one that is to bind nothing."""
    diff = _difference(key, after)
    if metadata is not None and metadata != office.directory.metadata(key.id):
        office.directory.note({key.id: metadata})
        diff.append(["metadata", None, None])
    if diff:
        office.act(records.key_changed(t=time.time_ns(), id=key.id, diff=diff))
    return _told(office, key.id)


def rotate(
    office: Office, old: Key, overlap_ns: int, expires_t: int | None, *, id_: str | None = None
) -> tuple[Key, str]:
    """Make a key like another, which ends after the overlap; return the new one, and the text to send.

    `expires_t` is when the new one ends; None for when the old one would have, or never.
    """
    t, id_ = time.time_ns(), new_id() if id_ is None else id_
    secret = secret_of(id_)
    _note(office, id_, office.directory.metadata(old.id))
    terms = dict(old.terms) if expires_t is None else {**old.terms, "expires_t": expires_t}
    made = records.key(
        t=t, id=id_, digest=digest(secret.encode()), customer=old.customer, scopes=list(old.scopes),
        terms=terms, replaces=old.id,
    )  # fmt: skip
    ends_t = min(t + overlap_ns, old.terms.get("expires_t", t + overlap_ns))
    office.act(made, records.key_changed(t=t, id=old.id, diff=_difference(old, {"expires_t": ends_t})))
    _told(office, old.id)
    return _told(office, id_), secret


def revoke(office: Office, id_: str) -> None:
    """End a key.

    Raises:
        UnknownName: there is no live key of that id.
    """
    live(office, id_)
    office.act(records.key_revoked(t=time.time_ns(), id=id_))
    office.tell({"revoked": id_})


def live(office: Office, id_: str) -> Key:
    """Return a key that is not revoked.

    Raises:
        UnknownName: there is none of that id.
    """
    found = office.books.state.keys.get(id_)
    if found is None or found.revoked_t is not None:
        raise UnknownName(f'there is no live key "{id_}"')
    return found


def id_of(office: Office, secret: str) -> str | None:
    """Return a live key's id; None when it is none."""
    wanted = digest(secret.encode())
    keys = office.books.state.keys.values()
    return next((each.id for each in keys if each.digest == wanted and each.revoked_t is None), None)


def _difference(key: Key, after: Mapping[str, Any]) -> list[list[Any]]:
    before = {**key.terms, "scopes": list(key.scopes)}
    return [[name, before.get(name), value] for name, value in after.items() if before.get(name) != value]


def _note(office: Office, id_: str, metadata: Metadata) -> None:
    # Before the key itself: a crash in between leaves a note about nothing, never a key without its note.
    office.directory.note({id_: metadata} if metadata else {})


def _told(office: Office, id_: str) -> Key:
    """Have workers told of a key as it is now."""
    key = office.books.state.keys[id_]
    office.tell(key_change(key))
    return key
