"""What a provider's answer comes to, read from its own bytes for who checks it before its caller gets it."""

from __future__ import annotations

from typing import Any

from proxy.settings import Deployment
from proxy.upstream.dialects import DIALECTS, speaks
from proxy.upstream.dialects.translated import Unreadable
from proxy.wire import gist, lenient, sse
from proxy.wire.ask import Ask
from proxy.wire.errors import UpstreamBroke
from proxy.wire.gist import Gist
from proxy.wire.surfaces import completions, responses

_WHOLE = frozenset({"response.completed", "response.incomplete"})


def read(deployment: Deployment, ask: Ask, body: bytes) -> Gist | None:
    """Return what an answer comes to; None where it says what cannot be told, or is not whole.

    `body` is the whole answer, or all events of one that is streamed.
    """
    if ask.surface == completions.NAME and speaks(deployment, ask.surface):
        return None
    is_response = ask.surface == responses.NAME and speaks(deployment, ask.surface)
    try:
        if is_response:
            return gist.of_response(_ending(body) if ask.stream else lenient.loads(body))
        dialect = DIALECTS[deployment.provider.dialect]
        return gist.of_pieces(_pieces(dialect.reader(), body) if ask.stream else dialect.read(lenient.loads(body)))
    except (Unreadable, UpstreamBroke, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _pieces(reader: Any, body: bytes) -> list[Any]:
    found: list[Any] = []
    for event in sse.events(body):
        data = sse.payload(event)
        if data is None or reader.is_whole:
            continue
        found += reader.done() if data.strip() == sse.DONE else reader.event(lenient.loads(data))
    return found


def _ending(body: bytes) -> Any:
    """Return the response as its last event has it; one that is not whole where there is none."""
    for event in sse.events(body):
        data = sse.payload(event)
        if data is not None and data.strip() != sse.DONE:
            told = lenient.loads(data)
            if told.get("type") in _WHOLE:
                return told["response"]
    return {}
