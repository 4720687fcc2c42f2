"""Every fault, as a client meets it, and what it costs."""

import json
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.simulator.conftest import Provider, Start
from tests.simulator.test_chat import ask
from tests.simulator.test_streaming import chunks, events

_SHORT = httpx.Timeout(20, read=0.2)


def read_until(response: httpx.Response, count: int) -> int:
    """Read a stream up to `count` events, fewer where it breaks off, and return how many came."""
    seen = 0
    try:
        for line in response.iter_lines():
            seen += line.startswith("data: ")
            if seen >= count:
                break
    except httpx.RemoteProtocolError:
        pass
    return seen


@pytest.fixture
def rules(provider: Provider) -> Iterator[str]:
    """Return the path of the rules and leave none behind."""
    yield "/_simulator/faults"
    provider.http.delete("/_simulator/faults")


def test_a_status_is_an_openai_error_and_is_free(provider: Provider) -> None:
    """`status=` refuses with OpenAI's words, with `retry-after` if asked, and bills nothing."""
    before = len(provider.invoice())
    busy = provider.chat("hi [[sim: status=429 retry_after=2]]", stream=True)
    down = provider.chat("hi [[sim: status=503]]")

    assert (busy.status_code, busy.headers["retry-after"]) == (429, "2")
    assert busy.json()["error"]["code"] == "rate_limit_exceeded"
    assert (down.status_code, down.json()["error"]["type"]) == (503, "server_error")
    assert len(provider.invoice()) == before


def test_rules_strike_the_first_calls_to_a_model(provider: Provider, rules: str) -> None:
    """A rule fails so many calls to its model, others are served, and then all are."""
    rule = {"model": "gpt-6-luna", "times": 2, "fault": "status=503"}
    added = provider.http.post(rules, json=[rule])
    statuses = [provider.chat("hi").status_code for _ in range(3)]

    assert added.json() == {"rules": [rule]}
    assert statuses == [503, 503, 200]


def test_rules_leave_other_models_alone_and_can_be_cleared(provider: Provider, rules: str) -> None:
    """Only the model of the rule suffers, and nobody after a DELETE."""
    provider.http.post(rules, json=[{"model": "gpt-6-luna", "times": 9, "fault": "status=500"}])

    assert provider.chat("hi", "gpt-4o-mini").status_code == 200
    assert provider.chat("hi").status_code == 500
    assert provider.http.delete(rules).json() == {"rules": []}
    assert provider.chat("hi").status_code == 200


@pytest.mark.parametrize("body", [{"fault": "hang"}, [{"fault": "hung", "times": 1}], [{"fault": "hang"}], [3]])
def test_unreadable_rules_are_refused(provider: Provider, rules: str, body: object) -> None:
    """A rule that could never strike is an error, not a silence."""
    assert provider.http.post(rules, json=body).status_code == 400


def test_a_misspelt_marker_is_refused(provider: Provider) -> None:
    """A marker that means nothing is an error, so that no test passes without its fault."""
    refused = provider.chat("hi [[sim: stauts=503]]")

    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "unknown_fault"


def test_answers_that_are_not_from_the_model(provider: Provider) -> None:
    """HTML, nothing at all and a redirect arrive as such, and are free."""
    before = len(provider.invoice())
    page = provider.chat("hi [[sim: html]]")
    nothing = provider.chat("hi [[sim: empty]]")
    redirect = provider.chat("hi [[sim: redirect]]")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert (nothing.status_code, nothing.content) == (200, b"")
    assert (redirect.status_code, redirect.headers["location"]) == (307, "/_simulator/redirected")
    assert len(provider.invoice()) == before


def test_following_a_redirect_leaves_a_trace(provider: Provider) -> None:
    """Whoever follows the redirect is seen doing it."""
    provider.http.post("/_simulator/redirected", json={"secret": 1})

    last = provider.http.get("/_simulator/last").json()[-1]
    assert last["path"] == "/_simulator/redirected"


def test_usage_and_done_can_be_withheld(provider: Provider) -> None:
    """The stream lacks what was asked to be withheld, and is billed all the same."""
    fields = {"stream": True, "stream_options": {"include_usage": True}}
    silent = chunks(provider.chat("hi [[sim: no_usage tokens=3]]", **fields).text)
    endless = events(provider.chat("hi [[sim: no_done tokens=3]]", **fields).text)
    plain = provider.chat("hi [[sim: no_usage tokens=3]]").json()

    assert all(chunk["usage"] is None for chunk in silent)
    assert json.loads(endless[-1])["usage"]["completion_tokens"] == 3
    assert "usage" not in plain
    assert provider.line(silent[0]["id"])["usage"]["output"] == 3
    assert provider.line(plain["id"])["usage"]["output"] == 3


def test_garbage_breaks_one_event_of_a_stream(provider: Provider) -> None:
    """After three good events comes one that is no JSON; the rest follows."""
    received = events(provider.chat("hi [[sim: garbage=3 tokens=5]]", stream=True).text)

    assert [index for index, one in enumerate(received) if not _is_json(one)] == [3, 1 + 5 + 1 + 1]


def test_garbage_breaks_a_plain_answer(provider: Provider) -> None:
    """A plain answer is half of its JSON."""
    assert not _is_json(provider.chat("hi [[sim: garbage=0]]").text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_an_error_in_the_stream_ends_it(provider: Provider) -> None:
    """Role, two tokens, an error event, the end; two tokens are billed."""
    received = events(provider.chat("hi [[sim: error_in_stream=3 tokens=9]]", stream=True).text)
    line = provider.line(json.loads(received[0])["id"])

    assert len(received) == 3 + 1
    assert json.loads(received[-1])["error"]["type"] == "server_error"
    assert (line["complete"], line["usage"]["output"]) == (False, 2)


def test_the_sdk_raises_on_an_error_in_the_stream(provider: Provider) -> None:
    """The event is one that OpenAI's own client recognises."""
    stream = provider.sdk.chat.completions.create(
        model="gpt-6-luna", messages=ask("hi [[sim: error_in_stream=3]]"), stream=True
    )

    with pytest.raises(openai.APIError, match="had an error"):
        list(stream)


@pytest.mark.parametrize(("mode", "output"), [("stop", 4), ("finish", 100)])
def test_a_cut_stream_bills_what_the_mode_says(start: Start, mode: str, output: int) -> None:
    """Five events go out, a role and four tokens; `finish` bills all hundred."""
    provider = start("--after-disconnect", mode)
    body = {"model": "gpt-6-luna", "messages": ask("hi [[sim: cut=5 tokens=100]]"), "stream": True}
    with provider.http.stream("POST", "/v1/chat/completions", json=body) as response:
        seen = read_until(response, 1000)

    (line,) = provider.invoice()
    assert seen == 5
    assert (line["complete"], line["usage"]["output"]) == (False, output)


def test_a_cut_plain_answer_is_billed_whole(provider: Provider) -> None:
    """A plain answer is generated before it is sent, so cutting it saves nothing."""
    before = len(provider.invoice())
    with pytest.raises(httpx.RemoteProtocolError):
        provider.chat("hi [[sim: cut=0 tokens=50]]")

    (line,) = provider.invoice()[before:]
    assert (line["complete"], line["usage"]["output"]) == (False, 50)


def test_a_stalled_stream_is_billed_when_the_client_gives_up(provider: Provider) -> None:
    """Five events, then silence on an open connection: four tokens are billed."""
    before = len(provider.invoice())
    body = {
        "model": "gpt-6-luna",
        "messages": ask("hi [[sim: stall=5 tokens=100]]"),
        "stream": True,
    }
    stream = provider.http.stream("POST", "/v1/chat/completions", json=body, timeout=_SHORT)
    with stream as response, pytest.raises(httpx.ReadTimeout):
        read_until(response, 1000)

    (line,) = provider.lines_after(before)
    assert (line["complete"], line["usage"]["output"]) == (False, 4)


def test_a_hanging_call_never_answers(provider: Provider) -> None:
    """The client times out; the provider bills what it read."""
    before = len(provider.invoice())
    body = {"model": "gpt-6-luna", "messages": ask("hi [[sim: hang]]")}
    with pytest.raises(httpx.ReadTimeout):
        provider.http.post("/v1/chat/completions", json=body, timeout=_SHORT)

    (line,) = provider.lines_after(before)
    assert (line["complete"], line["usage"]["output"]) == (False, 0)
    assert line["usage"]["input"] > 0


@pytest.mark.parametrize("mode", ["stop", "finish"])
def test_a_client_that_leaves_is_billed(start: Start, mode: str) -> None:
    """After leaving, what was produced is billed, or everything once it was generated."""
    provider = start("--after-disconnect", mode)
    prompt = "hi [[sim: slow=0.01 tokens=100]]"
    body = {"model": "gpt-6-luna", "messages": ask(prompt), "stream": True}
    with provider.http.stream("POST", "/v1/chat/completions", json=body) as response:
        seen = read_until(response, 6)

    (line,) = provider.lines_after(0)
    assert seen == 6
    assert not line["complete"]
    if mode == "stop":
        assert 6 - 1 <= line["usage"]["output"] < 100
    else:
        assert line["usage"]["output"] == 100


def test_a_client_that_leaves_a_plain_call_is_billed_by_the_clock(provider: Provider) -> None:
    """A plain answer in the making is billed as far as its pace had brought it."""
    before = len(provider.invoice())
    prompt = "hi [[sim: slow=0.01 tokens=1000]]"
    body = {"model": "gpt-6-luna", "messages": ask(prompt)}
    with pytest.raises(httpx.ReadTimeout):
        provider.http.post("/v1/chat/completions", json=body, timeout=_SHORT)

    (line,) = provider.lines_after(before)
    assert 0.2 / 0.01 / 2 < line["usage"]["output"] < 1000
    assert not line["complete"]
