"""What an answer comes to, whoever gave it and however: the same of a whole one and of its stream."""

from typing import Any

import orjson
import pytest

from proxy.settings import Deployment, Provider
from proxy.upstream.dialects import gists
from proxy.wire import chat, responses
from proxy.wire.gist import Gist
from tests.upstream import test_anthropic_answer as anthropic
from tests.upstream import test_gemini_answer as gemini

TEXT = "I see it."


def deployment(dialect: str) -> Deployment:
    """A model that speaks a dialect, Responses too where the dialect has them."""
    provider = Provider("it", dialect, "https://example.com", None, enabled=True, responses=dialect == "openai")
    return Deployment("ours", provider, "some-model", prices=None, free=True)


def ask(*, stream: bool) -> Any:
    """A chat request."""
    return chat.read(orjson.dumps({"model": "auto", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}))


@pytest.mark.parametrize(
    ("content", "stop", "said"),
    [
        ([{"type": "text", "text": TEXT}], "end_turn", Gist(TEXT, False, "said")),
        ([{"type": "text", "text": TEXT}], "max_tokens", Gist(TEXT, False, "limit")),
        ([{"type": "text", "text": "No."}], "refusal", Gist("No.", False, "refused")),
        ([{"type": "tool_use", "id": "t1", "name": "look", "input": {}}], "tool_use", Gist("", True, "calls")),
    ],
)
def test_anthropic(content: list[dict[str, Any]], stop: str, said: Gist) -> None:
    """Words, tools, and why it ends."""
    answer = anthropic.message(content, stop)
    found = deployment("anthropic")

    assert gists.read(found, ask(stream=False), orjson.dumps(answer)) == said
    assert gists.read(found, ask(stream=True), anthropic.wire(anthropic.events(answer))) == said


@pytest.mark.parametrize(
    ("finish", "said"),
    [("STOP", Gist(TEXT, False, "said")), ("MAX_TOKENS", Gist(TEXT, False, "limit")),
     ("SAFETY", Gist(TEXT, False, "refused"))],
)  # fmt: skip
def test_gemini(finish: str, said: Gist) -> None:
    """The same of Google's."""
    answer = gemini.response([{"text": TEXT}], finish)
    found = deployment("gemini")

    assert gists.read(found, ask(stream=False), orjson.dumps(answer)) == said
    assert gists.read(found, ask(stream=True), gemini.wire(gemini.events(answer))) == said


def completion(finish: str, *, index: int = 0, **message: Any) -> bytes:
    """A chat completion."""
    choice = {"index": index, "message": {"role": "assistant", "content": TEXT, **message}, "finish_reason": finish}
    return orjson.dumps({"id": "c1", "model": "some-model", "choices": [choice]})


def test_chat_completions() -> None:
    """A refusal in its own field is one; of several choices nothing can be told, nor of what is no answer."""
    found = deployment("openai")

    def told(body: bytes) -> Gist | None:
        return gists.read(found, ask(stream=False), body)

    assert told(completion("stop")) == Gist(TEXT, False, "said")
    assert told(completion("length")) == Gist(TEXT, False, "limit")
    assert told(completion("stop", content=None, refusal="No.")) == Gist("No.", False, "refused")
    assert told(completion("stop", index=1)) is None
    assert told(b"no JSON") is None
    assert told(b"[]") is None


def test_a_stream_without_its_end_says_nothing() -> None:
    """Nobody can tell what it would have come to."""
    chunk = {"id": "c1", "choices": [{"index": 0, "delta": {"content": TEXT}, "finish_reason": "stop"}]}
    event = b"data: " + orjson.dumps(chunk) + b"\n\n"
    found = deployment("openai")

    assert gists.read(found, ask(stream=True), event) is None
    assert gists.read(found, ask(stream=True), event + b"data: [DONE]\n\n") == Gist(TEXT, False, "said")


def test_responses_in_their_own_format() -> None:
    """The object, or the last event of its stream."""
    item = {"type": "message", "content": [{"type": "output_text", "text": TEXT}]}
    whole = {"id": "r1", "status": "completed", "output": [item]}
    event = (
        b"event: response.completed\ndata: " + orjson.dumps({"type": "response.completed", "response": whole}) + b"\n\n"
    )
    found = deployment("openai")

    for stream, body in ((False, orjson.dumps(whole)), (True, event)):
        asked = responses.read(orjson.dumps({"model": "auto", "input": "hi", "stream": stream}))
        assert gists.read(found, asked, body) == Gist(TEXT, False, "said")
        assert gists.read(found, asked, body[: len(body) // 2]) is None
