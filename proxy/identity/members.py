"""Members: which of a customer's own users a request is for. Their names are personal, so only a keyed digest is kept.

The digest's key lies with the customers' names: where that file is erased, nobody can tell any more who was who.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from proxy.identity.principals import NAME_MAX, is_name
from proxy.wire.errors import Malformed

HEADER = "x-penstock-member"
FIELDS = ("safety_identifier", "user")
"""OpenAI's fields for the same, the newer one first."""
DIGEST_BYTES = 16
"""Two of a billion members look alike with a chance of one in 10^20."""


def member_name(headers: Mapping[bytes, bytes], fields: Mapping[str, Any]) -> str | None:
    """Return the member that a request names in its header, else in its body; None where it names none.

    Raises:
        Malformed: the header is empty, too long or not printable.
    """
    value = headers.get(HEADER.encode())
    if value is not None:
        name = value.decode("utf-8", "surrogateescape").strip()
        if not is_name(name):
            raise Malformed(f"`{HEADER}` must be 1 to {NAME_MAX} printable characters.", param=HEADER)
        return name
    found = (fields.get(each) for each in FIELDS)
    return next((each for each in found if isinstance(each, str) and each), None)


def member_digest(secret: bytes, customer: int, name: str) -> str:
    """Return what stands for a member in journals and books. The same name at two customers is two members."""
    text = f"{customer}\n{name}".encode("utf-8", "surrogatepass")
    return blake2b(text, key=secret, digest_size=DIGEST_BYTES).hexdigest()
