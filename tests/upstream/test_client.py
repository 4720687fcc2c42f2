"""The door to providers: what goes out, what comes back, and what each failure says of the bill."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx

from proxy.settings import Deployment, Provider, Secret, Timeouts
from proxy.upstream.client import Answer, CallFailed, Lost, Unsent, Upstream

TIMEOUTS = Timeouts(connect_s=1, first_byte_s=2, idle_s=3, total_s=4, pool_s=5)
PROVIDER = Provider("house", "openai", "http://house.test/v1", Secret("sk-upstream"), enabled=True, timeouts=TIMEOUTS)
DEPLOYMENT = Deployment("ours", PROVIDER, "theirs", prices=None, free=True)
URL = "http://house.test/v1/chat/completions"


class Pieces(httpx.AsyncByteStream):
    """A body that comes in pieces and ends with an error, or never."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self._pieces, self._error = pieces, error
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._error is not None:
            raise self._error

    async def aclose(self) -> None:
        """Count."""
        self.closed += 1


def mocked(**answers: Any) -> tuple[Upstream, respx.Route]:
    """An upstream whose only provider answers as told."""
    router = respx.MockRouter(assert_all_called=False)
    route = router.post(URL).mock(**answers)
    return Upstream(httpx.MockTransport(router.async_handler)), route


async def called(upstream: Upstream, body: bytes = b"{}", deployment: Deployment = DEPLOYMENT) -> Answer:
    """Make one call."""
    return await upstream.call(deployment, body)


def test_a_plain_answer_comes_back_whole() -> None:
    """Status, a header and the bytes, whatever the status is."""
    upstream, _ = mocked(return_value=httpx.Response(418, content=b"tea", headers={"Retry-After": "7"}))

    async def main() -> tuple[int, bytes | None, bytes | None, bytes]:
        answer = await called(upstream)
        return answer.status, answer.header("retry-after"), answer.header("x-none"), await answer.read()

    assert asyncio.run(main()) == (418, b"7", None, b"tea")


def test_only_our_own_headers_go_upstream() -> None:
    """The key is the provider's, the body the one given, and nothing else is said."""
    upstream, route = mocked(return_value=httpx.Response(200))

    asyncio.run(called(upstream, b'{"model":"theirs"}'))

    request = route.calls.last.request
    assert dict(request.headers) == {
        "host": "house.test",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "identity",
        "user-agent": "penstock",
        "authorization": "Bearer sk-upstream",
    }
    assert request.method == "POST"
    assert request.content == b'{"model":"theirs"}'


def test_a_provider_without_a_key_gets_none() -> None:
    """Two providers do not share what they are sent."""
    router = respx.MockRouter()
    keyless = router.post("http://local.test/v1/chat/completions").respond(200)
    keyed = router.post(URL).respond(200)
    upstream = Upstream(httpx.MockTransport(router.async_handler))
    local = dataclasses.replace(PROVIDER, name="local", base_url="http://local.test/v1", api_key=None)

    async def main() -> None:
        await called(upstream, b"1")
        await called(upstream, b"2", dataclasses.replace(DEPLOYMENT, name="local", provider=local))
        await called(upstream, b"3")

    asyncio.run(main())

    assert "authorization" not in keyless.calls.last.request.headers
    assert keyless.calls.last.request.content == b"2"
    assert [call.request.content for call in keyed.calls] == [b"1", b"3"]
    assert {call.request.headers["authorization"] for call in keyed.calls} == {"Bearer sk-upstream"}


def test_calls_at_the_same_time_keep_their_bodies_apart() -> None:
    """What one request sends is its own, however much of it is shared."""
    sent: list[bytes] = []

    async def echo(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        sent.append(await request.aread())
        return httpx.Response(200, content=request.content)

    async def main() -> list[bytes]:
        upstream = Upstream(httpx.MockTransport(echo))
        answers = await asyncio.gather(*(called(upstream, b"body %d" % i) for i in range(10)))
        return [await answer.read() for answer in answers]

    assert asyncio.run(main()) == [b"body %d" % i for i in range(10)] == sorted(sent)


def test_every_wait_has_its_deadline() -> None:
    """The provider's timeouts reach the transport with each call, the second one too."""
    seen: list[dict[str, Any]] = []

    async def note(request: httpx.Request) -> httpx.Response:
        seen.append({name: value for name, value in request.extensions.items() if "timeout" in name})
        return httpx.Response(200)

    async def main() -> None:
        upstream = Upstream(httpx.MockTransport(note))
        await called(upstream)
        await called(upstream)

    asyncio.run(main())

    expected = {"timeout": {"connect": 1, "read": 3, "write": 3, "pool": 5}, "first_byte_timeout": 2}
    assert seen == [expected, expected]


@pytest.mark.parametrize(
    ("error", "kind", "phase", "late"),
    [
        (httpx.ConnectError("x"), Unsent, "connect", False),
        (httpx.ConnectTimeout("x"), Unsent, "connect", True),
        (httpx.PoolTimeout("x"), Unsent, "connect", True),
        (httpx.ReadTimeout("x"), Lost, "first_byte", True),
        (httpx.WriteTimeout("x"), Lost, "first_byte", True),
        (httpx.ReadError("x"), Lost, "cut", False),
        (httpx.WriteError("x"), Lost, "cut", False),
        (httpx.RemoteProtocolError("x"), Lost, "cut", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_call_without_an_answer(error: Exception, kind: type[CallFailed], phase: str, late: bool) -> None:
    """Only what surely never reached the provider is `Unsent`: the rest may be billed."""
    upstream, _ = mocked(side_effect=error)

    with pytest.raises(CallFailed) as raised:
        asyncio.run(called(upstream))

    assert type(raised.value) is kind
    assert (raised.value.phase, raised.value.late) == (phase, late)


@pytest.mark.parametrize(
    ("error", "phase", "late"),
    [
        (httpx.ReadTimeout("x"), "idle", True),
        (httpx.ReadError("x"), "cut", False),
        (httpx.RemoteProtocolError("x"), "cut", False),
        (httpx.StreamClosed(), "cut", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_answer_that_breaks_off(error: Exception, phase: str, late: bool) -> None:
    """What came before is read, then the reader learns that it was not all; it may be billed."""
    upstream, _ = mocked(return_value=httpx.Response(200, stream=Pieces(b"one", b"two", error=error)))
    seen: list[bytes] = []

    async def main() -> None:
        async for part in (await called(upstream)).parts():
            seen.append(part)  # noqa: PERF401 - the error must not lose what came before it

    with pytest.raises(Lost) as raised:
        asyncio.run(main())

    assert seen == [b"one", b"two"]
    assert (raised.value.phase, raised.value.late) == (phase, late)


def test_an_answer_that_is_too_large_is_closed() -> None:
    """Exactly the limit is read; a byte more is not, and the connection is given up."""
    body = Pieces(b"12345", b"67890")
    larger = Pieces(b"12345", b"67890", b"!")

    async def main() -> bytes:
        upstream, route = mocked(side_effect=[httpx.Response(200, stream=body), httpx.Response(200, stream=larger)])
        whole = await (await called(upstream)).read(bytes_max=10)
        answer = await called(upstream)
        with pytest.raises(Lost) as raised:
            await answer.read(bytes_max=10)
        assert raised.value.phase == "too_large"
        assert route.call_count == 2
        return whole

    assert asyncio.run(main()) == b"1234567890"
    assert larger.closed == 1


def test_a_redirect_is_an_answer_and_not_a_way() -> None:
    """Nobody follows it: the provider list is the configuration's."""
    router = respx.MockRouter()
    elsewhere = router.route(host="evil.test").respond(200)
    redirects = router.post(URL).respond(307, headers={"location": "http://evil.test/"})
    upstream = Upstream(httpx.MockTransport(router.async_handler))

    answer = asyncio.run(called(upstream))

    assert answer.status == 307
    assert (redirects.call_count, elsewhere.call_count) == (1, 0)


def test_a_cancelled_call_stays_cancelled() -> None:
    """Leaving is not a failure of the provider."""

    async def leave(request: httpx.Request) -> httpx.Response:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(called(Upstream(httpx.MockTransport(leave))))


@pytest.mark.parametrize(
    ("kind", "streams"),
    [
        ("text/event-stream", True),
        ("text/event-stream; charset=utf-8", True),
        ("application/json", False),
        ("TEXT/HTML", False),
        ("text/plain", True),
        (None, True),
    ],
)
def test_whether_an_answer_may_be_a_stream(kind: str | None, streams: bool) -> None:
    """Where its content type says that it is something else it is none; servers that say nothing may stream."""
    response = httpx.Response(200, headers={} if kind is None else {"content-type": kind})

    assert Answer(response, TIMEOUTS).is_stream is streams


def test_a_header_may_hold_any_bytes() -> None:
    """What a provider writes into a header raises nothing, whatever its encoding."""
    for value in ("§".encode("latin-1"), "☃".encode(), b"2"):
        response = httpx.Response(429, headers=[(b"retry-after", value)])

        assert Answer(response, TIMEOUTS).header("retry-after") == value


def test_no_secret_is_shown() -> None:
    """Neither the provider nor the deployment shows the key in its repr."""
    assert "sk-upstream" not in repr(PROVIDER) + repr(DEPLOYMENT)
