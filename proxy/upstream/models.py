"""Asks an OpenAI-compatible server which models it has: once, before serving begins."""

from __future__ import annotations

import time
from typing import Any, Final

import httpx
import orjson

DEADLINE_S: Final = 5.0
"""A server on the same machine or network answers in milliseconds, or it is not there."""
LIST_BYTES_MAX: Final = 1 << 20
"""A thousand models with all their permissions are a third of it."""


class NoModel(Exception):
    """A server that did not say which model it has; its text is one sentence for the operator."""


def first_model(base_url: str) -> str:
    """Return the first model that a server lists, by the server's own name. It blocks for at most `DEADLINE_S`.

    Args:
        base_url: What `/models` is appended to, such as `http://127.0.0.1:11434/v1`.

    Raises:
        NoModel: It cannot be reached, did not answer in time, refused, or lists nothing.
    """
    url = f"{base_url.rstrip('/')}/models"
    try:
        body = _fetched(url)
    except httpx.TimeoutException:
        raise NoModel(f"{url} did not answer within {DEADLINE_S:g} s: is the local server still starting?") from None
    except (httpx.TransportError, httpx.InvalidURL, httpx.DecodingError):
        raise NoModel(f"cannot reach {url}: start the local server, or correct its address") from None
    found = _first(body)
    if found is None:
        raise NoModel(f"{url} lists no model: load one into the local server, or correct its address")
    return found


def _fetched(url: str) -> bytes:
    """Return the list's text. Proxies and credentials of the environment are not for a server next door."""
    deadline = time.monotonic() + DEADLINE_S
    body = bytearray()
    with (
        httpx.Client(timeout=DEADLINE_S, trust_env=False) as client,
        client.stream("GET", url, headers={"accept": "application/json"}) as answer,
    ):
        if answer.status_code != httpx.codes.OK:
            raise NoModel(f"{url} answered {answer.status_code}: an OpenAI-compatible address often ends in /v1")
        for part in answer.iter_bytes():
            body += part
            if time.monotonic() >= deadline:
                raise httpx.ReadTimeout("the whole list took too long")
            if len(body) > LIST_BYTES_MAX:
                raise NoModel(f"{url} answered more than {LIST_BYTES_MAX} bytes, which is no list of models")
    return bytes(body)


def _first(body: bytes) -> str | None:
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    listed = answer.get("data") if isinstance(answer, dict) else None
    first = listed[0] if isinstance(listed, list) and listed else None
    name = first.get("id") if isinstance(first, dict) else None
    return name if isinstance(name, str) and name else None
