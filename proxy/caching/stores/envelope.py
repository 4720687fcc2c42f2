r"""What an answer is wrapped in before it leaves the worker's memory, and how it is known again.

    PA1 <MAC, 32 bytes> <JSON of what it is> \n <the body's own bytes>

The MAC is keyed BLAKE2b over all that follows, so that whatever was changed, cut short, or written by another Penstock
is no answer. Whose it is and what it answers stand in it once more: a store that gives the wrong one, as a connection
that was cancelled at a bad moment may, gives none.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from typing import Any, Final

import orjson

from margin.usage import Usage, UsageError
from proxy.caching.answers import Kept

MAGIC: Final = b"PA1"
MAC_BYTES: Final = 32
_BODY_AT: Final = len(MAGIC) + MAC_BYTES


def sealed(secret: bytes, key: bytes, answer: Kept) -> bytes:
    """Return an answer as a store keeps it; `secret` is this Penstock's own, `key` where the answer is kept."""
    what = {
        "key": key.hex(), "customer": answer.customer, "deployment": answer.deployment, "exchange": answer.exchange,
        "t": answer.t, "usage": answer.usage._asdict(),
    }  # fmt: skip
    text = orjson.dumps(what) + b"\n" + answer.body
    return MAGIC + _mac(secret, text) + text


def opened(secret: bytes, key: bytes, customer: int, found: bytes) -> Kept | None:
    """Return the answer in an envelope; None where it is none of this Penstock's, this key's and this customer's."""
    text = found[_BODY_AT:]
    if found[: len(MAGIC)] != MAGIC or not compare_digest(found[len(MAGIC) : _BODY_AT], _mac(secret, text)):
        return None
    head, _, body = text.partition(b"\n")
    try:
        what: dict[str, Any] = orjson.loads(head)
        if what["key"] != key.hex() or what["customer"] != customer:
            return None
        return Kept(customer, body, Usage(**what["usage"]), what["deployment"], what["exchange"], what["t"])
    except (ValueError, KeyError, TypeError, UsageError):  # of a version that said other things of an answer
        return None


def _mac(secret: bytes, text: bytes) -> bytes:
    return blake2b(text, digest_size=MAC_BYTES, key=secret, person=b"penstock answer").digest()
