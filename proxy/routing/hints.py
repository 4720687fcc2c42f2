"""The tier that a request's header asks for, `x-penstock-tier`."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.settings import TIERS, Tier
from proxy.wire.errors import Malformed


def read(headers: Mapping[bytes, bytes]) -> Tier | None:
    """Return the tier asked for, if any.

    Raises:
        Malformed: there is no tier of that name.
    """
    value = headers.get(b"x-penstock-tier")
    if value is None:
        return None
    for tier in TIERS:
        if value == tier.encode():
            return tier
    raise Malformed(f"`x-penstock-tier` must be one of: {', '.join(TIERS)}.", param="x-penstock-tier")
