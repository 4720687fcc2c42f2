"""Signed messages, as Standard Webhooks has them: who sent one is who knows the secret, and it is not an old one.

``webhook-signature`` lists ``v1,`` and the base64 of HMAC-SHA256 over ``ID.TIMESTAMP.BODY``, one for each secret that
the sender has; any of ours may match any of them, so either side can change its secret first. (The specification:
github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.)
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from hashlib import sha256

from proxy.wire.errors import Unauthenticated

SIGNATURES_MAX = 16
"""More than any sender has secrets; each is compared with each of ours."""
_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_SECONDS = re.compile(rb"[0-9]{1,12}")


def signed_id(
    headers: Mapping[bytes, bytes], body: bytes, secrets: Sequence[bytes], *, now_s: float, tolerance_s: float
) -> bytes:
    """Return the id of a message that one of the secrets signed.

    Args:
        headers: The request's, names in lower case.
        body: Its bytes as they came.
        secrets: Ours; none signs anything.
        now_s: Seconds since 1970.
        tolerance_s: How far its timestamp may be from that, either way.

    Raises:
        Unauthenticated: It is not signed so, or not now.
    """
    id_, sent = headers.get(b"webhook-id", b""), headers.get(b"webhook-timestamp", b"")
    if not _ID.fullmatch(id_) or not _SECONDS.fullmatch(sent):
        raise Unauthenticated("A webhook needs `webhook-id`, `webhook-timestamp` and `webhook-signature`.")
    given = headers.get(b"webhook-signature", b"").split(b" ")[:SIGNATURES_MAX]
    wanted = [signature(secret, id_, sent, body) for secret in secrets]
    # All are compared, however soon one matches: how long it takes says nothing.
    matches = [hmac.compare_digest(_digest(each), digest) for each in given for digest in wanted]
    if not any(matches):
        raise Unauthenticated("The webhook's signature is not one of ours.")
    if abs(now_s - int(sent)) > tolerance_s:
        raise Unauthenticated("The webhook is too old, or its clock is wrong; sign it anew.")
    return id_


def signature(secret: bytes, id_: bytes, sent: bytes, body: bytes) -> bytes:
    """Return the digest that signs a message of this id, sent at this second, with a secret."""
    return hmac.new(secret, b"%b.%b.%b" % (id_, sent, body), sha256).digest()


def _digest(signature: bytes) -> bytes:
    version, _, text = signature.partition(b",")
    try:
        return b64decode(text, validate=True) if version == b"v1" else b""
    except (binascii.Error, ValueError):
        return b""
