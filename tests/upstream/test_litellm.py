"""The dialect `litellm`: what goes to the library, what comes back, and that nothing else of it gets through.

The round of calls is made with a module in LiteLLM's place, and with the real one where an environment has it: that of
`make litellm` or of `make bench`, or the one whose python `PENSTOCK_LITELLM_PYTHON` names. Both have to say the same.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.peers import LITELLM, PEERS
from proxy.settings import Deployment, Provider
from proxy.upstream.dialects import litellm, signatures
from proxy.upstream.dialects.litellm import chat as dialect
from proxy.upstream.dialects.litellm import embeddings as embedding
from proxy.upstream.dialects.signatures import Signature
from proxy.wire import chat, embeddings
from proxy.wire.errors import Malformed, Refused
from tests.upstream.litellm_calls import WEATHER

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests" / "fakes"
PROVIDER = Provider("groq", "litellm", "", None, enabled=True)
DEPLOYMENT = Deployment("ours", PROVIDER, "groq/llama", prices=None, free=True)


def ask(content: Any = "hi", *more: dict[str, Any], **fields: Any) -> chat.ChatRequest:
    """A request."""
    messages = [{"role": "user", "content": content}, *more]
    return chat.read(orjson.dumps({"model": "auto", "messages": messages, **fields}))


def sent(*args: Any, **fields: Any) -> dict[str, Any]:
    """What goes to LiteLLM; what goes had to be carried."""
    wanted = ask(*args, **fields)
    assert dialect.uncarried(wanted, DEPLOYMENT) is None
    return orjson.loads(dialect.request_body(wanted, DEPLOYMENT))


def test_a_question_and_a_stream() -> None:
    """OpenAI's fields, the provider's name of the model, and a report of usage asked for."""
    question = {"model": "groq/llama", "messages": [{"role": "user", "content": "hi"}]}

    assert sent(temperature=0.2, seed=None) == {**question, "temperature": 0.2}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    assert sent(stream=True, stream_options={"include_usage": False}) == question | streamed
    assert sent(metadata={"a": "b"}, prompt_cache_key="k", safety_identifier="s") == question


@pytest.mark.parametrize(
    "name",
    ["api_base", "base_url", "api_key", "mock_response", "fallbacks", "callbacks", "extra_headers",
     "custom_llm_provider", "litellm_params", "num_retries", "timeout", "model_list", "web_search_options",
     "thinking", "extra_body"],
)  # fmt: skip
def test_no_argument_of_the_library_is_the_caller_s_to_say(name: str) -> None:
    """An address in a request would get our key (BerriAI/litellm#37053): a field that is not OpenAI's is refused."""
    wanted = ask(**{name: "http://attacker.test"})

    assert dialect.uncarried(wanted, DEPLOYMENT) == name
    with pytest.raises(Malformed) as raised:
        dialect.request_body(wanted, DEPLOYMENT)
    assert raised.value.param == name


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"content": [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}]},
         "messages[0].content[0].image_url.url"),
        ({"content": [{"type": "file", "file": {"file_id": "http://x.test/"}}]}, "messages[0].content[0].file"),
        ({"tools": [{"type": "mcp", "server_url": "http://x.test"}]}, "tools[0].type"),
    ],
)  # fmt: skip
def test_nothing_is_fetched_for_a_caller(fields: dict[str, Any], named: str) -> None:
    """LiteLLM would fetch what a request links to, from this machine."""
    try:
        wanted = ask(**fields)
    except Malformed:
        return
    with pytest.raises(Malformed) as raised:
        dialect.request_body(wanted, DEPLOYMENT)

    assert raised.value.param == named


def test_what_lies_in_the_request_goes() -> None:
    """An image as data, tools, ids without another provider's signature."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    call_id = signatures.sealed("call_1", Signature("gemini-4-argon", "s"))
    call = {"id": call_id, "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    turns = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": call_id, "content": "x"}]

    told = sent([image], *turns, tools=[WEATHER])

    assert told["messages"][0]["content"] == [image]
    assert told["messages"][1]["tool_calls"][0]["id"] == told["messages"][2]["tool_call_id"] == "call_1"
    assert told["tools"] == [WEATHER]


def real_python() -> str:
    """Return the python that has LiteLLM, or skip."""
    named = os.environ.get("PENSTOCK_LITELLM_PYTHON")
    made = [ROOT / ".venv-litellm" / "bin" / "python", PEERS / f"litellm-{LITELLM}" / "bin" / "python"]
    found = [named] if named else [str(each) for each in made if each.exists()]
    if not found:
        give_up = pytest.fail if os.environ.get("PENSTOCK_NO_SKIP") == "1" else pytest.skip
        give_up("no environment has LiteLLM: `make litellm` makes one, PENSTOCK_LITELLM_PYTHON names another")
    return found[0]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a simulator."""
    invoice = tmp_path_factory.mktemp("litellm") / "invoice.jsonl"
    command = [sys.executable, "-m", "simulator", "--invoice", str(invoice), "--speed", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@pytest.fixture(scope="module", params=["fake", "real"])
def calls(request: pytest.FixtureRequest, url: str) -> dict[str, dict[str, Any]]:
    """Return what came of the round."""
    is_real = request.param == "real"
    python, path = (real_python(), str(ROOT)) if is_real else (sys.executable, f"{FAKES}{os.pathsep}{ROOT}")
    command = [python, "-m", "tests.upstream.litellm_calls", url]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert b"sk-there" not in done.stderr
    return orjson.loads(done.stdout)


def test_plain_and_streamed_say_the_same(calls: dict[str, Any]) -> None:
    """In OpenAI's shape, with usage, read by OpenAI's own dialect."""
    plain, chunks = calls["plain"]["answer"], calls["streamed"]["chunks"]
    call_id, usage, _ = dialect.read_answer(orjson.dumps(plain), ask())
    relay = dialect.stream(ask(stream=True))
    relay.feed(b"".join(b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks) + b"data: [DONE]\n\n")

    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text == plain["choices"][0]["message"]["content"]
    assert call_id is not None
    assert usage is not None
    assert (relay.usage, relay.finished, relay.call_id) == (usage, True, chunks[0]["id"])
    assert calls["streamed"]["last"] == "[DONE]"
    assert chunks[-1]["choices"] == []


def test_embeddings_are_numbers_with_their_usage(calls: dict[str, Any]) -> None:
    """Whatever the caller wants them as; of token ids, too."""
    asked = embeddings.read(orjson.dumps({"model": "ours", "input": ["a cat", "a dog"], "encoding_format": "base64"}))
    _, usage, body = embedding.read_answer(orjson.dumps(calls["embeddings"]["answer"]), asked)

    vectors = [each["embedding"] for each in calls["embeddings"]["answer"]["data"]]
    assert [len(vector) for vector in vectors] == [8, 8]
    assert usage is not None
    assert usage.input > 0
    assert all(isinstance(each["embedding"], str) for each in orjson.loads(body)["data"])
    assert calls["embeddings of ids"]["answer"]["usage"]["prompt_tokens"] == 3
    assert calls["embeddings refused"]["status"] == 400


def test_parallel_tools_are_called(calls: dict[str, Any]) -> None:
    """Whole, and in pieces."""
    plain, chunks = calls["tools"]["answer"]["choices"][0], calls["streamed tools"]["chunks"]
    parts = [
        part for chunk in chunks for choice in chunk["choices"] for part in choice["delta"].get("tool_calls") or ()
    ]

    whole = [call["function"]["arguments"] for call in plain["message"]["tool_calls"]]
    assert len(whole) == 2
    assert plain["finish_reason"] == "tool_calls"
    pieced = ["".join(part["function"].get("arguments") or "" for part in parts if part["index"] == n) for n in (0, 1)]
    assert pieced == whole


@pytest.mark.parametrize(
    ("name", "status", "after"), [("rate limit", 429, "3"), ("refused", 400, None), ("failed", 503, None)]
)
def test_a_refusal_has_a_status_and_nothing_of_its_text(
    calls: dict[str, Any], name: str, status: int, after: str | None
) -> None:
    """What the exception says stays here."""
    told = calls[name]

    assert (told["status"], told["retry_after"]) == (status, after)
    assert told["answer"]["error"]["message"] is None
    read = litellm.read_error(status, orjson.dumps(told["answer"]), None)
    assert read.message == "The provider refused the request." or not isinstance(read, Refused)


def test_what_breaks_or_stalls_is_known_as_such(calls: dict[str, Any]) -> None:
    """Nobody takes it for an end, and our own deadlines hold."""
    assert calls["cut"] == {"failed": "ReadError", "text": "the stream broke"}
    assert calls["stalled"] == {"failed": "ReadTimeout", "text": "nothing came for too long"}
    assert calls["hung"] == {"failed": "ReadTimeout", "text": "no answer in time"}


def test_who_leaves_a_stream_closes_it(calls: dict[str, Any], url: str) -> None:
    """The provider sees its client leave, and bills no more than it gave."""
    import httpx

    lines = httpx.get(f"{url}/_simulator/invoice", trust_env=False).json()
    partial = [line for line in lines if line["model"] == "gpt-6-luna" and not line["complete"]]

    assert any(line["usage"]["output"] < 50 for line in partial)
    assert calls["left"] == {}
