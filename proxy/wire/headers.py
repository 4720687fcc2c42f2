"""The response headers of the contract: what happened, for the caller and for whoever reads the access log."""

from __future__ import annotations

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
# Proxies in between must neither buffer nor store a stream.
STREAM: Headers = [EVENT_STREAM, (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]


def decimal(milli: int) -> bytes:
    """Return milli-units as a decimal number, ``2500`` as ``2.5``."""
    sign = b"-" if milli < 0 else b""
    whole, rest = divmod(abs(milli), 1000)
    return b"%b%d" % (sign, whole) if rest == 0 else (b"%b%d.%03d" % (sign, whole, rest)).rstrip(b"0")


def usd(nusd: int) -> bytes:
    """Return nano-dollars as dollars, all nine places."""
    sign = b"-" if nusd < 0 else b""
    whole, rest = divmod(abs(nusd), 1_000_000_000)
    return b"%b%d.%09d" % (sign, whole, rest)
