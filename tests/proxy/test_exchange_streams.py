"""Streams: what the caller sees, when the books are closed, and what happens when somebody leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.upstream.client import Upstream
from proxy.wire import sse
from proxy.wire.errors import AllDown
from tests.proxy.provider import Loopback
from tests.proxy.scene import Scene, charged_milli, check_books, scene

SIMPLE = 1_000
SHORT = "{connect: 50ms, first_byte: 50ms, idle: 50ms, total: 200ms}"
CHUNK = sse.event(b'{"id":"c1","choices":[{"index":0,"delta":{"content":"a"}}]}')
ERROR = sse.event(b'{"error":{"message":"at 10.0.0.7"}}')
DONE = sse.event(sse.DONE)


def play(folder: Path, act: Callable[[Scene], Awaitable[Any]], **stage: Any) -> Scene:
    """Play an act and check the books after it; return the scene to look at."""

    async def main() -> Scene:
        async with scene(folder, **stage) as found:
            await act(found)
        assert found.world.relays == set()
        return found

    found = asyncio.run(main())
    check_books(found.records())
    assert found.spent_milli == charged_milli(found.records())
    return found


def streamed(folder: Path, prompt: str, fields: dict[str, Any] | None = None, **stage: Any) -> Scene:
    """Stream one request to its end."""

    async def act(here: Scene) -> None:
        await here.stream(prompt, **({} if fields is None else fields))

    return play(folder, act, **stage)


def scripted(*pieces: bytes, pages: int = 0, page: bytes = b"text/html") -> Callable[[Scene], None]:
    """Return what puts a provider into a scene that answers with these packets, after so many pages of another kind."""
    left = [page] * pages

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        kind = left.pop() if left else b"text/event-stream"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def put(here: Scene) -> None:
        here.provider = Loopback(app)
        here.world.upstream = Upstream(here.provider)

    return put


# ---- a whole stream ------------------------------------------------------------------------------------------------


def test_a_stream_ends_with_its_books_closed(tmp_path: Path) -> None:
    """When `[DONE]` is sent the settlement is written: whoever has the last byte can ask what it was charged."""
    kinds_at_done: list[list[str]] = []

    async def act(here: Scene) -> None:
        plain_send = here.caller.send

        async def send(data: bytes) -> None:
            if b"[DONE]" in data:
                kinds_at_done.append(here.kinds())
            await plain_send(data)

        here.caller.send = send  # type: ignore[method-assign]
        await here.stream("hi [[sim: tokens=20]]")

    found = play(tmp_path, act)

    assert kinds_at_done == [["held", "mark", "settled"]]
    assert found.caller.is_done
    assert found.caller.got.count(b"[DONE]") == 1


def test_the_usage_is_booked_and_not_shown(tmp_path: Path) -> None:
    """A caller that did not ask for usage sees none of it; the books have the provider's own figures."""
    found = streamed(tmp_path, "hi [[sim: tokens=20]]")

    (line,), (bill,) = found.end()["a"], found.billed()
    assert b"usage" not in found.caller.got
    assert orjson.loads(found.provider.requests[0].content)["stream_options"] == {"include_usage": True}
    assert (line["kind"], line["id"], line["u"]["output"]) == ("model", bill["call_id"], 20)
    numerator, denominator = bill["amount_usd"].split("/")
    assert abs(Decimal(numerator) * 10**9 / Decimal(denominator) - line["cost"]) <= Decimal("0.5")
    assert (found.end()["o"], found.end()["cr"]) == ("ok", SIMPLE)


def test_who_asks_for_usage_gets_it(tmp_path: Path) -> None:
    """As the provider sent it, in the last event before `[DONE]`."""
    found = streamed(tmp_path, "hi [[sim: tokens=20]]", {"stream_options": {"include_usage": True}})

    *_, last, done = found.caller.payloads
    assert done == sse.DONE
    assert last["usage"]["completion_tokens"] == 20


def test_the_caller_sees_what_the_provider_would_have_sent(tmp_path: Path) -> None:
    """Without the proxy's own wish for usage, the bytes are the simulator's, `[DONE]` included."""
    direct: list[bytes] = []

    async def act(here: Scene) -> None:
        await here.stream("hi [[sim: tokens=20]]")
        body = {"model": "gpt-6-luna", "stream": True}
        body |= {"messages": orjson.loads(here.provider.requests[0].content)["messages"]}
        sent: list[bytes] = []

        async def receive() -> dict[str, Any]:
            if sent:
                await asyncio.Event().wait()
            sent.append(b"")
            return {"type": "http.request", "body": orjson.dumps(body)}

        async def send(message: dict[str, Any]) -> None:
            direct.append(message.get("body", b""))

        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"",
                 "headers": [(b"authorization", b"Bearer simulator")]}  # fmt: skip
        await here.simulator(scope, receive, send)

    found = play(tmp_path, act)

    assert _without_ids(found.caller.got) == _without_ids(b"".join(direct))


def _without_ids(text: bytes) -> list[Any]:
    events = [sse.payload(event) for event in sse.split(text)]
    parsed = [each if each == sse.DONE else orjson.loads(each) for each in events if each is not None]
    return [each if each == sse.DONE else {**each, "id": "", "created": 0} for each in parsed]


@pytest.mark.parametrize(
    ("scopes", "headers", "told"),
    [
        ("serve see-cost", {b"x-penstock-cost": b"1"}, True),
        ("serve see-cost", {}, False),
        ("serve", {b"x-penstock-cost": b"1"}, False),
    ],
)
def test_the_cost_of_a_stream_is_a_comment(
    tmp_path: Path, scopes: str, headers: dict[bytes, bytes], told: bool
) -> None:
    """For who may see it and asks for it, before `[DONE]`."""
    found = streamed(tmp_path, "hi", {"headers": headers}, scopes=scopes)

    comments = [event for event in sse.split(found.caller.got) if event.startswith(b":")]
    cost = found.end()["a"][0]["cost"]
    expected = b": x-penstock-cost-usd %d.%09d\n\n" % divmod(cost, 10**9)
    assert comments == ([expected] if told else [])
    assert found.caller.got.endswith((comments[0] if told else b"") + DONE)


# ---- providers that fail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("no_done", "upstream_error"),
        ("error_in_stream=3", "upstream_error"),
        ("error_in_stream=0", "upstream_error"),
        ("cut=3", "upstream_error"),
        ("cut=0", "upstream_error"),
        ("stall=3", "upstream_error"),
        ("empty", "upstream_error"),
        ("slow=0.03", "upstream_timeout"),
    ],
)
def test_a_stream_that_breaks_never_ends_cleanly(tmp_path: Path, fault: str, code: str) -> None:
    """The last event is an error of ours; the caller pays nothing; what it may have cost us is booked."""
    found = streamed(tmp_path, f"hi [[sim: {fault} tokens=40]]", timeouts=SHORT)

    end = found.end()
    assert found.caller.error is not None
    assert found.caller.error["code"] == code
    assert b"[DONE]" not in found.caller.got
    assert b"The server had an error" not in found.caller.got
    assert (end["k"], end["o"], end["cr"]) == ("settled", "cut", 0)
    assert end["a"][-1]["cost"] > 0


@pytest.mark.parametrize(
    "pieces",
    [
        [CHUNK, ERROR, DONE],
        [CHUNK + ERROR + DONE],
        [CHUNK + ERROR, DONE],
        [CHUNK, ERROR + CHUNK + DONE],
    ],
    ids=["apart", "together", "done-apart", "content-between"],
)
def test_an_error_is_one_although_done_follows(tmp_path: Path, pieces: list[bytes]) -> None:
    """Servers that report an error and then say `[DONE]`: however the packets fall, it is no answer and no charge."""

    async def act(here: Scene) -> None:
        scripted(*pieces)(here)
        await here.stream()

    found = play(tmp_path, act)

    assert found.caller.error is not None
    assert b"[DONE]" not in found.caller.got
    assert b"10.0.0.7" not in found.caller.got
    assert (found.end()["o"], found.end()["cr"]) == ("cut", 0)


def test_an_event_that_is_no_json_is_passed_on(tmp_path: Path) -> None:
    """It is not for us to judge; the stream around it is whole and is charged."""

    async def act(here: Scene) -> None:
        garbage = b"data: {not json\n\n"
        scripted(CHUNK, garbage, CHUNK, DONE)(here)
        await here.stream()
        assert here.caller.got == CHUNK + garbage + CHUNK + DONE

    assert play(tmp_path, act).end()["o"] == "ok"


@pytest.mark.parametrize("page", [b"text/html; charset=utf-8", b"Application/JSON"])
def test_a_page_in_the_place_of_a_stream_is_an_error_before_the_first_byte(tmp_path: Path, page: bytes) -> None:
    """The next model is asked; where all do so it is an error. What each may have billed is booked, nobody pays."""

    async def act(here: Scene) -> None:
        scripted(CHUNK, DONE, pages=1, page=page)(here)
        await here.stream()
        assert here.caller.got == CHUNK + DONE
        scripted(CHUNK, pages=9, page=page)(here)
        with pytest.raises(AllDown) as caught:
            await here.stream()
        assert "gpt-6-luna (no stream)" in caught.value.message

    found = play(tmp_path, act)

    served, voided = (each for each in found.records() if each["k"] in {"settled", "void"})
    assert [line["kind"] for line in served["a"]] == ["failed", "estimated"]
    assert [line["kind"] for line in voided["a"]] == ["failed"] * 3
    assert all(line["cost"] > 0 for line in (*served["a"], *voided["a"]))


def test_a_stream_without_usage_is_an_estimate(tmp_path: Path) -> None:
    """Whole and charged; its cost line says that nobody reported it."""
    found = streamed(tmp_path, "hi [[sim: no_usage tokens=40]]")

    end = found.end()
    (line,) = end["a"]
    assert found.caller.is_done
    assert (end["o"], end["cr"], end["dec"]["usage_source"]) == ("ok", SIMPLE, "estimated")
    assert (line["kind"], line["id"]) == ("estimated", found.billed()[0]["call_id"])
    assert line["u"]["output"] >= 40
    assert line["cost"] > 0


def test_an_estimate_is_about_right(tmp_path: Path) -> None:
    """What a stream without usage is booked at, and a crash is recovered from: within half of the truth."""
    found = streamed(tmp_path, "hi [[sim: no_usage tokens=40]]")

    assert 40 / 1.5 <= found.end()["a"][0]["u"]["output"] <= 40 * 1.5


def test_a_provider_that_is_down_is_passed_over_before_the_first_byte(tmp_path: Path) -> None:
    """The caller of a stream sees nothing of it."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=500", times=1)
        await here.stream()

    found = play(tmp_path, act)

    assert found.caller.is_done
    assert [line["kind"] for line in found.end()["a"]] == ["failed", "model"]


def test_an_event_without_an_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has a bound; the caller hears that the provider broke."""
    monkeypatch.setattr(sse, "EVENT_BYTES_MAX", 1000)

    async def act(here: Scene) -> None:
        scripted(CHUNK, b"data: " + b"x" * 600, b"x" * 600, DONE)(here)
        await here.stream()

    found = play(tmp_path, act)

    assert found.caller.error is not None
    assert found.end()["o"] == "cut"


def test_a_long_stream_is_marked_as_it_goes(tmp_path: Path) -> None:
    """A checkpoint at the first byte and every 256 tokens: what a crash can leave unknown is bounded."""
    found = streamed(tmp_path, "hi [[sim: tokens=1000]]")

    marks = [record["out"] for record in found.records() if record["k"] == "mark"]
    assert len(marks) >= 1 + 1000 // 256
    assert marks == sorted(marks)
    assert marks[0] < marks[-1]


# ---- callers that leave --------------------------------------------------------------------------------------------


def test_a_caller_that_leaves_is_charged_what_was_used(tmp_path: Path) -> None:
    """We read on to learn the true bill; nothing more is sent; the books have the provider's own figures."""

    async def act(here: Scene) -> None:
        reply = await here.ask("hi [[sim: tokens=60]]", stream=True)
        assert reply.relay is not None
        here.caller.at[3] = reply.relay.left
        await reply.relay.run(here.caller)
        reply.relay.left()

    found = play(tmp_path, act)

    end, (bill,) = found.end(), found.billed()
    assert found.caller.sends == 3
    assert (end["o"], end["cr"]) == ("client_gone", SIMPLE)
    assert (end["a"][0]["kind"], end["a"][0]["u"]["output"]) == ("model", 60)
    assert bill["complete"]


def test_a_caller_may_leave_before_its_first_byte(tmp_path: Path) -> None:
    """Between the headers and the stream; it is drained like any other."""

    async def act(here: Scene) -> None:
        reply = await here.ask("hi [[sim: tokens=60]]", stream=True)
        assert reply.relay is not None
        reply.relay.left()
        await reply.relay.run(here.caller)

    found = play(tmp_path, act)

    assert found.caller.got == b""
    assert (found.end()["o"], found.end()["a"][0]["kind"]) == ("client_gone", "model")


@pytest.mark.parametrize("leaves_at", [2, 0], ids=["in the stream", "before it"])
def test_draining_has_a_budget(tmp_path: Path, leaves_at: int) -> None:
    """A provider that is slow after its caller left is not waited for: what came is booked as an estimate."""

    async def act(here: Scene) -> None:
        reply = await here.ask("hi [[sim: stall=5 tokens=60]]", stream=True)
        assert reply.relay is not None
        if leaves_at:
            here.caller.at[leaves_at] = reply.relay.left
        else:
            reply.relay.left()
        await asyncio.wait_for(reply.relay.run(here.caller), 1)

    found = play(tmp_path, act, drain="20ms")

    end = found.end()
    assert (end["o"], end["cr"], end["a"][0]["kind"]) == ("client_gone", SIMPLE, "estimated")
    assert found.provider.left == 1
    assert found.billed()[0]["complete"] is False


def test_leaving_after_the_end_is_nothing(tmp_path: Path) -> None:
    """The books are closed already."""

    async def act(here: Scene) -> None:
        reply = await here.stream()
        assert reply.relay is not None
        reply.relay.left()

    assert play(tmp_path, act).end()["o"] == "ok"


def test_a_shutdown_ends_a_stream_with_an_error(tmp_path: Path) -> None:
    """The caller hears that it is us, pays nothing, and never gets a clean end."""

    async def act(here: Scene) -> None:
        reply = await here.ask("hi [[sim: stall=5 tokens=60]]", stream=True)
        assert reply.relay is not None
        here.caller.at[3] = reply.relay.cut
        await reply.relay.run(here.caller)

    found = play(tmp_path, act)

    assert found.caller.error is not None
    assert found.caller.error["code"] == "unavailable"
    assert (found.end()["o"], found.end()["cr"]) == ("cut", 0)


def test_a_shutdown_while_the_last_bytes_are_sent_is_nothing(tmp_path: Path) -> None:
    """A slow reader of `[DONE]`: its books are closed, and cutting it must not break the shutdown's loop."""
    broke: list[RuntimeError] = []

    async def act(here: Scene) -> None:
        reply = await here.ask("hi [[sim: tokens=5]]", stream=True)
        assert reply.relay is not None
        plain_send = here.caller.send

        async def send(data: bytes) -> None:
            if b"[DONE]" in data:
                try:
                    reply.relay.cut()  # type: ignore[union-attr]
                except RuntimeError as error:
                    broke.append(error)
            await plain_send(data)

        here.caller.send = send  # type: ignore[method-assign]
        await reply.relay.run(here.caller)

    found = play(tmp_path, act)

    assert found.caller.is_done
    if broke:
        raise broke[0]


def test_a_caller_whose_connection_breaks_does_not_hang_us(tmp_path: Path) -> None:
    """A server whose `send` raises says that the caller left: the answer is read to its end and charged."""

    async def act(here: Scene) -> None:
        def broken() -> None:
            raise ConnectionResetError("gone")

        here.caller.at[2] = broken
        await here.stream("hi [[sim: tokens=60]]")

    found = play(tmp_path, act)

    assert (found.end()["k"], found.end()["o"], found.end()["a"][0]["kind"]) == ("settled", "client_gone", "model")


# ---- a journal that fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        1,
        2,
    ],
    ids=["checkpoint", "settlement"],
)
def test_a_journal_that_fails_in_a_stream(tmp_path: Path, written: int) -> None:
    """Nothing raises through to the server: the stream ends in an event, and the provider is let go."""

    async def main() -> Scene:
        async with scene(tmp_path) as here:
            here.journal.fails_at = written
            await here.stream("hi [[sim: tokens=20]]")
        return here

    found = asyncio.run(main())

    assert found.kinds() == ["held", "mark"][:written]
    assert found.caller.is_done or found.caller.error is not None


def test_a_caller_that_stops_reading_is_charged_and_let_go(tmp_path: Path) -> None:
    """The server gives up on it; the answer is read to its end and is not free."""

    async def act(here: Scene) -> None:
        async def stuck(_: bytes) -> None:
            await asyncio.sleep(0)
            raise TimeoutError

        here.caller.send = stuck  # type: ignore[method-assign]
        reply = await here.ask("hi [[sim: tokens=20]]", stream=True)
        assert reply.relay is not None
        await asyncio.wait_for(reply.relay.run(here.caller), 2)

    found = play(tmp_path, act)

    assert (found.end()["o"], found.end()["cr"], found.end()["a"][0]["kind"]) == ("client_gone", SIMPLE, "model")


REFUSED = sse.event(b'{"error":{"type":"invalid_request_error","code":"invalid_prompt","message":"Not this."}}')
BUSY = sse.event(b'{"error":{"type":"server_error","code":"rate_limit_exceeded","message":"of org-1"}}')


@pytest.mark.parametrize(
    ("end", "code", "said", "rests"),
    [(REFUSED, "invalid_prompt", "Not this.", False), (BUSY, "upstream_rate_limited", "over its rate limit", True),
     (ERROR, "upstream_error", "ended with an error", True)],
)  # fmt: skip
def test_an_error_inside_streams_says_whose_it_is(
    tmp_path: Path, end: bytes, code: str, said: str, *, rests: bool
) -> None:
    """One caller's bad prompts do not make a model rest for all; a provider's own errors do. Nobody is charged."""

    async def act(here: Scene) -> None:
        scripted(CHUNK, end)(here)
        for _ in range(12):
            try:
                await here.stream("hi")
            except AllDown:
                break
        told = next(each for each in here.caller.payloads if each != sse.DONE and "error" in each)["error"]
        assert (told["code"], said in told["message"]) == (code, True)
        deployment = here.world.settings.tiers["simple"][0]
        assert bool(here.world.vitals.of(deployment).rests_until_s) == rests

    here = play(tmp_path, act)
    assert charged_milli(here.records()) == 0
