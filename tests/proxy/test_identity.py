"""Keys and principals."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import identity
from proxy.identity import Identity, Principal
from proxy.wire.errors import Forbidden, Malformed, Unauthenticated


def tables(scopes: list[str] | None = None) -> tuple[Identity, str]:
    """Tables with the customers acme and globex, and a key of acme's."""
    found = Identity()
    found.put_customer(1, "acme", "starter")
    found.put_customer(2, "globex", "pro")
    id_, key, digest = identity.new_key()
    found.put_key(id_, digest, 1, ["serve"] if scopes is None else scopes)
    return found, key


def bearer(key: str) -> dict[bytes, bytes]:
    """The header that every SDK sends."""
    return {b"authorization": f"Bearer {key}".encode()}


def test_a_key_leads_to_its_customer() -> None:
    """With its plan and scopes; the key itself is not in the principal."""
    found, key = tables(["serve", "see-cost"])

    principal = found.authenticate(bearer(key))

    assert (principal.customer, principal.name, principal.plan) == (1, "acme", "starter")
    assert principal.scopes == {"serve", "see-cost"}
    assert key not in repr(principal)
    assert key not in repr(vars(found))


def test_every_new_key_is_another() -> None:
    """Ours by its beginning, named by its id, stored as its digest."""
    id_, key, digest = identity.new_key()
    other = identity.new_key()

    assert key.startswith(f"sk-penstock-{id_}-")
    assert len(key) > len(f"sk-penstock-{id_}-") + 256 / 6
    assert digest == sha256(key.encode()).hexdigest()
    assert {id_, key, digest}.isdisjoint(other)


def test_the_ways_to_present_a_key() -> None:
    """OpenAI's header in any case of its scheme, and Anthropic's."""
    found, key = tables()

    for headers in (
        bearer(key),
        {b"authorization": f"bearer  {key} ".encode()},
        {b"authorization": f"BEARER {key}".encode()},
        {b"x-api-key": key.encode()},
    ):
        assert found.authenticate(headers).customer == 1


def test_what_is_no_key() -> None:
    """Nothing, another scheme, a part, the digest, or a good key in the second header behind a bad first one."""
    found, key = tables()

    for headers in (
        {},
        {b"authorization": b""},
        {b"authorization": key.encode()},
        {b"authorization": f"Basic {key}".encode()},
        bearer(key[:-1]),
        bearer(key + "x"),
        bearer(identity.digest(key.encode())),
        {b"x-api-key": b""},
        {b"authorization": b"Bearer nonsense", b"x-api-key": key.encode()},
    ):
        with pytest.raises(Unauthenticated) as raised:
            found.authenticate(headers)
        assert key not in raised.value.message


def test_a_revoked_key_looks_unknown() -> None:
    """The next request is refused with the same words; revoking again does nothing."""
    found, key = tables()
    with pytest.raises(Unauthenticated) as unknown:
        found.authenticate(bearer("sk-penstock-never"))

    id_ = found.authenticate(bearer(key)).key
    found.drop_key(id_)
    found.drop_key(id_)

    with pytest.raises(Unauthenticated) as revoked:
        found.authenticate(bearer(key))
    assert revoked.value.message == unknown.value.message


def test_a_key_without_the_scope_serves_nothing() -> None:
    """An outcomes key is live, and not for this."""
    found, key = tables(["outcomes"])

    with pytest.raises(Forbidden, match="serve"):
        found.authenticate(bearer(key))


def test_a_customer_that_moves_takes_its_keys_along() -> None:
    """The next request is on the new plan; other customers stay where they are."""
    found, key = tables()
    other_id, other_key, digest = identity.new_key()
    found.put_key(other_id, digest, 2, ["serve"])

    found.put_customer(1, "acme", "pro")

    assert found.authenticate(bearer(key)).plan == "pro"
    assert found.authenticate(bearer(other_key)).plan == "pro"
    found.drop_key(found.authenticate(bearer(key)).key)
    found.put_customer(1, "acme", "open")
    assert found.authenticate(bearer(other_key)).plan == "pro"


def test_naming_another_customer_needs_the_scope() -> None:
    """Oneself one may always name."""
    found, key = tables()
    principal = found.authenticate(bearer(key))

    assert found.attributed(principal, "acme") is principal
    for name in ("globex", "unheard-of"):
        with pytest.raises(Forbidden, match="attribute"):
            found.attributed(principal, name)


def test_an_attributing_key_acts_for_the_customer_named() -> None:
    """Number, name and plan are the other's; key and scopes stay."""
    found, key = tables(["serve", "attribute"])
    principal = found.authenticate(bearer(key))

    acting = found.attributed(principal, "globex")

    assert acting == Principal(principal.key, 2, "globex", "pro", principal.scopes)
    assert found.attributed(principal, "unheard-of") is None


@pytest.mark.parametrize(
    ("value", "name"),
    [(None, None), (b"acme", "acme"), (b"  acme ", "acme"), ("Müller".encode(), "Müller"), (b"a" * 128, "a" * 128)],
)
def test_a_customer_named_in_a_header(value: bytes | None, name: str | None) -> None:
    """Printable text in UTF-8, spaces around it cut."""
    headers = {} if value is None else {b"x-penstock-customer": value}

    assert identity.customer_name(headers) == name


@pytest.mark.parametrize(
    "value", [b"", b"   ", b"a" * 129, b"a\tb", b"a\x00b", "a\u200bb".encode(), "a\u2028b".encode()]
)
def test_what_cannot_name_a_customer(value: bytes) -> None:
    """Nothing, too much, or what nobody can see."""
    with pytest.raises(Malformed) as raised:
        identity.customer_name({b"x-penstock-customer": value})

    assert raised.value.param == "x-penstock-customer"


def test_two_names_in_another_encoding_are_not_one_customer() -> None:
    """Latin-1 is what some clients send: Müller and Möller must not share a bill."""
    names = set()
    for name in ("Müller", "Möller"):
        try:
            names.add(identity.customer_name({b"x-penstock-customer": name.encode("latin-1")}))
        except Malformed:
            names.add(f"{name} refused")

    assert len(names) == 2


@given(st.binary(max_size=300))
def test_any_header_names_or_is_refused(value: bytes) -> None:
    """Bytes of any kind give a name that can be one, or `Malformed`."""
    try:
        name = identity.customer_name({b"x-penstock-customer": value})
    except Malformed:
        return
    assert name is not None
    assert identity.is_name(name)
    assert name == name.strip()
