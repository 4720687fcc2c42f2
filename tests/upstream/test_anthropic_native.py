"""Anthropic's own callers: what passes by value, and the little that does not."""

from typing import Any

import orjson
import pytest

from margin.usage import Usage
from proxy.settings import Deployment, Provider
from proxy.upstream import dialects
from proxy.upstream.dialects.anthropic.native import MessagesStream
from proxy.wire import messages

PROVIDER = Provider("p", "anthropic", "https://example.org", None, enabled=True)
OURS = Deployment("ours", PROVIDER, "claude", prices=None, free=True)
USER = {"role": "user", "content": "hi"}
USAGE = {"input_tokens": 5, "output_tokens": 3}


def ask(*turns: dict[str, Any], **fields: Any) -> messages.MessagesRequest:
    """A request."""
    return messages.read(orjson.dumps({"model": "ours", "max_tokens": 9, "messages": [USER, *turns], **fields}))


def sent(asked: messages.MessagesRequest) -> dict[str, Any]:
    """What goes to Anthropic."""
    found: dict[str, Any] = orjson.loads(dialects.request_body(OURS, asked))
    return found


def test_thinking_that_another_provider_showed_is_not_sent() -> None:
    """It has no signature of Anthropic's, whose answer to it is a 400; what is signed goes back as it came."""
    signed = {"type": "thinking", "thinking": "so", "signature": "c2ln"}
    said = {"type": "text", "text": "yes"}
    unsigned = [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "thinking", "thinking": "hm"}]
    only_thought = {"role": "assistant", "content": unsigned}

    found = sent(ask({"role": "assistant", "content": [*unsigned, said]}, USER, only_thought, USER))
    kept = ask({"role": "assistant", "content": [signed, said]}, USER, thinking={"type": "adaptive"})

    assert found["messages"] == [USER, {"role": "assistant", "content": [said]}, USER, USER]
    assert sent(kept) == {**kept.fields, "model": "claude"}


def answer(usage: dict[str, Any]) -> bytes:
    """A whole answer."""
    return orjson.dumps({"id": "msg_1", "content": [{"type": "text", "text": "x"}], "usage": usage})


@pytest.mark.parametrize(
    ("ran", "source"),
    [
        ({"web_search_requests": 2}, "estimated"),
        ({"web_search_requests": 0, "web_fetch_requests": 0}, "reported"),
        (None, "reported"),
    ],
)
def test_fees_for_searches_make_the_cost_a_lower_bound(ran: Any, source: Any) -> None:
    """Ten dollars a thousand, in no price list of tokens: what is booked is marked, until the bill says the rest."""
    reported = {**USAGE, "server_tool_use": ran}
    start = {"type": "message_start", "message": {"id": "msg_1", "usage": USAGE}}
    end = {"type": "message_delta", "delta": {}, "usage": reported}
    stream = MessagesStream()
    stream.feed(b"".join(b"data: %b\n\n" % orjson.dumps(each) for each in (start, end)))

    _, usage, _ = dialects.read_answer(OURS, ask(), answer(reported), 0)

    assert usage == stream.usage == Usage(input=5, output=3, source=source)
