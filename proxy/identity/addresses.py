"""Where a request comes from: the peer's address, or what a proxy that we trust says of it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]
Address = IPv4Address | IPv6Address

FORWARDED = b"x-forwarded-for"
_PASSED_ON = frozenset({FORWARDED, b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"})
"""Headers of which a proxy adds one, or more."""


def client_of(peer: str | None, headers: Mapping[bytes, bytes], trusted: Networks) -> Address | None:
    """Return the address a request comes from; None when it cannot be known.

    That is the peer's. Only of a peer that is trusted is the header looked at, from its end, which the nearest proxy
    wrote: the first address there that is not a trusted proxy's is the client's. What stands before it anybody can say.
    """
    address = _address(peer)
    if not trusted or address is None:
        return address
    named = headers.get(FORWARDED, b"").decode("ascii", "replace").split(",")
    while named[-1].strip() and is_within(address, trusted):
        address = _address(named.pop().strip())
        if address is None or not named:
            break
    return address


def is_from_here(peer: str | None, headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a request was made on this machine, for this machine: nobody passed it on, and no page made it.

    The host it names must be this machine's, or a site of someone else's, resolved to 127.0.0.1, could ask by a
    visitor's browser (DNS rebinding).
    """
    address = _address(peer)
    if address is None or not address.is_loopback or not headers.keys().isdisjoint(_PASSED_ON):
        return False
    if headers.get(b"sec-fetch-site", b"none") not in {b"none", b"same-origin"}:
        return False
    host = headers.get(b"host", b"").decode("ascii", "replace")
    named = _address(host)
    return host.partition(":")[0] == "localhost" if named is None else named.is_loopback


def is_within(address: Address, networks: Networks) -> bool:
    """Tell whether an address is in one of the networks."""
    return any(address in network for network in networks)


def _address(text: str | None) -> Address | None:
    if text is None:
        return None
    try:
        found = ip_address(_bare(text))
    except ValueError:
        return None
    # A socket that listens on :: shows callers of IPv4 as mapped addresses.
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped


def _bare(text: str) -> str:
    """Take brackets, and the port that some proxies add, off an address."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
