"""Every surface before every dialect, asked for words, tools, images and a schema, plain and streamed.

`python -m tests.e2e.matrix` runs it and writes the table of docs/surfaces.md; `test_matrix` holds the page to it.
A surface is how a request is written and how its answer is read; a new one is a further entry of `SURFACES`.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.server import ROOT, Server, write_config

PAGE = ROOT / "docs" / "surfaces.md"
PLACE = re.compile(r"(<!-- matrix -->\n).*?(<!-- /matrix -->)", re.DOTALL)
MODELS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "openai": ("gpt-6-luna", {"dialect": "openai"}),
    "openai, chat only": ("gpt-6.1-sol", {"dialect": "openai", "responses": False}),
    "anthropic": ("claude-haiku-5-5", {"dialect": "anthropic"}),
    "gemini": ("gemini-3.8-flash", {"dialect": "gemini"}),
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
    if answer.status_code == 400:
        error = answer.json()["error"]  # Anthropic's has no place of its own for the field: its message says it
        return f"`{error['param'] if 'param' in error else re.findall('`(.+?)`', error['message'])[0]}`"
    assert answer.status_code == 200, answer.text
    said = surface.streamed(*_events(answer.text)) if stream else surface.plain(answer.json())
    check(said, kind)
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


def cells(server: Server) -> Iterator[tuple[str, str, str, str, str]]:
    """Run every cell; yield surface, dialect, kind, and what came of it plain and streamed."""
    for name, surface in SURFACES.items():
        for dialect, (model, _) in MODELS.items():
            for kind in KINDS:
                plain, streamed = (ask(server, surface, model, kind, stream=stream) for stream in (False, True))
                yield name, dialect, kind, plain, streamed


def table(found: list[tuple[str, str, str, str, str]]) -> str:
    """Return the table of the page: plain / streamed, or once where both are the same."""
    rows: dict[tuple[str, str], list[str]] = {}
    for surface, dialect, _, plain, streamed in found:
        rows.setdefault((surface, dialect), []).append(plain if plain == streamed else f"{plain} / {streamed}")
    head = f"\n| surface | dialect | {' | '.join(KINDS)} |\n|---|---|{'---|' * len(KINDS)}\n"
    lines = [f"| {surface} | `{dialect}` | {' | '.join(row)} |\n" for (surface, dialect), row in rows.items()]
    return f"{head}{''.join(lines)}\n"


def filled(page: str, told: str) -> str:
    """Return the page with its table renewed."""
    assert PLACE.search(page), "the page has no place for the matrix"
    return PLACE.sub(lambda found: f"{found[1]}{told}{found[2]}", page)


def main() -> None:
    """Run the matrix, write the page."""
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name) / "data", config(Path(name))).start()
        try:
            PAGE.write_text(filled(PAGE.read_text(), table(list(cells(server)))))
        finally:
            server.clear_away()


if __name__ == "__main__":
    main()
