"""Chat by way of LiteLLM: the fields that go to it, and only what lies in the request itself.

LiteLLM's function takes addresses, keys and callbacks beside a request's fields, and fetches what images link to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from proxy.settings import Deployment
from proxy.upstream.dialects import signatures
from proxy.upstream.dialects.openai.chat import read_answer, request_path, stream
from proxy.wire.chat import ChatRequest
from proxy.wire.errors import Malformed

__all__ = ["fetched", "read_answer", "request_body", "request_path", "stream", "uncarried"]

CARRIED: Final = frozenset(
    {
        "messages", "stream", "max_tokens", "max_completion_tokens", "stop", "temperature", "top_p", "n", "seed",
        "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "tools", "tool_choice",
        "parallel_tool_calls", "response_format", "reasoning_effort", "user",
    }
)  # fmt: skip
"""Fields that are OpenAI's, and that LiteLLM says again in each provider's words or refuses."""
_LEFT_OUT: Final = frozenset(
    {
        "model", "stream_options", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        "prediction",
    }
)  # fmt: skip
"""Labels and hints that do not change what is answered, and what is written anew."""


def uncarried(ask: ChatRequest, deployment: Deployment) -> str | None:
    """Name the first field that does not go to LiteLLM; None when all do."""
    for name, value in ask.fields.items():
        if name not in CARRIED and name not in _LEFT_OUT and value is not None:
            return name
    return next(fetched(ask.messages), None) if ask.media_parts else None


def request_body(ask: ChatRequest, deployment: Deployment) -> bytes:
    """Return the arguments of the call, as JSON: a stream is asked to report its usage.

    Raises:
        Malformed: with `param` naming what does not go to LiteLLM.
    """
    name = uncarried(ask, deployment) or next(_strange_tools(ask.fields.get("tools") or ()), None)
    if name is not None:
        raise Malformed(f"`{name}` cannot be carried over to this model's provider.", param=name)
    told = {name: value for name, value in ask.fields.items() if name in CARRIED and value is not None}
    told |= {"model": deployment.model, "messages": signatures.unsigned(ask.messages)}
    if ask.stream:
        told["stream_options"] = {"include_usage": True}
    return orjson.dumps(told)


def fetched(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Name what is neither words nor an image that lies in the request: LiteLLM would fetch it from here."""
    for index, message in enumerate(messages):
        content = message.get("content")
        for at, part in enumerate(content if isinstance(content, list) else ()):
            kind = part["type"]
            if kind == "image_url" and not part["image_url"]["url"].startswith("data:"):
                yield f"messages[{index}].content[{at}].image_url.url"
            elif kind not in {"text", "refusal", "image_url"}:
                yield f"messages[{index}].content[{at}].{kind}"


def _strange_tools(tools: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Name tools that LiteLLM would run itself."""
    yield from (f"tools[{index}].type" for index, tool in enumerate(tools) if tool["type"] != "function")
