"""Every surface before every dialect, asked for words, tools, images and a schema, plain and streamed.

`python -m tests.e2e.matrix` runs it and writes the table of docs/surfaces.md; `test_matrix` holds the page to it.
A surface is how a request is written and how its answer is read; a new one is a further entry of `SURFACES`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.server import ROOT, Server, write_config

PAGE = ROOT / "docs" / "surfaces.md"
MODELS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "openai": ("gpt-6-luna", {"dialect": "openai"}),
    "openai, chat only": ("gpt-6.1-sol", {"dialect": "openai", "responses": False}),
    "anthropic": ("claude-haiku-5-5", {"dialect": "anthropic"}),
    "gemini": ("gemini-3.8-flash", {"dialect": "gemini"}),
    "litellm": ("house", {"dialect": "litellm"}),
}
"""A model for each dialect; one that is compatible with OpenAI's chats alone is a dialect of its own here."""
KINDS = ("text", "tools", "image", "schema", "everything else")
PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
          "additionalProperties": False}  # fmt: skip
FUNCTION = {"name": "get_weather", "description": "Weather.", "parameters": SCHEMA}


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer came to, whichever surface it was told on."""

    words: str
    calls: list[str]
    """The arguments of each call."""
    is_whole: bool
    usage: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Surface:
    """How a request is written, and its answer read."""

    path: str
    body: Callable[[str, str], dict[str, Any]]
    """By kind and prompt."""
    plain: Callable[[Any], Said]
    streamed: Callable[[list[Any], bool], Said]
    """Of the events' data, and whether `[DONE]` was the last."""


def _chat_body(kind: str, prompt: str) -> dict[str, Any]:
    said: Any = prompt
    if kind == "image":
        said = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": PNG}}]
    body: dict[str, Any] = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": said}]}
    if kind == "tools":
        body["tools"] = [{"type": "function", "function": FUNCTION}]
    if kind == "schema":
        form = {"name": "city", "schema": SCHEMA, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if kind == "everything else":
        body["logprobs"] = True
    return body


def _chat_plain(answer: Any) -> Said:
    (choice,) = answer["choices"]
    calls = [call["function"]["arguments"] for call in choice["message"].get("tool_calls") or ()]
    used = answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]
    return Said(choice["message"]["content"] or "", calls, choice["finish_reason"] in {"stop", "tool_calls"}, used)


def _chat_streamed(events: list[Any], is_done: bool) -> Said:
    words, calls, finish, used = "", list[str](), None, None
    for event in events:
        if event.get("usage"):
            used = event["usage"]["prompt_tokens"], event["usage"]["completion_tokens"]
        for choice in event["choices"]:
            finish = choice["finish_reason"] or finish
            words += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or ():
                calls += [""] * (call["index"] + 1 - len(calls))
                calls[call["index"]] += call["function"].get("arguments") or ""
    return Said(words, calls, is_done and finish in {"stop", "tool_calls"}, used)


def _responses_body(kind: str, prompt: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "input_text", "text": prompt}]
    if kind == "image":
        parts.append({"type": "input_image", "image_url": PNG, "detail": "auto"})
    body: dict[str, Any] = {"instructions": "Be brief.", "input": [{"role": "user", "content": parts}]}
    if kind == "tools":
        body["tools"] = [{"type": "function", **FUNCTION}]
    if kind == "schema":
        body["text"] = {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA, "strict": True}}
    if kind == "everything else":
        body["tools"] = [{"type": "web_search"}]
    return body


def _responses_plain(answer: Any) -> Said:
    words = [part["text"] for item in answer["output"] for part in item.get("content") or () if "text" in part]
    calls = [item["arguments"] for item in answer["output"] if item["type"] == "function_call"]
    used = answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]
    return Said("".join(words), calls, answer["status"] == "completed", used)


def _responses_streamed(events: list[Any], is_done: bool) -> Said:
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    last = _responses_plain(events[-1]["response"])
    assert "".join(deltas) == last.words
    return Said(last.words, last.calls, last.is_whole and not is_done, last.usage)


def _messages_body(kind: str, prompt: str) -> dict[str, Any]:
    said: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
    if kind == "image":
        source = {"type": "base64", "media_type": "image/png", "data": PNG.partition(",")[2]}
        said.append({"type": "image", "source": source})
    body: dict[str, Any] = {"max_tokens": 1000, "system": "Be brief.", "messages": [{"role": "user", "content": said}]}
    if kind == "tools":
        body["tools"] = [{"name": FUNCTION["name"], "description": FUNCTION["description"], "input_schema": SCHEMA}]
    if kind == "schema":
        body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if kind == "everything else":
        body["top_k"] = 5
    return body


def _messages_plain(answer: Any) -> Said:
    words = [block["text"] for block in answer["content"] if block["type"] == "text"]
    calls = [json.dumps(block["input"]) for block in answer["content"] if block["type"] == "tool_use"]
    used = answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]
    return Said("".join(words), calls, answer["stop_reason"] in {"end_turn", "tool_use"}, used)


def _messages_streamed(events: list[Any], is_done: bool) -> Said:
    words, calls, reason, used = "", dict[int, str](), None, dict[str, int]()
    for event in events:
        match event["type"]:
            case "message_start":
                used |= event["message"]["usage"]
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                calls[event["index"]] = ""
            case "content_block_delta":
                words += event["delta"].get("text", "")
                if event["index"] in calls:
                    calls[event["index"]] += event["delta"].get("partial_json", "")
            case "message_delta":
                reason, used = event["delta"]["stop_reason"], used | event["usage"]
            case _:
                pass
    is_whole = events[-1]["type"] == "message_stop" and reason in {"end_turn", "tool_use"} and not is_done
    return Said(words, [*calls.values()], is_whole, (used["input_tokens"], used["output_tokens"]))


SURFACES: Mapping[str, Surface] = {
    "chat completions": Surface("/v1/chat/completions", _chat_body, _chat_plain, _chat_streamed),
    "Messages": Surface("/v1/messages", _messages_body, _messages_plain, _messages_streamed),
    "Responses": Surface("/v1/responses", _responses_body, _responses_plain, _responses_streamed),
}
"""By name, in the order of the page."""


PROMPT = "Once upon a time in Oslo"
COMPLETIONS: Mapping[str, Mapping[str, Any]] = {
    "one text": {}, "several": {"prompt": [PROMPT, "Twice"]}, "token ids": {"prompt": [1, 2, 3]}, "n": {"n": 2},
    "echo": {"echo": True}, "suffix": {"suffix": "the end"}, "logprobs": {"logprobs": 1},
}  # fmt: skip
"""What a request for completions may hold, by the columns of its table."""
EMBEDDINGS: Mapping[str, Mapping[str, Any]] = {
    "texts": {"input": ["a", "b"]}, "token ids": {"input": [1, 2]}, "dimensions": {"dimensions": 8},
    "base64": {"encoding_format": "base64"}, "everything else": {"input_type": "query"},
}  # fmt: skip
BASE = "gpt-3.5-turbo-instruct"
EMBED = {"openai": "text-embedding-3-small", "gemini": "gemini-embedding-001", "litellm": "borrowed-embedding",
         "anthropic": "claude-haiku-5-5"}  # fmt: skip


@contextmanager
def borrowed() -> Iterator[None]:
    """Put the tests' module in LiteLLM's place, here and in the servers that are started."""
    fakes = str(ROOT / "tests" / "fakes")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = fakes
    sys.path.insert(0, fakes)
    try:
        yield
    finally:
        sys.path.remove(fakes)
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def config(folder: Path) -> Path:
    """Write a configuration with a provider of each dialect, all of them the simulator."""
    providers = {
        model: {**shape, "base_url": "simulator", "api_key": "simulator"} for model, shape in MODELS.values()
    }  # fmt: skip
    price = {"input": 2, "cache_read": 0.1, "cache_write": 2.5, "output": 10}
    models: dict[str, dict[str, Any]] = {model: {"provider": model} for model in providers}
    models["gpt-6.1-sol"]["price"] = models["gpt-6-luna"]["price"] = models["gemini-3.8-flash"]["price"] = price
    for model in ("gpt-6-luna", "gemini-3.8-flash", "claude-haiku-5-5"):
        models[model].pop("price", None)
    cheap = {"input": 0.10, "cache_read": 0.01, "cache_write": 0.125, "output": 0.50}
    models["house"] |= {"model": "openai/gpt-6-luna", "price": cheap}
    models[BASE] = {"provider": "gpt-6-luna", "price": {"input": 1.5, "output": 2}, "serves": ["completions"]}
    models[EMBED["openai"]] = {"provider": "gpt-6-luna"}
    models[EMBED["gemini"]] = {"provider": "gemini-3.8-flash"}
    models[EMBED["litellm"]] = {"provider": "house", "model": f"openai/{EMBED['openai']}", "price": {"input": 0.02}}
    tiers = dict(zip(("simple", "medium", "complex"), ([model] for model in models), strict=False))
    return write_config(folder, providers=providers, models=models, tiers=tiers)


def ask(server: Server, surface: Surface, model: str, kind: str, *, stream: bool) -> str:
    """Ask once; return `yes`, or the field that is refused. What was answered must be what was asked for."""
    prompt = f"Weather in Oslo for {surface.path} {kind} {stream}? [[sim: tools=2]]" if kind == "tools" else (
        f"Tell me about the city, {surface.path} {kind} {stream}."
    )  # fmt: skip
    body = {"model": model, **surface.body(kind, prompt), **({"stream": True} if stream else {})}
    if stream and surface.path == "/v1/chat/completions":
        body["stream_options"] = {"include_usage": True}
    answer = httpx.post(f"{server.origin}{surface.path}", json=body, timeout=30,
                        headers={"authorization": f"Bearer {server.key}"})  # fmt: skip
    refused = _refused(answer)
    if refused is not None:
        return refused
    said = surface.streamed(*_events(answer.text)) if stream else surface.plain(answer.json())
    check(said, kind)
    return "yes"


def _refused(answer: httpx.Response) -> str | None:
    if answer.status_code == 400:
        error = answer.json()["error"]  # Anthropic's has no place of its own for the field: its message says it
        return f"`{error['param'] if 'param' in error else re.findall('`(.+?)`', error['message'])[0]}`"
    assert answer.status_code == 200, answer.text
    return None


def _sent(server: Server, path: str, body: Mapping[str, Any]) -> httpx.Response:
    headers = {"authorization": f"Bearer {server.key}"}
    return httpx.post(f"{server.origin}{path}", json=body, timeout=30, headers=headers)


def complete(server: Server, model: str, more: Mapping[str, Any], *, stream: bool) -> str:
    """Ask for completions once; return `yes`, or the field that is refused."""
    body = {"model": model, "prompt": PROMPT, "max_tokens": 8, **more, **({"stream": True} if stream else {})}
    answer = _sent(server, "/v1/completions", body)
    refused = _refused(answer)
    if refused is not None:
        return refused
    events, is_done = _events(answer.text) if stream else ([answer.json()], True)
    assert is_done
    texts: dict[int, str] = {}
    for choice in (choice for event in events for choice in event["choices"]):
        texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
    prompts = len(more["prompt"]) if isinstance(more.get("prompt", ""), list) and "Twice" in more["prompt"] else 1
    assert len(texts) == more.get("n", 1) * prompts
    assert all(texts.values())
    assert "echo" not in more or texts[0].startswith(PROMPT)
    return "yes"


def embed(server: Server, model: str, more: Mapping[str, Any]) -> str:
    """Ask for embeddings once; return `yes`, or the field that is refused."""
    answer = _sent(server, "/v1/embeddings", {"model": model, "input": "a", **more})
    refused = _refused(answer)
    if refused is not None:
        return refused
    told = answer.json()
    given = more.get("input", "a")
    assert len(told["data"]) == (2 if given == ["a", "b"] else 1)
    kind = str if more.get("encoding_format") == "base64" else list
    assert all(isinstance(each["embedding"], kind) for each in told["data"])
    assert "dimensions" not in more or len(told["data"][0]["embedding"]) == more["dimensions"]
    assert told["usage"]["prompt_tokens"] > 0
    return "yes"


def _events(text: str) -> tuple[list[Any], bool]:
    data = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    is_done = data[-1] == "[DONE]"
    return [json.loads(each) for each in data if each != "[DONE]"], is_done


def check(said: Said, kind: str) -> None:
    """Assert that an answer is whole, and of the kind that was asked for."""
    assert said.is_whole, said
    assert said.usage is not None
    assert all(count > 0 for count in said.usage)
    if kind == "tools":
        assert len(said.calls) == 2
        assert all(isinstance(json.loads(call)["city"], str) for call in said.calls)
    elif kind == "schema":
        assert set(json.loads(said.words)) == {"city"}
    else:
        assert said.words


Cell = tuple[str, str, str, str, str | None]
"""Surface, dialect, kind, what came of it plain, and streamed where there are streams."""


def cells(server: Server) -> Iterator[Cell]:
    """Run every cell; yield surface, dialect, kind, and what came of it plain and streamed."""
    for name, surface in SURFACES.items():
        for dialect, (model, _) in MODELS.items():
            for kind in KINDS:
                plain, streamed = (ask(server, surface, model, kind, stream=stream) for stream in (False, True))
                yield name, dialect, kind, plain, streamed


def completions(server: Server) -> Iterator[Cell]:
    """Run every cell of the table of completions."""
    asked = {"openai, serves completions": BASE, **{dialect: model for dialect, (model, _) in MODELS.items()}}
    del asked["openai, chat only"]
    for dialect, model in asked.items():
        for kind, more in COMPLETIONS.items():
            plain, streamed = (complete(server, model, more, stream=stream) for stream in (False, True))
            yield "completions", dialect, kind, plain, streamed


def embeddings(server: Server) -> Iterator[Cell]:
    """Run every cell of the table of embeddings."""
    for dialect, model in EMBED.items():
        for kind, more in EMBEDDINGS.items():
            yield "embeddings", dialect, kind, embed(server, model, more), None


def pages(server: Server) -> dict[str, list[Cell]]:
    """Run every table, by the name of its place in the page."""
    return {name: list(run(server)) for name, run in
            (("matrix", cells), ("completions", completions), ("embeddings", embeddings))}  # fmt: skip


def table(found: list[Cell]) -> str:
    """Return a table of the page: plain / streamed, or once where both are the same."""
    rows: dict[tuple[str, str], list[str]] = {}
    for surface, dialect, _, plain, streamed in found:
        cell = plain if streamed in (plain, None) else f"{plain} / {streamed}"
        rows.setdefault((surface, dialect), []).append(cell)
    kinds = [*dict.fromkeys(kind for _, _, kind, _, _ in found)]
    head = f"\n| surface | dialect | {' | '.join(kinds)} |\n|---|---|{'---|' * len(kinds)}\n"
    lines = [f"| {surface} | `{dialect}` | {' | '.join(row)} |\n" for (surface, dialect), row in rows.items()]
    return f"{head}{''.join(lines)}\n"


def filled(page: str, told: Mapping[str, list[Cell]]) -> str:
    """Return the page with its tables renewed."""
    for name, found in told.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        assert place.search(page), f"the page has no place for {name}"
        text = table(found)
        page = place.sub(lambda at, text=text: f"{at[1]}{text}{at[2]}", page)  # type: ignore[misc]
    return page


def main() -> None:
    """Run the matrix, write the page."""
    with tempfile.TemporaryDirectory() as name, borrowed():
        server = Server(Path(name) / "data", config(Path(name))).start()
        try:
            PAGE.write_text(filled(PAGE.read_text(), pages(server)))
        finally:
            server.clear_away()


if __name__ == "__main__":
    main()
