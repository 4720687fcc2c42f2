"""OpenAI's client, Penstock, and a provider that speaks Anthropic's Messages API: answers, tools, and equal books."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Launch
from tests.e2e.server import ROOT, Server, write_config

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def faulty(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a server for the tests in which something breaks."""
    return launch(claude_config(tmp_path_factory.mktemp("faulty")))


def claude_config(folder: Path) -> Path:
    """Write the sandbox's configuration with a Claude model, behind the dialect `anthropic`, as every tier."""
    models = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
    return write_config(
        folder,
        providers={"claude": {"dialect": "anthropic", "base_url": "simulator", "api_key": "simulator"}},
        models={name: {"provider": "claude"} for name in models},
        tiers=dict(zip(("simple", "medium", "complex"), ([name] for name in models), strict=True)),
    )


def assert_books_equal_invoice(server: Server, calls: int) -> None:
    """Assert that the books are sound and say what the provider's invoice says, to the nano-dollar."""
    found, verified = server.cli("reconcile", "--json"), server.cli("ledger", "verify", "--json")

    assert (found.code, verified.code) == (0, 0), (found.out, verified.out)
    assert len(server.invoice()) == calls
    assert {line["kind"] for line in server.invoice()} == {"messages"}
    assert (found.json()["lines"], found.json()["explained_share"]) == ([], 1)
    assert abs(found.json()["difference_nusd"]) <= found.json()["rounding_bound_nusd"] == calls / 2
    assert verified.json()["ok"] is True
    assert verified.json()["open_holds"] == 0


def test_openai_client_is_answered_by_claude(launch: Launch, tmp_path: Path):
    """Plain, streamed, cached, with a tool called and answered, by all three models: each call is on both accounts."""
    claude = launch(claude_config(tmp_path))
    marked = {"type": "text", "text": "word " * 2000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    with claude.openai() as client:
        ask = client.chat.completions.create
        for tier in ("simple", "medium", "complex"):
            plain = ask(model=f"auto:{tier}", messages=[{"role": "user", "content": "Why is the sky blue?"}])
            chunks = list(
                ask(
                    model=f"auto:{tier}",
                    messages=[{"role": "user", "content": "Why is the sky blue? "}],
                    stream=True,
                    stream_options={"include_usage": True},
                )
            )
            assert plain.choices[0].message.content
            assert plain.choices[0].finish_reason == "stop"
            assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
            assert chunks[-1].usage is not None
            assert chunks[-1].usage.completion_tokens > 0
        question: Any = {"role": "user", "content": "What is the weather in Oslo?"}
        called = ask(model="auto:simple", messages=[question], tools=[TOOL])
        (call,) = called.choices[0].message.tool_calls or []
        assert called.choices[0].finish_reason == "tool_calls"
        assert call.type == "function"
        assert isinstance(json.loads(call.function.arguments)["city"], str)
        turns: Any = [
            question,
            called.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "rain"},
        ]
        assert ask(model="auto:simple", messages=turns, tools=[TOOL]).choices[0].message.content
        cached: Any = [{"role": "system", "content": [marked]}, {"role": "user", "content": "Hello"}]
        usages = [ask(model="auto:medium", messages=cached).usage for _ in range(2)]
    details = usages[-1].prompt_tokens_details if usages[-1] else None

    assert details is not None
    assert (details.cached_tokens or 0) > 2000
    assert_books_equal_invoice(claude, 10)


@pytest.mark.parametrize("fault", ["status=529", "status=429", "cut=6", "garbage=6", "error_in_stream=6", "html"])
def test_faults_leave_sound_books(faulty: Server, fault: str):
    """Whatever the provider breaks, the caller gets an end, and the ledger is sound."""
    said = faulty.chat(f"hi [[sim: tokens=12 {fault}]]", stream=True)

    assert said.status_code in {200, 429, 502, 503}, said.text
    assert faulty.cli("ledger", "verify", "--json").json()["ok"] is True


def test_one_key_serves_the_shipped_configuration(launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With ANTHROPIC_API_KEY alone, configs/penstock.yaml serves every tier from Claude; only the address changed."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    shipped = yaml.safe_load((ROOT / "configs" / "penstock.yaml").read_text())
    shipped["providers"]["anthropic"]["base_url"] = "simulator"
    (tmp_path / "penstock.yaml").write_text(yaml.safe_dump(shipped))
    (tmp_path / "plans.yaml").write_text((ROOT / "configs" / "plans.yaml").read_text())
    server = launch(tmp_path / "penstock.yaml")
    key = server.create_key("acme", plan="open")

    answers = [server.chat("Hello", key, model=f"auto:{tier}") for tier in ("simple", "medium", "complex")]

    assert [said.status_code for said in answers] == [200, 200, 200], [said.text for said in answers]
    assert [said.json()["model"] for said in answers] == ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"]
    assert server.seen_upstream()[-1]["headers"]["x-api-key"] == "sk-ant-test"
    assert_books_equal_invoice(server, 3)
