"""Faults that answer in place of the model; none of them is billed."""

from secrets import token_hex
from typing import Final

from simulator.connection import Connection
from simulator.errors import ApiError, injected
from simulator.faults import Steering

REDIRECTED_PATH: Final = "/_simulator/redirected"
"""Where `redirect` points: `/_simulator/last` shows whether anybody followed."""

MESSAGES_PATH: Final = "/v1/messages"
"""Anthropic's one path; its errors have a shape of their own."""

GEMINI_PREFIX: Final = "/v1beta/models/"
"""What Gemini's paths begin with; so have its errors."""

_HTML: Final = b"<!doctype html><html><title>502</title><body>Bad gateway</body></html>"


def request_headers(request_id: str | None = None) -> list[tuple[bytes, bytes]]:
    """Return the headers that every answer of the API carries."""
    identity = f"req_{token_hex(16)}" if request_id is None else request_id
    return [(b"x-request-id", identity.encode()), (b"openai-version", b"2020-10-01")]


def messages_headers(request_id: str) -> list[tuple[bytes, bytes]]:
    """Return the headers that every answer of the Messages API carries."""
    return [(b"request-id", request_id.encode())]


async def refuse(connection: Connection, error: ApiError) -> None:
    """Send an error, in the shape of the API that was called."""
    if connection.path.startswith(GEMINI_PREFIX):
        await connection.respond(error.status, error.gemini_body())
        return
    if connection.path == MESSAGES_PATH:
        request_id = f"req_{token_hex(12)}"
        headers, body = messages_headers(request_id), error.messages_body(request_id)
    else:
        headers, body = request_headers(), error.body()
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%g" % error.retry_after_s))
    await connection.respond(error.status, body, headers)


async def answered_instead(connection: Connection, steering: Steering, *, stream: bool) -> bool:
    """Answer in place of the model if that was asked.

    Returns:
        Whether an answer was sent.

    Raises:
        ApiError: A status was asked for.
    """
    if steering.status is not None:
        raise injected(steering.status, steering.retry_after)
    if steering.redirect:
        await connection.respond(307, b"", [(b"location", REDIRECTED_PATH.encode())])
    elif steering.html:
        await connection.respond(200, _HTML, [(b"content-type", b"text/html; charset=utf-8")])
    elif steering.empty:
        kind = b"text/event-stream; charset=utf-8" if stream else b"application/json"
        await connection.respond(200, b"", [(b"content-type", kind)])
    else:
        return False
    return True
