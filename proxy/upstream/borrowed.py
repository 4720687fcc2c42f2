"""The door to every provider that has no dialect of its own: LiteLLM's, in the shape of our transport.

It takes a request as the other transport does, calls LiteLLM's function, and hands back OpenAI's JSON or events. The
library is loaded in a thread, as it takes seconds, before a worker serves or by the first call: who configures no such
provider never loads it. It retries nothing, caches nothing, reports to nobody, and fetches no price list; what its
exceptions say stays here.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import httpx
import orjson

from proxy.settings import Provider
from proxy.wire import sse

CLOSING_S: Final = 1.0
"""How long a stream may take to be closed: it is let go after that."""
NOWHERE: Final = "http://litellm.invalid"
"""Stands where an address is needed and LiteLLM finds its own. RFC 2606: never resolves."""

EMBEDDINGS: Final = "/embeddings"
"""How the path of a request ends that is no chat."""

_CODES: Final[Mapping[str, str]] = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_policy_violation",
}
"""OpenAI's words for what clients look for, by the class of LiteLLM's exception."""
_SILENT: Final = {"index": 0, "delta": {}, "finish_reason": None}
_UNKNOWN_STATES: Final = frozenset({"APIConnectionError", "APIResponseValidationError"})
"""Where a status is LiteLLM's own guess: nobody can know whether the provider had the request."""


class Borrowed(httpx.AsyncBaseTransport):
    """Sends requests through LiteLLM. The provider is in `extensions["provider"]`, the arguments are the body."""

    def __init__(self) -> None:
        self._library: Any = None
        self._loading = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Call; return OpenAI's answer, its events, or an error body with LiteLLM's status.

        Raises:
            httpx.ConnectError: the library is not installed; nothing was sent.
            httpx.ReadTimeout: no answer in time.
            httpx.ReadError: nobody can know how far it came.
        """
        provider: Provider = request.extensions["provider"]
        library = await self.load()
        told = orjson.loads(request.content)
        waits_s = provider.timeouts.first_byte_s if told.get("stream") else provider.timeouts.total_s
        try:
            async with asyncio.timeout(waits_s):
                if request.url.path.endswith(EMBEDDINGS):
                    answer = await library.aembedding(**told, **_account(provider, waits_s))
                else:
                    # It would look for tools of MCP servers among a request's own, and fail without that library.
                    answer = await library.acompletion(**told, **_account(provider, waits_s), _skip_mcp_handler=True)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time") from None
        except Exception as error:  # noqa: BLE001 -- foreign: of any class, and its text may hold a secret
            return _refusal(error)
        if told.get("stream"):
            events = _Events(answer, provider.timeouts.idle_s)
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=events)
        whole = orjson.dumps(_completion(answer))
        return httpx.Response(200, headers={"content-type": "application/json"}, stream=httpx.ByteStream(whole))

    async def load(self) -> Any:
        """Return the library, loaded in a thread when it is not yet.

        Raises:
            httpx.ConnectError: it is not installed.
        """
        async with self._loading:
            if self._library is None:
                try:
                    self._library = await asyncio.to_thread(_loaded)
                except ImportError:
                    raise httpx.ConnectError("LiteLLM is not installed") from None
        return self._library

    async def aclose(self) -> None:
        """Close LiteLLM's own connections."""
        if self._library is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_S):
                    await self._library.close_litellm_async_clients()


def _loaded() -> Any:
    """Import LiteLLM, and turn off whatever it does besides calling."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # read at import: without it a price list is fetched
    os.environ["LITELLM_TELEMETRY"] = "False"
    import litellm

    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # it logs requests and keys
    library: Any = litellm
    library.telemetry = library.set_verbose = False
    library.suppress_debug_info = library.disable_hf_tokenizer_download = True
    library.drop_params = library.modify_params = False
    library.cache = None
    for name in ("callbacks", "success_callback", "failure_callback", "_async_success_callback",
                 "_async_failure_callback", "input_callback", "service_callback"):  # fmt: skip
        setattr(library, name, [])
    return library


def _account(provider: Provider, waits_s: float) -> dict[str, Any]:
    """Return what is ours to say of a call: where to, as whom, for how long, and once."""
    said: dict[str, Any] = {"timeout": waits_s, "num_retries": 0, "max_retries": 0}
    if provider.base_url:
        said["api_base"] = provider.base_url
    if provider.api_key is not None:
        said["api_key"] = provider.api_key.reveal()
    return said


def _refusal(error: Exception) -> httpx.Response:
    """Return an exception as an answer: its status, a code of ours, and when to ask again. Nothing that it says."""
    kind, status = type(error).__name__, getattr(error, "status_code", None)
    if kind == "Timeout":
        raise httpx.ReadTimeout("no answer in time") from None
    if kind in _UNKNOWN_STATES or not isinstance(status, int) or not 400 <= status <= 599:
        raise httpx.ReadError("the call failed") from None
    body = {"error": {"message": None, "type": None, "param": None, "code": _CODES.get(kind)}}
    headers = {"content-type": "application/json"}
    told = getattr(error, "litellm_response_headers", None)
    after = told.get("retry-after") if isinstance(told, Mapping) else None
    if isinstance(after, str) and after.isdigit():
        headers["retry-after"] = after
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(orjson.dumps(body)))


def _completion(answer: Any) -> dict[str, Any]:
    """Return an answer or a chunk as OpenAI would have written it: without LiteLLM's own fields."""
    told: dict[str, Any] = answer.model_dump(mode="json", exclude_none=True)
    told.pop("provider_specific_fields", None)
    for choice in told.get("choices", ()):
        choice.setdefault("finish_reason", None)
        choice.pop("provider_specific_fields", None)
        for part in (choice.get("message"), choice.get("delta")):
            _strip(part)
        if isinstance(choice.get("message"), dict):
            choice["message"].setdefault("content", None)  # OpenAI's is there also where tools are called
    usage = told.get("usage")
    if isinstance(usage, dict):
        _renamed(told, usage)
        if told.get("choices") == [_SILENT]:
            told["choices"] = []  # OpenAI's last chunk has none, and goes to nobody who did not ask for usage
    return told


def _strip(part: Any) -> None:
    if isinstance(part, dict):
        part.pop("provider_specific_fields", None)
        for call in part.get("tool_calls", ()):
            call.pop("provider_specific_fields", None)
            call.get("function", {}).pop("provider_specific_fields", None)


def _renamed(told: dict[str, Any], usage: dict[str, Any]) -> None:
    """Name cache writes as OpenAI does. Those for an hour have a price that no field of its says: no usage, then."""
    details = usage.get("prompt_tokens_details")
    if not isinstance(details, dict):
        return
    lifetimes = details.get("cache_creation_token_details")
    if isinstance(lifetimes, dict) and lifetimes.get("ephemeral_1h_input_tokens"):
        del told["usage"]
        return
    written = details.pop("cache_creation_tokens", None)
    if written is not None:
        details.setdefault("cache_write_tokens", written)


class _Events(httpx.AsyncByteStream):
    """LiteLLM's stream as OpenAI's events, with its end."""

    def __init__(self, stream: Any, idle_s: float) -> None:
        self._stream, self._idle_s = stream, idle_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._next()) is not None:
            yield sse.event(orjson.dumps(_completion(chunk)))
        yield sse.event(sse.DONE)

    async def _next(self) -> Any:
        """Return the next chunk; None after the last.

        Raises:
            httpx.ReadTimeout: none came for too long.
            httpx.ReadError: the stream broke.
        """
        try:
            async with asyncio.timeout(self._idle_s):
                return await anext(self._stream)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise httpx.ReadTimeout("nothing came for too long") from None
        except Exception:  # noqa: BLE001 -- foreign: of any class, and its text may hold a secret
            raise httpx.ReadError("the stream broke") from None

    async def aclose(self) -> None:
        """Close the provider's connection, too."""
        try:
            async with asyncio.timeout(CLOSING_S):
                await self._stream.aclose()
        except Exception:  # noqa: BLE001, S110 -- foreign: it is closed, or cannot be
            pass
