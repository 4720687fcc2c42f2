"""One request from bytes to closed books: plain answers, errors, fallbacks, what is charged and what it cost."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.admission import Lease
from proxy.exchange import Reply
from proxy.wire.errors import (
    AllDown,
    Forbidden,
    Malformed,
    OutOfCredit,
    ProxyError,
    Refused,
    Unavailable,
    UnknownModel,
    UpstreamBroke,
    UpstreamBusy,
    UpstreamLate,
)
from tests.proxy.scene import LENT, Scene, charged_milli, check_books, scene

SIMPLE, MEDIUM, COMPLEX = 1_000, 3_000, 10_000
SHORT = "{connect: 50ms, first_byte: 50ms, idle: 50ms, total: 200ms}"


def play(folder: Path, act: Callable[[Scene], Awaitable[None]], **stage: Any) -> Scene:
    """Play an act and check the books after it; return the scene to look at."""

    async def main() -> Scene:
        async with scene(folder, **stage) as found:
            await act(found)
        return found

    found = asyncio.run(main())
    check_books(found.records())
    if stage.get("plan", "sandbox") == "sandbox":
        assert found.spent_milli == charged_milli(found.records())
    return found


def failed(folder: Path, prompt: str, kind: type[ProxyError], **stage: Any) -> tuple[Scene, ProxyError]:
    """Ask what must fail; return the scene and the error."""
    raised: list[ProxyError] = []

    async def act(here: Scene) -> None:
        with pytest.raises(ProxyError) as caught:
            await here.ask(prompt, **stage.pop("fields", {}))
        raised.append(caught.value)

    found = play(folder, act, **stage)
    assert type(raised[0]) is kind, repr(raised[0])
    return found, raised[0]


def served(
    folder: Path, prompt: str = "hi", *, fields: dict[str, Any] | None = None, **stage: Any
) -> tuple[Scene, Reply]:
    """Ask what must be served; return the scene and the reply."""
    replies: list[Reply] = []

    async def act(here: Scene) -> None:
        replies.append(await here.ask(prompt, **({} if fields is None else fields)))

    return play(folder, act, **stage), replies[0]


def usd_to_nusd(ratio: str) -> Decimal:
    """Read an amount of the provider's invoice."""
    numerator, denominator = ratio.split("/")
    return Decimal(numerator) * 10**9 / Decimal(denominator)


# ---- served --------------------------------------------------------------------------------------------------------


def test_a_plain_answer(tmp_path: Path) -> None:
    """The provider's own bytes, one settlement, and the cost that the provider bills."""
    found, reply = served(tmp_path, "hi [[sim: tokens=20]]")

    answer, end, (bill,) = orjson.loads(reply.body), found.end(), found.billed()
    assert reply.status == 200
    assert answer["usage"]["completion_tokens"] == 20
    assert found.kinds() == ["held", "settled"]
    assert (end["o"], end["cr"], found.spent_milli) == ("ok", SIMPLE, SIMPLE)
    (line,) = end["a"]
    assert (line["id"], line["kind"], line["d"], line["st"]) == (answer["id"], "model", "gpt-6-luna", 200)
    assert bill["call_id"] == line["id"]
    assert abs(usd_to_nusd(bill["amount_usd"]) - line["cost"]) <= Decimal("0.5")
    assert end["base"] > line["cost"]


def test_the_headers_say_what_happened(tmp_path: Path) -> None:
    """All of the contract's, and the cost only for those who may see it."""
    found, reply = served(tmp_path, fields={"model": "auto"})

    headers = dict(reply.headers)
    assert len(headers) == len(reply.headers)
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-penstock-request-id"].decode() == found.end()["x"]
    assert headers[b"x-penstock-tier"] == headers[b"x-penstock-served-tier"] == b"simple"
    assert headers[b"x-penstock-model"] == b"gpt-6-luna"
    assert headers[b"x-penstock-provider"] == b"sandbox"
    assert headers[b"x-penstock-route"] == b"judged"
    assert headers[b"x-penstock-credits-charged"] == b"1"
    assert headers[b"x-penstock-credits-remaining"] == b"%d" % ((LENT - SIMPLE) // 1000)
    assert 0 <= float(headers[b"x-penstock-confidence"]) <= 1
    assert 0 < float(headers[b"x-penstock-overhead-ms"]) < 5_000
    assert b"x-penstock-cost-usd" not in headers


def test_who_may_see_the_cost_sees_it(tmp_path: Path) -> None:
    """The header is what was booked."""
    found, reply = served(tmp_path, scopes="serve see-cost")

    cost = Decimal(dict(reply.headers)[b"x-penstock-cost-usd"].decode())
    assert cost * 10**9 == found.end()["a"][0]["cost"] > 0


@pytest.mark.parametrize(
    ("fields", "headers", "tier", "model", "milli"),
    [
        ({"model": "auto:medium"}, {}, "medium", "gpt-6.1-sol", MEDIUM),
        ({"model": "gpt-4o"}, {b"x-penstock-tier": b"complex"}, "complex", "gpt-6-astra", COMPLEX),
        ({"model": "fast"}, {}, "simple", "gpt-6-luna", SIMPLE),
        ({"model": "gpt-6-astra"}, {}, "complex", "gpt-6-astra", COMPLEX),
    ],
)
def test_what_was_asked_for_is_served_and_charged(
    tmp_path: Path, fields: dict[str, Any], headers: dict[bytes, bytes], tier: str, model: str, milli: int
) -> None:
    """A pinned tier, a hint, an alias, a name: the provider gets its own model's name."""

    async def act(here: Scene) -> None:
        await here.ask(headers=headers, **fields)

    found = play(tmp_path, act)

    end = found.end()
    assert (end["cr"], end["dec"]["charge_tier"], end["dec"]["requested"]) == (milli, tier, fields["model"])
    assert orjson.loads(found.provider.requests[0].content)["model"] == model


def test_a_gated_plan_is_served_and_charged_lower(tmp_path: Path) -> None:
    """Starter reaches up to medium."""
    found, reply = served(tmp_path, fields={"model": "auto:complex"}, plan="starter")

    assert dict(reply.headers)[b"x-penstock-route"] == b"pinned+gate"
    assert (found.end()["cr"], found.end()["a"][0]["d"]) == (MEDIUM, "gpt-6.1-sol")


@pytest.mark.parametrize("plan", ["open", "pro"])
def test_a_plan_that_does_not_enforce_asks_nobody(tmp_path: Path, plan: str) -> None:
    """Counted all the same, with no keeper and no credits in sight."""

    async def act(here: Scene) -> None:
        here.keeper.is_away, here.keeper.credits_milli = True, 0
        await here.ask()

    found = play(tmp_path, act, plan=plan)

    assert found.end()["cr"] == SIMPLE
    assert found.world.wallets.left_milli(1) is None


def test_nothing_of_the_caller_s_headers_goes_upstream(tmp_path: Path) -> None:
    """Neither its key nor its cookies nor where it wanted to go."""
    secret = {b"authorization": b"Bearer sk-penstock-secret", b"cookie": b"c=secret", b"host": b"evil.test"}

    async def act(here: Scene) -> None:
        await here.ask(headers={**secret, b"x-penstock-customer": b"sandbox", b"x-forwarded-for": b"secret"})

    (request,) = play(tmp_path, act).provider.requests

    sent = b" ".join(name + value for name, value in request.headers.raw)
    assert b"secret" not in sent
    assert b"evil" not in sent
    assert b"penstock-" not in sent
    assert request.url.host == "simulator.invalid"


def test_many_at_once_never_spend_more_than_there_is(tmp_path: Path) -> None:
    """Thirty requests, credits for twelve: twelve are served, the others hear 402, and the books agree."""

    async def act(here: Scene) -> None:
        here.keeper.credits_milli = 12 * SIMPLE
        outcomes = await asyncio.gather(*(here.ask() for _ in range(30)), return_exceptions=True)
        assert sum(isinstance(each, Reply) for each in outcomes) == 12
        assert sum(isinstance(each, OutOfCredit) for each in outcomes) == 30 - 12
        assert here.world.wallets.left_milli(1) in {None, 0}
        here.world.wallets.add(1, Lease(LENT - 12 * SIMPLE, None))

    assert charged_milli(play(tmp_path, act).records()) == 12 * SIMPLE


# ---- refused before the hold ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "headers", "kind"),
    [
        ({"n": 0}, {}, Malformed),
        ({"model": "gpt-9"}, {}, UnknownModel),
        ({}, {b"x-penstock-tier": b"huge"}, Malformed),
        ({}, {b"x-penstock-customer": b"globex"}, Forbidden),
        ({}, {b"x-penstock-customer": b"\x00"}, Malformed),
    ],
)
def test_what_is_refused_leaves_no_trace(
    tmp_path: Path, fields: dict[str, Any], headers: dict[bytes, bytes], kind: type[ProxyError]
) -> None:
    """No hold, no call, no credit."""

    async def act(here: Scene) -> None:
        with pytest.raises(kind):
            await here.ask(headers=headers, **fields)

    found = play(tmp_path, act)

    assert found.records() == []
    assert found.provider.requests == []


def test_without_credit_nobody_is_called(tmp_path: Path) -> None:
    """402, and the books are empty."""

    async def act(here: Scene) -> None:
        here.keeper.credits_milli = SIMPLE - 1
        with pytest.raises(OutOfCredit):
            await here.ask()

    found = play(tmp_path, act)

    assert (found.records(), found.provider.requests) == ([], [])


def test_without_a_keeper_nobody_is_served_for_free(tmp_path: Path) -> None:
    """503 for a plan that enforces, and for a customer nobody knows."""

    async def act(here: Scene) -> None:
        here.keeper.is_away = True
        with pytest.raises(Unavailable):
            await here.ask()
        with pytest.raises(Unavailable):
            await here.ask(headers={b"x-penstock-customer": b"new"})

    found = play(tmp_path, act, scopes="serve attribute")

    assert (found.records(), found.provider.requests) == ([], [])


def test_while_closing_nothing_begins(tmp_path: Path) -> None:
    """503, so that a balancer goes elsewhere."""

    async def act(here: Scene) -> None:
        here.world.is_closing = True
        with pytest.raises(Unavailable):
            await here.ask()

    assert play(tmp_path, act).records() == []


def test_a_named_customer_is_opened_at_first_use(tmp_path: Path) -> None:
    """On the default plan, once; its requests are its own."""

    async def act(here: Scene) -> None:
        for _ in range(2):
            await here.ask(headers={b"x-penstock-customer": b"newcomer"})

    found = play(tmp_path, act, scopes="serve attribute", plan="open")

    assert found.keeper.opened == ["newcomer"]
    assert {(record["c"], record["plan"]) for record in found.records() if record["k"] == "held"} == {(101, "open")}


# ---- providers that fail -------------------------------------------------------------------------------------------


def test_a_provider_that_is_down_is_passed_over(tmp_path: Path) -> None:
    """The next deployment serves; the failed call is a line of its own that cost nothing; one charge."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=503", times=1)
        reply = await here.ask()
        assert dict(reply.headers)[b"x-penstock-model"] == b"gpt-4o-mini"

    found = play(tmp_path, act)

    end = found.end()
    assert found.kinds() == ["held", "called", "settled"]
    assert [(line["n"], line["d"], line["kind"], line["st"]) for line in end["a"]] == [
        (1, "gpt-6-luna", "failed", 503), (2, "gpt-4o-mini", "model", 200),
    ]  # fmt: skip
    assert end["a"][0]["cost"] == 0
    assert end["cr"] == SIMPLE
    assert len(found.billed()) == 1


def test_who_served_in_the_end_is_the_served_tier(tmp_path: Path) -> None:
    """Both simple models are down: medium serves, simple is charged."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=503", times=2)
        reply = await here.ask()
        headers = dict(reply.headers)
        assert headers[b"x-penstock-model"] == b"gpt-6.1-sol"
        assert headers[b"x-penstock-tier"] == b"simple"
        assert headers[b"x-penstock-served-tier"] == b"medium"

    play(tmp_path, act)


def test_after_three_calls_it_is_enough(tmp_path: Path) -> None:
    """Four could serve, three are tried, the hold goes back whole; the caller hears which, and when to come back."""
    found, error = failed(tmp_path, "hi [[sim: status=503]]", AllDown)

    assert (error.status, error.retry_after_s) == (503, 1)
    assert error.message == (
        "No model answered. Tried: gpt-6-luna (status 503), gpt-4o-mini (status 503), gpt-6.1-sol (status 503)."
    )
    assert found.kinds() == ["held", "called", "called", "void"]
    assert [line["d"] for line in found.end()["a"]] == ["gpt-6-luna", "gpt-4o-mini", "gpt-6.1-sol"]
    assert found.spent_milli == 0


def test_a_rate_limit_of_all_is_429(tmp_path: Path) -> None:
    """With the provider's own word on when to come back."""
    found, error = failed(tmp_path, "hi [[sim: status=429 retry_after=7]]", UpstreamBusy)

    assert (error.status, error.retry_after_s) == (429, 7)
    assert len(found.provider.requests) == 3


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_a_request_that_the_provider_refuses_is_asked_once(tmp_path: Path, status: int) -> None:
    """Another provider would say the same; the caller gets the provider's words and pays nothing."""
    found, error = failed(tmp_path, f"hi [[sim: status={status}]]", Refused)

    assert (error.status, error.message) == (status, "Injected.")
    assert found.kinds() == ["held", "void"]
    assert found.end()["why"] == "refused_by_provider"
    assert found.end()["a"][0]["cost"] == 0


@pytest.mark.parametrize("status", [401, 403, 404])
def test_trouble_with_our_own_key_is_not_the_caller_s(tmp_path: Path, status: int) -> None:
    """The caller's key is fine: it hears 503, and none of the provider's words."""
    _, error = failed(tmp_path, f"hi [[sim: status={status}]]", AllDown)

    assert error.status == 503
    assert "API key" not in error.message


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """It is a failure like any other: nobody goes where an answer points."""
    found, _ = failed(tmp_path, "hi [[sim: redirect]]", AllDown)

    assert {request.url.path for request in found.provider.requests} == {"/v1/chat/completions"}


@pytest.mark.parametrize("fault", ["html", "empty", "garbage=0", "cut=0", "stall=0"])
def test_a_200_that_is_no_answer_is_not_charged(tmp_path: Path, fault: str) -> None:
    """It may be billed, so its input is booked as an estimate; the caller pays nothing and hears 502."""
    found, error = failed(tmp_path, f"hi [[sim: {fault}]]", UpstreamBroke, timeouts=SHORT)

    end = found.end()
    assert error.status == 502
    assert found.kinds() == ["held", "settled"]
    assert (end["o"], end["cr"], found.spent_milli) == ("error", 0, 0)
    (line,) = end["a"]
    assert (line["kind"], line["id"]) == ("estimated", None)
    assert line["cost"] > 0


def test_a_provider_that_never_answers_is_late(tmp_path: Path) -> None:
    """Each has its deadline, then 504; what they read may be billed and is booked as lost."""
    found, error = failed(tmp_path, "hi [[sim: hang]]", UpstreamLate, timeouts=SHORT)

    end = found.end()
    assert error.status == 504
    assert (end["k"], len(end["a"])) == ("void", 3)
    assert {line["kind"] for line in end["a"]} == {"failed"}
    assert all(line["cost"] > 0 for line in end["a"])
    assert found.provider.left == 3


def test_an_answer_without_usage_is_an_estimate(tmp_path: Path) -> None:
    """Served and charged; its cost line says that nobody reported it."""
    found, reply = served(tmp_path, "hi [[sim: no_usage tokens=50]]")

    end = found.end()
    (line,) = end["a"]
    assert "usage" not in orjson.loads(reply.body)
    assert (end["o"], end["cr"], end["dec"]["usage_source"]) == ("ok", SIMPLE, "estimated")
    assert (line["kind"], line["id"]) == ("estimated", orjson.loads(reply.body)["id"])
    assert line["u"]["output"] >= 50
    assert line["cost"] > 0


# ---- a journal that fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [0, 1])
def test_a_journal_that_fails_is_503(tmp_path: Path, written: int) -> None:
    """Whether at the hold or the settlement: the caller is told that it is us, and hears nothing foreign."""
    raised: list[ProxyError] = []

    async def main() -> Scene:
        async with scene(tmp_path) as here:
            here.journal.fails_at = written
            for _ in range(2):
                with pytest.raises(ProxyError) as caught:
                    await here.ask()
                raised.append(caught.value)
        return here

    found = asyncio.run(main())

    assert [type(each) for each in raised] == [Unavailable, Unavailable]
    assert all("disk" not in each.message for each in raised)
    assert found.kinds() == ["held", "settled"][:written]
    assert len(found.provider.requests) == (written)
    # A hold that was not written takes nothing; one that was keeps its credits until the keeper closed it.
    assert found.spent_milli == (0 if written == 0 else SIMPLE)
