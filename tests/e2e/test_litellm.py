"""OpenAI's client, Penstock, the door to LiteLLM with a module in its place, the simulator's OpenAI: equal books."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Launch
from tests.e2e.server import ROOT, write_config
from tests.e2e.test_anthropic import TOOL


def test_every_call_is_on_both_accounts(launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Plain, streamed, with tools; a fault is an event, an unknown field a 400, and the books are the invoice."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "fakes"))
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "fakes"))
    price = {"input": 0.10, "cache_read": 0.01, "cache_write": 0.125, "output": 0.50}
    server = launch(
        write_config(
            tmp_path,
            providers={"others": {"dialect": "litellm", "base_url": "simulator", "api_key": "simulator"}},
            models={"house": {"provider": "others", "model": "openai/gpt-6-luna", "price": price}},
            tiers={tier: ["house"] for tier in ("simple", "medium", "complex")},
        )
    )
    with server.openai() as client:
        ask = client.chat.completions.create
        for extra in ({}, {"tools": [TOOL]}):
            asked: Any = {"model": "auto", "messages": [{"role": "user", "content": "Weather in Oslo?"}], **extra}
            plain, chunks = ask(**asked), list(ask(stream=True, stream_options={"include_usage": True}, **asked))
            assert plain.usage is not None
            assert chunks[-1].usage is not None
            assert plain.usage.completion_tokens == chunks[-1].usage.completion_tokens
            assert bool(plain.choices[0].message.tool_calls) is bool(extra)
    cut = server.chat("hi [[sim: tokens=20 error_in_stream=5]]", stream=True)
    strange = server.chat("hi", api_base="http://attacker.test")
    found = server.cli("reconcile", "--json").json()

    assert '"error"' in cut.text or "[DONE]" not in cut.text
    assert (strange.status_code, strange.json()["error"]["param"]) == (400, "api_base")
    billed = {line["call_id"] for line in server.invoice() if line["complete"]}
    assert len(billed) == 4
    assert all(line.get("call_id") not in billed for line in found["lines"])
    assert server.cli("ledger", "verify", "--json").json()["ok"] is True
