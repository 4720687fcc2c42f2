"""One file or package per provider family, pure: requests and answers to and from what the exchange understands.

`dialect` has the seam that each fulfils; a provider's `dialect:` chooses among them by name. The functions here put a
caller's surface and a provider's dialect together: natively where they are one format, else through the neutral form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from proxy.settings import Deployment
from proxy.upstream.dialects import anthropic, gemini, litellm, openai
from proxy.upstream.dialects.dialect import Answered, Choose, Dialect, Native, Stream
from proxy.upstream.dialects.translated import TranslatedStream
from proxy.wire import lenient
from proxy.wire.ask import Ask
from proxy.wire.errors import Malformed, ProxyError, UpstreamBroke
from proxy.wire.neutral import Started, Used
from proxy.wire.surfaces import CONVERSATIONS, completions, responses

__all__ = [
    "DIALECTS",
    "Answered",
    "Choose",
    "Dialect",
    "Stream",
    "marked",
    "read_answer",
    "read_error",
    "request_body",
    "request_path",
    "speaks",
    "stream",
    "uncarried",
    "wants_marks",
]  # fmt: skip

DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "litellm": litellm,
}
"""Every dialect that is built, by its name in the YAML; `proxy.settings` checks names against the same list."""


_PLACE: Final = re.compile(r"[.\[]")
"""What follows a field's name where an error names a place inside it."""
_WHOLE: Final[Mapping[str, str]] = {"embeddings": "input"}
"""What is named where a provider has no word for anything of a surface."""


def _native(deployment: Deployment, surface: str) -> Native | None:
    if surface == responses.NAME and not deployment.provider.responses:
        return None  # many that speak OpenAI's chats do not serve its Responses: each provider says so
    if surface == completions.NAME and completions.NAME not in deployment.serves:
        return None  # nor do most models complete: each says so
    return DIALECTS[deployment.provider.dialect].NATIVE.get(surface)


def speaks(deployment: Deployment, surface: str) -> bool:
    """Tell whether a deployment speaks a surface's own format, so that bytes pass as they are."""
    return _native(deployment, surface) is not None


def request_path(deployment: Deployment, surface: str, *, stream: bool) -> str:
    """Return what is appended to a provider's base URL: asked once for each deployment, surface and way."""
    way = _native(deployment, surface) or DIALECTS[deployment.provider.dialect]
    return way.request_path(deployment, stream=stream)


def uncarried(deployment: Deployment, ask: Ask) -> str | None:
    """Name the field of a request that a deployment's wire format has no word for, or its model none; None: none.

    A look at the fields alone, cheap enough for every candidate of every route; `request_body` looks closer.
    """
    native = _native(deployment, ask.surface)
    if native is not None:
        return native.uncarried(ask, deployment)
    surface = CONVERSATIONS.get(ask.surface)
    if surface is None:
        return _WHOLE[ask.surface]
    found = surface.unheld(ask)
    if found is not None:
        return found
    setting = DIALECTS[deployment.provider.dialect].unworded(surface.knobs(ask), deployment.model)
    return None if setting is None else surface.NAMES.get(setting, setting)


def request_body(deployment: Deployment, ask: Ask) -> bytes:
    """Return the body of the call.

    Raises:
        Malformed: with `param` naming what cannot be said in this format.
    """
    native = _native(deployment, ask.surface)
    if native is not None:
        if deployment.asks_tier is not None:
            ask = ask._replace(fields={**ask.fields, "service_tier": deployment.asks_tier})  # type: ignore[attr-defined]
        return native.request_body(ask, deployment)
    surface = CONVERSATIONS[ask.surface]
    prompt = surface.prompt(ask)
    try:
        return DIALECTS[deployment.provider.dialect].written(prompt, deployment)
    except Malformed as error:
        if error.param is not None:
            error.param = surface.NAMES.get(error.param, error.param)
        raise


def wants_marks(deployment: Deployment) -> bool:
    """Tell whether a deployment's provider keeps in its prompt cache what it is told to keep."""
    return deployment.provider.takes_marks and DIALECTS[deployment.provider.dialect].MARKED is not None


def caches_unasked(deployment: Deployment) -> bool:
    """Tell whether it also keeps what nobody told it to: then what it reads there is nobody's saving."""
    return DIALECTS[deployment.provider.dialect].CACHES_UNASKED


def marked(deployment: Deployment, body: bytes, choose: Choose) -> bytes | None:
    """Return the body with marks for the provider's prompt cache; None where it stays as it is."""
    way = DIALECTS[deployment.provider.dialect].MARKED
    return None if way is None else way(body, deployment.model, choose)


def read_answer(deployment: Deployment, ask: Ask, body: bytes, at_s: int) -> Answered:
    """Read a plain answer that arrived at a moment in unix seconds. Usage that contradicts itself counts as none.

    Raises:
        UpstreamBroke: it is no answer.
    """
    native = _native(deployment, ask.surface)
    if native is not None:
        return native.read_answer(body, ask)
    try:
        answer = lenient.loads(body)
    except (ValueError, RecursionError):
        raise UpstreamBroke("The provider's answer is not JSON.") from None
    pieces = DIALECTS[deployment.provider.dialect].read(answer)
    call_id = next((piece.id for piece in pieces if isinstance(piece, Started)), None)
    usage = next((piece.usage for piece in pieces if isinstance(piece, Used)), None)
    return call_id or None, usage, CONVERSATIONS[ask.surface].answer(pieces, ask, at_s)


def read_error(deployment: Deployment, ask: Ask, status: int, body: bytes, retry_after: bytes | None) -> ProxyError:
    """Return our error for a provider's refusal. Where it was told in other words the caller's own field is named.

    Without its place inside the field: indices there are not the caller's.
    """
    error = DIALECTS[deployment.provider.dialect].read_error(status, body, retry_after)
    surface = CONVERSATIONS.get(ask.surface)
    if error.param is not None and surface is not None and not speaks(deployment, ask.surface):
        name = _PLACE.split(error.param, maxsplit=1)[0]
        error.param = surface.NAMES.get(name, name)
    return error


def stream(deployment: Deployment, ask: Ask, at_s: int) -> Stream:
    """Return what reads the stream of an answer that began at a moment in unix seconds."""
    native = _native(deployment, ask.surface)
    if native is not None:
        return native.stream(ask)
    return TranslatedStream(
        DIALECTS[deployment.provider.dialect].reader(), CONVERSATIONS[ask.surface].writer(ask, at_s)
    )
