"""What routes behind the framework share: who asks, and how they answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from fastapi import Request, Response

from proxy.identity import Principal, Surface, customer_name
from proxy.wire.errors import (
    AnswerUnavailable,
    Conflict,
    KeyReused,
    Malformed,
    PlanLacks,
    ProxyError,
    Unavailable,
    UnknownName,
)
from proxy.world import World


def authenticated(world: World, request: Request, surface: Surface) -> Principal:
    """Return who asks for something that is not hot.

    Raises:
        Unauthenticated, Forbidden: see `Identity.authenticate`.
    """
    peer = None if request.client is None else request.client.host
    return world.identity.authenticate(headers_of(request), surface, peer, world.settings.server.trusted_proxies)


def acted_for(world: World, request: Request, surface: Surface) -> Principal:
    """Return the customer that a request is about: the key's, or one that a key with the scope `attribute` names.

    Raises:
        Unauthenticated, Forbidden: see `Identity.authenticate`.
        UnknownName: there is no such customer.
    """
    principal = authenticated(world, request, surface)
    name = customer_name(headers_of(request))
    if name is None:
        return principal
    found = world.identity.attributed(principal, name)
    if found is None:
        raise UnknownName("There is no such customer.", param="x-penstock-customer")
    return found


def spoken_at(path: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the surface in whose words a request outside the hot routes is answered: its path or its version says."""
    is_anthropic = path.startswith("/v1/messages") or any(name == b"anthropic-version" for name, _ in headers)
    return "messages" if is_anthropic else "chat"


def surface_of(request: Request) -> str:
    """Return the same of a request that the framework has."""
    return spoken_at(request.scope["path"], request.scope["headers"])


def headers_of(request: Request) -> dict[bytes, bytes]:
    """Return a request's headers, names in lower case; of a repeated one the last."""
    return dict(request.scope["headers"])


def json_answer(content: Any, status: int = 200) -> Response:
    """Return an answer of JSON."""
    return Response(orjson.dumps(content), status, media_type="application/json")


def refusal(answer: dict[str, Any]) -> ProxyError:
    """Return the error for a command that could not, or would not, be performed."""
    if "failed" in answer:
        return Unavailable(_sentence(answer["failed"]))
    if "reused" in answer:
        return KeyReused("This idempotency key was used for another request.")
    if "gone" in answer:
        return AnswerUnavailable(_sentence(answer["gone"]))
    if "conflict" in answer:
        return Conflict(_sentence(answer["refused"]), param=answer["param"])
    if "lacks" in answer:
        return PlanLacks(_sentence(answer["refused"]), what=answer["lacks"], param=answer["param"])
    kind = UnknownName if answer["unknown"] else Malformed
    return kind(_sentence(answer["refused"]), param=answer["param"])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
