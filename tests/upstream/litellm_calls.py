"""A round of calls through the door to LiteLLM, whichever module of that name is there; what came of them, as JSON.

`python -m tests.upstream.litellm_calls URL`, where URL is the simulator's. It connects nowhere else: an audit hook sees
to that.
"""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from proxy.settings import Provider, Secret, Timeouts
from proxy.upstream.borrowed import Borrowed

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def request(url: str, words: str, **fields: Any) -> httpx.Request:
    """Return a request as the client would make it."""
    timeouts = Timeouts(first_byte_s=5, idle_s=1, total_s=5)
    provider = Provider("x", "litellm", f"{url}/v1", Secret("sk-there"), enabled=True, timeouts=timeouts)
    if fields.pop("impatient", False):
        provider = Provider("x", "litellm", f"{url}/v1", Secret("sk-there"), enabled=True,
                            timeouts=Timeouts(first_byte_s=0.3, idle_s=0.3, total_s=0.3))  # fmt: skip
    told = {"model": "openai/gpt-6-luna", "messages": [{"role": "user", "content": words}], **fields}
    if fields.get("stream"):
        told["stream_options"] = {"include_usage": True}
    return httpx.Request("POST", "http://litellm.invalid", json=told, extensions={"provider": provider})


def embedding(url: str, **fields: Any) -> httpx.Request:
    """Return a request for embeddings as the client would make it."""
    timeouts = Timeouts(first_byte_s=5, idle_s=1, total_s=5)
    provider = Provider("x", "litellm", f"{url}/v1", Secret("sk-there"), enabled=True, timeouts=timeouts)
    told = {"model": "openai/text-embedding-3-small", "input": ["a cat", "a dog"], "dimensions": 8, **fields}
    return httpx.Request("POST", "http://litellm.invalid/embeddings", json=told, extensions={"provider": provider})


async def called(door: Borrowed, asked: httpx.Request) -> dict[str, Any]:
    """Make a call; return its status and what its body says, or the error."""
    try:
        response = await door.handle_async_request(asked)
        body = b"".join([part async for part in response.stream])  # type: ignore[union-attr]
        await response.aclose()
    except httpx.TransportError as error:
        return {"failed": type(error).__name__, "text": str(error)}
    told: dict[str, Any] = {"status": response.status_code, "retry_after": response.headers.get("retry-after")}
    if not response.headers["content-type"].startswith("text/event-stream"):
        return told | {"answer": json.loads(body)}
    events = [event.removeprefix("data: ") for event in body.decode().split("\n\n") if event]
    return told | {"chunks": [json.loads(event) for event in events[:-1]], "last": events[-1]}


async def left(door: Borrowed, asked: httpx.Request) -> dict[str, Any]:
    """Leave a stream after its first chunk."""
    response = await door.handle_async_request(asked)
    parts = response.stream.__aiter__()  # type: ignore[union-attr]
    await anext(parts)
    await response.aclose()
    return {}


async def round_of_calls(url: str) -> dict[str, dict[str, Any]]:
    """Return what came of each call, by its name."""
    door = Borrowed()
    tools = {"tools": [WEATHER]}
    asked = {
        "plain": request(url, "Why is the sky blue?"),
        "streamed": request(url, "Why is the sky blue?", stream=True),
        "tools": request(url, "Weather in Oslo? [[sim: tools=2]]", **tools),
        "streamed tools": request(url, "Weather in Oslo? [[sim: tools=2]]", stream=True, **tools),
        "rate limit": request(url, "x [[sim: status=429 retry_after=3]]"),
        "refused": request(url, "x [[sim: status=400]]"),
        "failed": request(url, "x [[sim: status=503]]", stream=True),
        "cut": request(url, "x [[sim: tokens=20 cut=6]]", stream=True),
        "stalled": request(url, "x [[sim: tokens=20 stall=6]]", stream=True),
        "embeddings": embedding(url),
        "embeddings of ids": embedding(url, input=[[1, 2, 3]]),
        "embeddings refused": embedding(url, input=["x [[sim: status=400]]"]),
        "hung": request(url, "x [[sim: hang]]", impatient=True),
    }
    found = {name: await called(door, one) for name, one in asked.items()}
    found["left"] = await left(door, request(url, "x [[sim: tokens=50 slow=0.05]]", stream=True))
    await door.aclose()
    return found


def watch(url: str) -> None:
    """Refuse every connection but to the simulator, and every name to be resolved."""
    port = urlsplit(url).port

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(args[1], tuple) and args[1][:2] != ("127.0.0.1", port):
            raise RuntimeError(f"a connection to {args[1]}")
        if event == "socket.getaddrinfo" and args[0] not in {"127.0.0.1", b"127.0.0.1", "localhost"}:
            raise RuntimeError(f"the name {args[0]}")

    sys.addaudithook(hook)


if __name__ == "__main__":
    watch(sys.argv[1])
    sys.stdout.buffer.write(orjson.dumps(asyncio.run(round_of_calls(sys.argv[1]))))
