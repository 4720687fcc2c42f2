"""What a key allows: until when, for what, from where."""

import time
from typing import Any

import pytest

from proxy import identity
from proxy.identity import Identity, KeyTerms
from proxy.identity.addresses import client_of
from proxy.settings import units
from proxy.wire.errors import Forbidden, Unauthenticated

HOUR_NS = 3600 * 10**9
NEAR, FAR = "10.1.2.3", "203.0.113.9"


def bound(*, scopes: str = "serve", **terms: Any) -> tuple[Identity, dict[bytes, bytes]]:
    """Tables with one key that is bound by these terms, and the header that presents it."""
    found = Identity()
    found.put_customer(1, "acme", "open")
    id_, key, digest = identity.new_key()
    found.put_key(id_, digest, 1, scopes.split(), terms)
    return found, {b"authorization": f"Bearer {key}".encode()}


def networks(*texts: str) -> Any:
    """Networks as a key's terms have them."""
    read = KeyTerms.read({"ips": list(texts)})
    assert read is not None
    return read.ips


def test_a_key_without_terms_has_none() -> None:
    """Nothing is asked of its requests, and names of a later version bind nothing here."""
    for terms in ({}, {"models": None}, {"of_a_later_version": 5}):
        found, headers = bound(**terms)
        assert found.authenticate(headers).terms is None


def test_a_key_ends_at_its_moment() -> None:
    """Up to there it is live; from there on every request is a 401 that says why."""
    now = time.time_ns()
    lasting, headers = bound(expires_t=now + HOUR_NS)
    assert lasting.authenticate(headers).customer == 1
    ended, headers = bound(expires_t=now)

    with pytest.raises(Unauthenticated, match="expired"):
        ended.authenticate(headers)


@pytest.mark.parametrize(("expires_t", "live_at", "dead_at"), [(100, 99, 100), (None, 10**18, None)])
def test_liveness_is_known_by_id(expires_t: int | None, live_at: int, dead_at: int | None) -> None:
    """What running streams ask now and then; a revoked key is not live, and one that was never there neither."""
    found, _ = bound(expires_t=expires_t)
    (id_,) = found._digest_of

    assert found.is_live(id_, live_at)
    assert dead_at is None or not found.is_live(id_, dead_at)
    assert not found.is_live("other", live_at)
    found.drop_key(id_)
    assert not found.is_live(id_, live_at)


def test_a_changed_key_is_bound_from_the_next_request_on() -> None:
    """Told of the same key again, the tables have its new terms and scopes."""
    found, headers = bound()
    ((id_, digest),) = found._digest_of.items()

    found.put_key(id_, digest.hex(), 1, ["serve", "see-cost"], {"models": ["gpt-6-luna"]})

    principal = found.authenticate(headers)
    assert principal.scopes == {"serve", "see-cost"}
    assert principal.terms == KeyTerms(models=frozenset({"gpt-6-luna"}))


def test_surfaces() -> None:
    """What is not listed is refused, and the list is said."""
    found, headers = bound(surfaces=["chat", "usage"])

    assert found.authenticate(headers, "chat").customer == 1
    assert found.authenticate(headers, "usage").customer == 1
    with pytest.raises(Forbidden, match="not be used for models; it may be used for: chat, usage"):
        found.authenticate(headers, "models")


@pytest.mark.parametrize(("scopes", "surface", "needs"), [("serve", "admin", "admin"), ("admin", "chat", "serve")])
def test_each_surface_has_its_scope(scopes: str, surface: Any, needs: str) -> None:
    """A serving key administers nothing, and the other way round."""
    found, headers = bound(scopes=scopes)

    with pytest.raises(Forbidden, match=f"`{needs}`"):
        found.authenticate(headers, surface)


@pytest.mark.parametrize(
    ("ips", "peer", "is_in"),
    [
        (["10.0.0.0/8"], NEAR, True),
        (["10.0.0.0/8"], FAR, False),
        (["10.0.0.0/8", "203.0.113.9"], FAR, True),
        (["2001:db8::/32"], "2001:db8::7", True),
        (["2001:db8::/32"], "2001:db9::7", False),
        (["2001:db8::/32"], NEAR, False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["0.0.0.0/0", "::/0"], None, False),
        (["0.0.0.0/0", "::/0"], "no address", False),
    ],
)
def test_networks(ips: list[str], peer: str | None, is_in: bool) -> None:
    """IPv4, IPv6, single addresses, IPv4 as a socket of IPv6 shows it; an address nobody knows is in none."""
    found, headers = bound(ips=ips)

    if is_in:
        assert found.authenticate(headers, "chat", peer).customer == 1
    else:
        with pytest.raises(Forbidden) as raised:
            found.authenticate(headers, "chat", peer)
        assert raised.value.code == "address_not_allowed"


@pytest.mark.parametrize(
    ("trusted", "peer", "said", "client"),
    [
        ((), NEAR, FAR, NEAR),  # nobody is trusted: the header is anybody's word
        (("10.0.0.0/8",), NEAR, None, NEAR),
        (("10.0.0.0/8",), NEAR, FAR, FAR),
        (("10.0.0.0/8",), FAR, "198.51.100.1", FAR),  # this peer is not
        (("10.0.0.0/8",), NEAR, f"198.51.100.1, {FAR}", FAR),  # what stands before the last is the client's own word
        (("10.0.0.0/8",), NEAR, f"{FAR}, 10.9.9.9", FAR),
        (("10.0.0.0/8",), NEAR, "10.9.9.8, 10.9.9.9", "10.9.9.8"),
        (("10.0.0.0/8",), NEAR, f"{FAR}:4711", FAR),
        (("10.0.0.0/8",), NEAR, "[2001:db8::7]:4711", "2001:db8::7"),
        (("10.0.0.0/8",), NEAR, "unknown", None),
        (("10.0.0.0/8",), NEAR, f"{FAR}, unknown", None),
        (("10.0.0.0/8",), NEAR, "", NEAR),
        (("10.0.0.0/8",), None, FAR, None),
    ],
)
def test_who_is_behind_a_proxy(
    trusted: tuple[str, ...], peer: str | None, said: str | None, client: str | None
) -> None:
    """A trusted proxy's last word counts, and nobody else's; what is no address is none."""
    headers = {} if said is None else {b"x-forwarded-for": said.encode()}

    found = client_of(peer, headers, networks(*trusted) if trusted else ())

    assert (None if found is None else str(found)) == client


@pytest.mark.parametrize(
    ("written", "kept"),
    [("10.0.0.0/8", "10.0.0.0/8"), (" 10.1.2.3 ", "10.1.2.3/32"), ("2001:DB8:0::/32", "2001:db8::/32")],
)
def test_a_network_is_written_in_one_way(written: str, kept: str) -> None:
    """An address is the network of itself."""
    assert units.network_text(written) == kept


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("10.1.2.3/8", "the network is 10.0.0.0/8"),
        ("10.0.0.0/33", "must be a network"),
        ("example.com", "must be a network"),
        ("", "must be a network"),
        (10, "must be a network"),
    ],
)
def test_what_is_no_network(written: Any, sentence: str) -> None:
    """Refused with an example, or with what was meant."""
    with pytest.raises(units.UnitError, match=sentence):
        units.network_text(written)
