"""What a command may ask about keys: make, list, change, rotate, revoke, import."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from margin.ledger.state import Key
from margin.money import NUSD_PER_USD
from proxy.keeper import keyring
from proxy.keeper.key_terms import (
    check_terms,
    merged_metadata,
    read_metadata,
    read_moment,
    read_overlap_ns,
    read_scopes,
    read_terms,
)
from proxy.keeper.keyring import Wish
from proxy.keeper.office import Office
from proxy.keeper.refusing import Args, Lacks, Refused
from proxy.keeper.words import check_name, iso
from proxy.settings import RATES, units

IMPORTED_MAX = 10_000
"""Keys in one import: some three megabytes in one record of the journal."""
MISTAKES_MAX = 50
"""Lines of an import that a refusal names."""
DIGEST_CHARS = 64


def create(office: Office, args: Args) -> Any:
    """Create a key for a customer, who is opened on the default plan at first use."""
    wish = _wish(office, args)
    _check_team(office, Counter([wish.customer]))
    made, secret = keyring.create(office, wish, id_=args.get("name"))
    return _with_secret(office, made, secret)


def _wish(office: Office, args: Args) -> Wish:
    check_name(args["customer"])
    scopes = read_scopes(args["scopes"])
    terms = {name: value for name, value in read_terms(office.settings, args).items() if value is not None}
    check_terms(office.settings, terms)
    return Wish(args["customer"], scopes, terms, read_metadata(args.get("metadata")))


def _check_team(office: Office, more: Counter[str]) -> None:
    """Refuse keys beyond those that the customers' plans include. A rotated key counts once: its old one ends."""
    state, book, now = office.books.state, office.settings.sellbook, time.time_ns()
    for name, count in more.items():
        number = office.directory.number(name)
        customer = None if number is None else state.customers.get(number)
        plan = book.plans.get(book.default if customer is None else customer.plan, book.plan())
        most = None if plan.access is None else plan.access.keys_max
        if most is None:
            continue
        live = [key for key in state.keys.values() if customer is not None and key.customer == customer.number]
        live = [key for key in live if key.revoked_t is None and key.terms.get("expires_t", now + 1) > now]
        if len(live) + count > most:
            text = f"the plan {plan.name} includes {most} keys, and {name} has {len(live)}; revoke one, or move it"
            raise Lacks(text, "key", "customer")


def listed(office: Office, args: Args) -> Any:
    """List keys, without their secrets, oldest first: all, or those of one customer, or a part of them."""
    keys = sorted(office.books.state.keys.values(), key=lambda each: (each.created_t, each.id))
    if args.get("customer") is not None:
        number = office.number(args["customer"])
        keys = [key for key in keys if key.customer == number]
    if args.get("after") is not None:
        places = [place for place, key in enumerate(keys) if key.id == args["after"]]
        if not places:
            raise Refused(f'there is no key "{args["after"]}" to list on from', "after")
        keys = keys[places[0] + 1 :]
    return [_row(office, key) for key in keys[: args.get("limit")]]


def change(office: Office, args: Args) -> Any:
    """Change what a key allows; what is not stated stays as it is, null takes a bound away."""
    key = keyring.live(office, args["id"])
    after = read_terms(office.settings, args)
    if args.get("scopes") is not None:
        after["scopes"] = read_scopes(args["scopes"])
    merged = {**key.terms, **after}
    check_terms(office.settings, {name: value for name, value in merged.items() if value is not None})
    metadata = merged_metadata(office.directory.metadata(key.id), args["metadata"]) if "metadata" in args else None
    return _row(office, keyring.change(office, key, after, metadata))


def rotate(office: Office, args: Args) -> Any:
    """Make a new key like an old one, which goes on for the overlap."""
    old = keyring.live(office, args["id"])
    overlap_ns = read_overlap_ns(args["overlap"])
    expires_t = None if args.get("expires") is None else read_moment("expires", args["expires"])
    ended_t = old.terms.get("expires_t")
    if expires_t is None and ended_t is not None and ended_t <= time.time_ns():
        raise Refused(f"the key {old.id} has expired: say when the new one is to", "expires")
    made, secret = keyring.rotate(office, old, overlap_ns, expires_t, id_=args.get("name"))
    ends = office.books.state.keys[old.id].terms["expires_t"]
    return _with_secret(office, made, secret) | {"replaces": old.id, "old_expires": iso(ends)}


def revoke(office: Office, args: Args) -> Any:
    """Revoke a key by id; `again`: also one that is revoked, as whoever heard no answer asks again."""
    known = office.books.state.keys.get(args["id"])
    if not args.get("again") or known is None or known.revoked_t is None:
        keyring.revoke(office, args["id"])
    return {"id": args["id"], "revoked": True}


def import_(office: Office, args: Args) -> Any:
    """Take over keys of another gateway by their digests: all, or with any mistake none."""
    rows = args["keys"]
    if not rows or len(rows) > IMPORTED_MAX:
        raise Refused(f"an import must have 1 to {IMPORTED_MAX} keys")
    known = {key.digest: f"key {key.id}" for key in office.books.state.keys.values()}
    wishes, mistakes = [], []
    for row in rows:
        try:
            wishes.append(_imported(office, row, known))
        except Refused as error:
            mistakes.append(f"line {row['line']}: {error}")
    if mistakes:
        more = [f"and {len(mistakes) - MISTAKES_MAX} lines more"] if len(mistakes) > MISTAKES_MAX else []
        raise Refused("\n".join(["nothing was imported", *mistakes[:MISTAKES_MAX], *more]))
    _check_team(office, Counter(wish.customer for wish in wishes))
    made = keyring.adopt(office, wishes)
    return [_row(office, key) for key in made]


def _imported(office: Office, row: Args, known: dict[str, str]) -> Wish:
    wish = _wish(office, row)
    found = row["digest"]
    if len(found) != DIGEST_CHARS or not set(found) <= set("0123456789abcdef"):
        raise Refused("`digest` must be the SHA-256 of a key, in hex", "digest")
    if found in known:
        raise Refused(f"the key is there already ({known[found]})", "digest")
    known[found] = f"line {row['line']}"
    return Wish(wish.customer, wish.scopes, wish.terms, wish.metadata, found)


def _with_secret(office: Office, key: Key, secret: str) -> Args:
    row = _row(office, key)
    return {"key": secret, **{name: row[name] for name in row if name not in {"created", "revoked"}}}


def _budget(written: Sequence[Any]) -> str | Args:
    """Write a budget of a key as it may be asked for."""
    nusd, per, of, action = written
    limit = units.budget_text((Decimal(nusd) / NUSD_PER_USD, per))
    return limit if (of, action) == ("cost", "hard") else {"limit": limit, "of": of, "action": action}


def _row(office: Office, key: Key) -> Args:
    expires_t = key.terms.get("expires_t")
    return {
        "id": key.id, "customer": office.directory.name(key.customer), "scopes": list(key.scopes),
        "created": iso(key.created_t), "revoked": None if key.revoked_t is None else iso(key.revoked_t),
        "expires": None if expires_t is None else iso(expires_t),
        **{name: key.terms.get(name) for name in ("models", "tiers", "surfaces", "ips", *RATES)},
        "budget": [_budget(each) for each in key.terms.get("budgets", ())] or None,
        "paused": bool(key.terms.get("paused")),
        "metadata": office.directory.metadata(key.id),
    }  # fmt: skip
