"""What nobody should send: refused in OpenAI's shape with the field at fault, never a 5xx, and never charged."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e import wire
from tests.e2e.server import Server
from tests.e2e.wire import Answer

HELLO = [{"role": "user", "content": "Say hello"}]
LIMIT_BYTES = 16 * 1024 * 1024


def body(**fields: Any) -> bytes:
    """Return a good body with some fields changed."""
    return json.dumps({"model": "auto", "messages": HELLO, **fields}).encode()


def said(content: str) -> bytes:
    """Return a good body with JSON text for the message's content."""
    return b'{"model": "auto", "messages": [{"role": "user", "content": %b}]}' % content.encode()


BAD_BODIES: dict[str, tuple[bytes, int, str | None]] = {
    "nothing": (b"", 400, None),
    "not JSON": (b"model=auto", 400, None),
    "half of it": (body()[:-5], 400, None),
    "two of them": (body() + body(), 400, None),
    "not UTF-8": (body().replace(b"hello", b"h\xffllo"), 400, None),
    "UTF-16": (body().decode().encode("utf-16"), 400, None),
    "an array": (b"[]", 400, None),
    "a number": (b"42", 400, None),
    "null": (b"null", 400, None),
    "NaN": (b'{"model": "auto", "temperature": NaN, "messages": []}', 400, "temperature"),
    "Infinity": (b'{"model": "auto", "temperature": -Infinity, "messages": []}', 400, "temperature"),
    "beyond a double": (b'{"model": "auto", "temperature": 1e999, "messages": []}', 400, "temperature"),
    "a lone surrogate": (said('"\\ud800"'), 400, "messages[0].content"),
    "a lone low surrogate": (said('"\\udc00 hi"'), 400, "messages[0].content"),
    "a surrogate as a key": (b'{"\\ud800": 1, "model": "auto", "messages": []}', 400, None),
    "30 digits": (b'{"model": "auto", "x": %b, "messages": []}' % (b"9" * 30), 400, "x"),
    "64 bits and one": (b'{"model": "auto", "seed": 18446744073709551616, "messages": []}', 400, "seed"),
    "100,000 levels": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, None),
    "100,000 arrays": (b'{"model": "auto", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, None),
    "65 levels": (b'{"model": "auto", "x": ' + b"[" * 65 + b"]" * 65 + b', "messages": []}', 400, None),
    "no model": (json.dumps({"messages": HELLO}).encode(), 400, "model"),
    "an empty model": (body(model=""), 400, "model"),
    "a model that is a list": (body(model=["auto"]), 400, "model"),
    "a model of 10,000 letters": (body(model="m" * 10_000), 400, "model"),
    "an unknown model": (body(model="gpt-nonsense"), 404, "model"),
    "an unknown tier": (body(model="auto:huge"), 404, "model"),
    "no messages": (b'{"model": "auto"}', 400, "messages"),
    "empty messages": (body(messages=[]), 400, "messages"),
    "messages as text": (body(messages="hello"), 400, "messages"),
    "a message that is text": (body(messages=["hello"]), 400, "messages[0]"),
    "an unknown role": (body(messages=[{"role": "robot", "content": "hi"}]), 400, "messages[0].role"),
    "no content": (body(messages=[*HELLO, {"role": "user"}]), 400, "messages[1].content"),
    "content as a number": (body(messages=[{"role": "user", "content": 7}]), 400, "messages[0].content"),
    "a part that is text": (body(messages=[{"role": "user", "content": ["hi"]}]), 400, "messages[0].content[0]"),
    "a part without type": (body(messages=[{"role": "user", "content": [{}]}]), 400, "messages[0].content[0]"),
    "stream as text": (body(stream="yes"), 400, "stream"),
    "options without a stream": (body(stream_options={"include_usage": True}), 400, "stream_options"),
    "options as a list": (body(stream=True, stream_options=[]), 400, "stream_options"),
    "usage as text": (body(stream=True, stream_options={"include_usage": "yes"}), 400, "stream_options.include_usage"),
    "n of 0": (body(n=0), 400, "n"),
    "n of 1,000": (body(n=1_000), 400, "n"),
    "n of true": (body(n=True), 400, "n"),
    "max_tokens of -1": (body(max_tokens=-1), 400, "max_tokens"),
    "max_tokens of 1.5": (body(max_tokens=1.5), 400, "max_tokens"),
    "max_completion_tokens of text": (body(max_completion_tokens="9"), 400, "max_completion_tokens"),
    "tools as an object": (body(tools={}), 400, "tools"),
    "response_format as text": (body(response_format="json"), 400, "response_format"),
}


def check_refused(answer: Answer, status: int, param: str | None) -> None:
    """Check a refusal's status, shape and field; the text is ours and holds no trace of Python."""
    error = answer.json()["error"]
    assert (answer.status, error["param"]) == (status, param), error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert answer.headers["content-type"] == "application/json"
    assert "Traceback" not in error["message"]
    assert len(error["message"]) < 1_000


@pytest.fixture(autouse=True, scope="module")
def nothing_is_broken(server: Server) -> Iterator[None]:
    """After everything that is refused here the books are sound and nothing was logged as a bug of ours."""
    yield
    found = server.ask("ledger.verify")
    assert found["ok"], found
    assert found["open_holds"] == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_body_is_refused_and_not_charged(server: Server, name: str):
    """Each is a 4xx that names the field at fault; the report is as it was."""
    sent, status, param = BAD_BODIES[name]
    before = requests_and_cost(server)

    answer = wire.send(server.connect(), wire.request(server.key, sent))

    check_refused(answer, status, param)
    assert requests_and_cost(server) == before


def requests_and_cost(server: Server) -> tuple[int, int]:
    """Return what a request would change in the report (fees accrue all the time)."""
    total = server.ask("report.margin")["total"]
    return total["requests"], total["cost_nusd"]


@pytest.mark.parametrize("size", [LIMIT_BYTES, LIMIT_BYTES + 1])
@pytest.mark.parametrize("stated", [True, False], ids=["content-length", "chunked"])
def test_body_over_the_limit_is_refused(server: Server, size: int, *, stated: bool):
    """At 16 MiB a body is read (this one is no JSON: 400); a byte more is a 413, its length stated or not."""
    sent = b"x" * size
    pieces = [sent[at : at + 1_000_000] for at in range(0, size, 1_000_000)]

    answer = wire.send(
        server.connect(), wire.request(server.key, sent) if stated else wire.chunked(server.key, *pieces)
    )

    check_refused(answer, 400 if size == LIMIT_BYTES else 413, None)


def test_large_body_is_refused_before_it_is_sent(server: Server):
    """A stated length over the limit is answered at once, before a byte of the body."""
    head = wire.request(server.key, b"").replace(b"content-length: 0", b"content-length: 99999999999")
    line = server.connect()
    line.settimeout(5)
    line.sendall(head)

    answer = line.recv(65_536)
    line.close()

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("stated", [b"-1", b"ten", b"1" * 5_000, b"0x10"])
def test_length_that_is_no_length_is_refused(server: Server, stated: bytes):
    """A content-length that is no number is a 4xx."""
    sent = wire.request(server.key, body()).replace(b"content-length: %d" % len(body()), b"content-length: " + stated)

    assert 400 <= wire.send(server.connect(), sent).status < 500


def test_chunked_body_is_read(server: Server):
    """A good body in chunks, split inside a character, is answered."""
    sent = body(messages=[{"role": "user", "content": "Grüße"}]).replace(b"\\u00fc", "ü".encode())
    at = sent.index("ü".encode()) + 1

    answer = wire.send(server.connect(), wire.chunked(server.key, sent[:at], sent[at:]))

    assert answer.status == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
def test_compressed_body_is_refused(server: Server, coding: str):
    """A compressed body is a 4xx that says so, not a puzzling JSON error."""
    answer = wire.send(server.connect(), wire.request(server.key, b"\x1f\x8b", f"content-encoding: {coding}"))

    assert answer.status in {400, 415}
    assert "ompressed" in answer.json()["error"]["message"]


KEYS = {
    "none": None,
    "unknown": "Bearer sk-penstock-000000000000-x",
    "another scheme": "Basic c2s6",
    "no scheme": "sk-penstock-x",
    "empty": "Bearer ",
    "not ASCII": "Bearer sk-pénstock",
    "very long": "Bearer " + "k" * 20_000,
}


@pytest.mark.parametrize("name", KEYS)
def test_wrong_key_is_refused_before_the_body_is_read(server: Server, name: str):
    """Without a live key nothing is read: a 401 even for a body that is no JSON."""
    given_key = KEYS[name]
    line = "" if given_key is None else f"authorization: {given_key}\r\n"
    sent = f"POST {wire.PATH} HTTP/1.1\r\nhost: p\r\n{line}connection: close\r\ncontent-length: 3\r\n\r\nxxx"

    answer = wire.send(server.connect(), sent.encode())

    assert answer.status == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert "sk-p" not in answer.json()["error"]["message"]


BAD_HEADERS = {
    "x-penstock-tier: huge": (400, "x-penstock-tier"),
    "x-penstock-customer: ": (400, "x-penstock-customer"),
    f"x-penstock-customer: {'c' * 129}": (400, "x-penstock-customer"),
    "x-penstock-customer: somebody-else": (403, None),
}


@pytest.mark.parametrize("header", BAD_HEADERS, ids=lambda header: header[:30])
def test_bad_header_is_refused(server: Server, header: str):
    """A header of ours that makes no sense, or asks for what the key may not do, is refused and opens no customer."""
    status, param = BAD_HEADERS[header]
    before = server.ask("customers.list")

    check_refused(wire.send(server.connect(), wire.request(server.key, body(), header)), status, param)

    assert server.ask("customers.list") == before


def test_embeddings_model_in_a_chat_is_the_callers_mistake(server: Server):
    """A model that does not chat is a 4xx, not a failure of the provider."""
    answer = wire.send(server.connect(), wire.request(server.key, body(model="text-embedding-3-small")))

    check_refused(answer, answer.status, "model")
    assert answer.status in {400, 404}


# ---- mutations of good bodies ---------------------------------------------------------------------------------------

GOOD: list[dict[str, Any]] = [
    {"model": "auto", "messages": HELLO, "stream": True, "stream_options": {"include_usage": True}},
    {
        "model": "auto:medium",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "hi"},
                                         {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": "auto", "parallel_tool_calls": False, "max_completion_tokens": 50, "n": 1, "seed": 7,
    },
    {
        "model": "gpt-6-astra", "messages": HELLO, "temperature": 0.5, "reasoning_effort": "low", "max_tokens": 20,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        "metadata": {"team": "a"}, "user": "u", "stop": ["\n"], "logit_bias": {"1": 2},
    },
]  # fmt: skip

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.just([]), st.just({}), st.just([None]), st.just([[]]), st.just({"type": None}),
    st.sampled_from(["user", "tool", "auto", "required", "json_schema", "function", "[[sim: tokens=1]]"]),
)  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every value inside a body."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in inside:
        yield (*path, name)
        yield from places(value, (*path, name))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw a good body and change some places in it: another value, nothing there, or the same twice."""
    found = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        at = list(places(found))
        if not at:
            break
        *path, last = draw(st.sampled_from(at))
        parent = found
        for step in path:
            parent = parent[step]
        match draw(st.sampled_from(["replace", "remove", "wrap", "rename"])):
            case "replace":
                parent[last] = copy.deepcopy(draw(VALUES))
            case "remove":
                del parent[last]
            case "wrap":
                parent[last] = [parent[last]]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.text(max_size=6))] = parent.pop(last)
            case _:
                parent.append(parent[last])
    return json.dumps(found).encode()


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """Draw a good body and change some of its bytes."""
    found = bytearray(json.dumps(draw(st.sampled_from(GOOD))).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(found) - 1))
        found[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(found)


@pytest.fixture(scope="module")
def sender(server: Server) -> Iterator[httpx.Client]:
    """Yield a connection to send them over."""
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    with httpx.Client(verify=False, base_url=server.origin, headers=headers, timeout=20) as client:
        yield client


@settings(
    max_examples=200, deadline=None, database=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(sent=mutated() | torn())
def test_no_mutation_is_a_failure_of_ours(sender: httpx.Client, sent: bytes):
    """Whatever is changed in a good body, it is answered or refused; it never breaks anything."""
    answer = sender.post(wire.PATH, content=sent)

    assert answer.status_code < 500, (sent, answer.text)
    if answer.status_code != 200:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
