"""OpenAI's client, Penstock, and a provider that speaks Google's Gemini API: answers, tools, and equal books."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Launch
from tests.e2e.server import Server, write_config
from tests.e2e.test_anthropic import TOOL

MODELS = ("gemini-2.5-flash", "gemini-3.8-flash", "gemini-4-argon")
PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
SAID: dict[str, dict[str, Any]] = {
    "text": {"messages": [{"role": "user", "content": "Why is the sky blue?"}]},
    "tools": {
        "messages": [{"role": "user", "content": "Weather in Oslo? [[sim: tools=2]]"}], "tools": [TOOL],
    },
    "image": {
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PNG}},
        ]}],
    },
    "schema": {
        "messages": [{"role": "user", "content": "A city"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}},
    },
}  # fmt: skip
"""What is asked, by what is special in it."""


def gemini_config(folder: Path) -> Path:
    """Write the sandbox's configuration with a Gemini model, behind the dialect `gemini`, as every tier."""
    return write_config(
        folder,
        providers={"google": {"dialect": "gemini", "base_url": "simulator", "api_key": "simulator"}},
        models={name: {"provider": "google"} for name in MODELS},
        tiers=dict(zip(("simple", "medium", "complex"), ([name] for name in MODELS), strict=True)),
    )


@pytest.fixture(scope="module")
def faulty(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a server for the tests in which something breaks."""
    return launch(gemini_config(tmp_path_factory.mktemp("faulty")))


def assert_books_equal_invoice(server: Server, calls: int) -> None:
    """Assert that the books are sound and say what the provider's invoice says, to the nano-dollar."""
    found, verified = server.cli("reconcile", "--json"), server.cli("ledger", "verify", "--json")

    assert (found.code, verified.code) == (0, 0), (found.out, verified.out)
    assert len(server.invoice()) == calls
    assert {line["kind"] for line in server.invoice()} == {"gemini"}
    assert (found.json()["lines"], found.json()["explained_share"]) == ([], 1)
    assert abs(found.json()["difference_nusd"]) <= found.json()["rounding_bound_nusd"] == calls / 2
    assert verified.json()["ok"] is True


def test_everything_that_is_asked_is_answered_and_booked(launch: Launch, tmp_path: Path):
    """Text, parallel tools, an image, a schema; plain and streamed; by each model: every call is on both accounts."""
    server = launch(gemini_config(tmp_path))
    with server.openai() as client:
        for model in MODELS:
            for asked in SAID.values():
                plain = client.chat.completions.create(model=model, **asked)
                chunks = list(
                    client.chat.completions.create(
                        model=model, stream=True, stream_options={"include_usage": True}, **asked
                    )
                )
                (choice,), said = plain.choices, _added_up(chunks)
                calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]  # type: ignore[union-attr]
                assert said["text"] == (choice.message.content or "")
                assert said["calls"] == calls
                assert said["finish"] == choice.finish_reason == ("tool_calls" if calls else "stop")
                assert len(calls) == (2 if "tools" in asked else 0)
                assert chunks[-1].usage is not None
                assert plain.usage is not None
                assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens
                if "response_format" in asked:
                    assert isinstance(json.loads(choice.message.content or "")["city"], str)

    assert_books_equal_invoice(server, 2 * len(SAID) * len(MODELS))


def _added_up(chunks: list[Any]) -> dict[str, Any]:
    text, finish, calls = "", None, dict[int, list[str]]()
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        text, finish = text + (choice.delta.content or ""), choice.finish_reason or finish
        for part in choice.delta.tool_calls or ():
            call = calls.setdefault(part.index, [part.function.name, ""])
            call[1] += part.function.arguments or ""
    return {"text": text, "finish": finish, "calls": [tuple(call) for call in calls.values()]}


def test_a_tool_loop_keeps_its_signatures_and_its_cache(launch: Launch, tmp_path: Path):
    """A client that gives calls back as it got them passes the provider's check of signatures, streamed or not."""
    server = launch(gemini_config(tmp_path))
    question: Any = {"role": "user", "content": "What is the weather in Oslo? " + "word " * 2000}
    with server.openai() as client:
        ask = client.chat.completions.create
        for stream in (False, True):
            asked: Any = {"model": "gemini-4-argon", "messages": [question], "tools": [TOOL]}
            if stream:
                chunks = [chunk.choices[0].delta for chunk in ask(stream=True, **asked) if chunk.choices]
                pieces = [part for delta in chunks for part in delta.tool_calls or ()]
                call_id, arguments = pieces[0].id, "".join(part.function.arguments or "" for part in pieces)
            else:
                (call,) = ask(**asked).choices[0].message.tool_calls or []
                call_id, arguments = call.id, call.function.arguments
            function = {"name": "get_weather", "arguments": arguments}
            turns: Any = [
                question,
                {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
                {"role": "tool", "tool_call_id": call_id, "content": "rain"},
            ]
            answered = ask(model="gemini-4-argon", messages=turns, tools=[TOOL])
            assert answered.choices[0].message.content
            sent = server.seen_upstream()[-1]["body"]["contents"][1]["parts"][0]
            assert sent["thoughtSignature"] != "skip_thought_signature_validator"
            elsewhere = ask(model="gemini-3.8-flash", messages=turns, tools=[TOOL])
            assert elsewhere.choices[0].message.content
    details = answered.usage.prompt_tokens_details if answered.usage else None

    assert details is not None
    assert (details.cached_tokens or 0) > 1024
    assert_books_equal_invoice(server, 6)


@pytest.mark.parametrize(
    "fault",
    ["status=503", "status=429 retry_after=2", "cut=6", "garbage=6", "error_in_stream=6", "html", "empty", "no_done"],
)
def test_faults_leave_sound_books(faulty: Server, fault: str):
    """Whatever the provider breaks, the caller gets an end that says so, and the ledger is sound."""
    said = faulty.chat(f"hi [[sim: tokens=12 {fault}]]", stream=True, model="gemini-2.5-flash")

    assert said.status_code in {200, 429, 502, 503}, said.text
    if said.status_code == 200:
        assert "[DONE]" not in said.text
        assert '"error"' in said.text
    if "retry_after" in fault:
        assert said.headers["retry-after"] == "2"
    assert faulty.cli("ledger", "verify", "--json").json()["ok"] is True


def test_what_the_provider_refuses_is_the_caller_s_400(faulty: Server):
    """Its words, in the caller's shape; nothing is charged."""
    said = faulty.chat("x", model="gemini-2.5-flash", tools=[TOOL], parallel_tool_calls=False)

    assert (said.status_code, said.json()["error"]["param"]) == (400, "parallel_tool_calls")
