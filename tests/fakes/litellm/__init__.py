"""A module in LiteLLM's place, with the little of it that we use: calls go to an OpenAI-compatible address by HTTP.

`tests/upstream/litellm_calls.py` is run with this one and with the real one, and both have to say the same.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

KNOWN = {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "temperature",
         "top_p", "n", "seed", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort",
         "user", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"}  # fmt: skip


class BadRequestError(Exception):
    """An error with a status; its text is nothing that a caller may see."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"secret of the fake: {response.text}")
        self.status_code, self.litellm_response_headers = response.status_code, response.headers


class ContextWindowExceededError(BadRequestError):
    """A prompt that is too long."""


class APIConnectionError(Exception):
    """A call that came to nothing, with a status that says nothing."""

    status_code = 500


class Told:
    """An answer, or a chunk of one."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told

    def model_dump(self, *, mode: str, exclude_none: bool) -> dict[str, Any]:
        """Return it as JSON values."""
        assert (mode, exclude_none) == ("json", True)
        return without_none(self._told) | {"provider_specific_fields": {"x": 1}}


def without_none(value: Any) -> Any:
    """Return a value as pydantic dumps it."""
    if isinstance(value, dict):
        return {name: without_none(inner) for name, inner in value.items() if inner is not None}
    return [without_none(inner) for inner in value] if isinstance(value, list) else value


class Stream:
    """A stream of chunks."""

    def __init__(self, client: httpx.AsyncClient, response: httpx.Response) -> None:
        self._client, self._response = client, response
        self._chunks = self._read()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Told:
        return await anext(self._chunks)

    async def _read(self) -> AsyncIterator[Told]:
        try:
            async for line in self._response.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    yield Told(json.loads(line.removeprefix("data: ")))
        except httpx.TransportError:
            raise APIConnectionError("secret of the fake") from None
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._response.aclose()
        await self._client.aclose()


async def acompletion(
    *,
    api_base: str,
    api_key: str,
    timeout: float,  # noqa: ASYNC109 -- LiteLLM's own name
    num_retries: int,
    max_retries: int,
    _skip_mcp_handler: bool,
    **fields: Any,
) -> Any:
    """Send a chat completion."""
    assert num_retries == max_retries == 0
    assert _skip_mcp_handler
    assert fields.keys() <= KNOWN, fields.keys() - KNOWN
    fields["model"] = fields["model"].partition("/")[2]
    client = httpx.AsyncClient(timeout=timeout, headers={"authorization": f"Bearer {api_key}"}, trust_env=False)
    request = client.build_request("POST", f"{api_base}/chat/completions", json=fields)
    response = await client.send(request, stream=True)
    if response.status_code != 200:
        text = await response.aread()
        await client.aclose()
        raise (ContextWindowExceededError if b"context_length_exceeded" in text else BadRequestError)(response)
    if fields.get("stream"):
        return Stream(client, response)
    try:
        return Told(json.loads(await response.aread()))
    except (httpx.TransportError, json.JSONDecodeError):
        raise APIConnectionError("secret of the fake") from None
    finally:
        await client.aclose()


async def aembedding(
    *,
    api_base: str,
    api_key: str,
    timeout: float,  # noqa: ASYNC109 -- LiteLLM's own name
    num_retries: int,
    max_retries: int,
    **fields: Any,
) -> Any:
    """Ask for embeddings; as the real one, as numbers unless told otherwise."""
    assert num_retries == max_retries == 0
    assert fields.keys() <= {"model", "input", "dimensions", "user"}
    fields["model"] = fields["model"].partition("/")[2]
    headers = {"authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(timeout=timeout, headers=headers, trust_env=False) as client:
        response = await client.post(f"{api_base}/embeddings", json={**fields, "encoding_format": "float"})
    if response.status_code != 200:
        raise BadRequestError(response)
    return Told(response.json())


async def close_litellm_async_clients() -> None:
    """Close nothing: nothing is kept."""
