"""Calls in turn when providers fail: who is tried, who is left alone, what the caller hears, what the books say."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.exchange import Reply
from proxy.routing.tries import spared
from proxy.settings import TIERS, Deployment, Provider, Tier
from proxy.wire.errors import AllDown, Malformed, ProxyError, UpstreamBusy, UpstreamLate
from tests.proxy.scene import Caller, Record, Scene, charged_milli, check_books, scene

SIMPLE = 1_000
PROVIDER = Provider("house", "openai", "http://127.0.0.1/v1", None, enabled=True)
TOUCHY = "routing: {health: {calls: 1, rest: 1h, rest_max: 1h}}\n"
"""One failure is enough, and nobody comes back within a test."""


def play(act: Callable[[Scene], Awaitable[None]], folder: Path, **stage: Any) -> Scene:
    """Play an act, and check the books after it."""

    async def main() -> Scene:
        async with scene(folder, **stage) as here:
            await act(here)
        return here

    found = asyncio.run(main())
    check_books(found.records())
    assert found.spent_milli == charged_milli(found.records())
    return found


async def refused(here: Scene, kind: type[ProxyError], prompt: str = "hi", **more: Any) -> ProxyError:
    """Ask what must fail."""
    with pytest.raises(kind) as caught:
        await here.ask(prompt, **more)
    assert type(caught.value) is kind
    return caught.value


def told(reply: Reply, *names: str) -> list[str]:
    """Some headers of a reply."""
    found = dict(reply.headers)
    return [found[f"x-penstock-{name}".encode()].decode() for name in names]


def called(found: Scene) -> int:
    """How many calls the provider got."""
    return len(found.provider.requests)


def test_the_route_says_in_a_token_that_a_call_failed_or_a_model_rests(tmp_path: Path) -> None:
    """First the failure is passed over; then nobody calls the one that failed."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=503", times=1)
        first, second = await here.ask(), await here.ask()
        assert told(first, "model", "route") == ["gpt-4o-mini", "pinned+fell"]
        assert told(second, "model", "route") == ["gpt-4o-mini", "pinned+rest"]

    found = play(act, tmp_path, sections=TOUCHY)

    assert called(found) == 3
    assert [each["dec"]["rule"] for each in found.records() if each["k"] == "settled"] == ["pinned+fell", "pinned+rest"]


def test_a_rate_limit_leaves_its_model_alone_for_as_long_as_it_asks(tmp_path: Path) -> None:
    """One 429 with `retry-after`: the next requests go to the next model at once."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=429 retry_after=60", times=1)
        found = [told(await here.ask(), "model", "route") for _ in range(2)]
        assert found == [["gpt-4o-mini", "pinned+fell"], ["gpt-4o-mini", "pinned+rest"]]

    assert called(play(act, tmp_path)) == 3


def test_when_all_are_down_the_caller_hears_which_and_when_to_come_back(tmp_path: Path) -> None:
    """First of those that failed, three of four; then of those that rest, after the fourth was tried."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=500", times=4)
        first = await refused(here, AllDown)
        assert first.message == (
            "No model answered. Tried: gpt-6-luna (status 500), gpt-4o-mini (status 500), gpt-6.1-sol (status 500)."
        )
        second = await refused(here, AllDown)
        assert second.message.endswith("gpt-6.1-sol (rests), gpt-6-astra (status 500).")
        third = await refused(here, AllDown)
        assert third.message == (
            "No model answered. Tried: "
            "gpt-6-luna (rests), gpt-4o-mini (rests), gpt-6.1-sol (rests), gpt-6-astra (rests)."
        )
        assert (third.status, third.retry_after_s) == (503, 3600)

    found = play(act, tmp_path, sections=TOUCHY)

    assert called(found) == 4
    assert found.spent_milli == 0
    assert sum(each["k"] == "held" for each in found.records()) == 2  # who calls nobody leaves no trace


def test_when_all_are_over_their_limits_it_stays_429(tmp_path: Path) -> None:
    """Also of those that rest for it; `retry-after` is the soonest."""

    async def act(here: Scene) -> None:
        for wait in (30, 20, 10, 40):
            await here.simulator_fails(f"status=429 retry_after={wait}", times=1)
        first = await refused(here, UpstreamBusy)
        assert (first.status, first.retry_after_s) == (429, 10)
        second = await refused(here, UpstreamBusy)
        assert (second.status, second.retry_after_s) == (429, 10)

    assert called(play(act, tmp_path)) == 4


def test_no_call_follows_when_the_budget_for_such_calls_is_used_up(tmp_path: Path) -> None:
    """With none at all the first failure is the answer, and says so."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=500", times=1)
        error = await refused(here, AllDown)
        assert error.message == (
            "No model answered. Tried: gpt-6-luna (status 500), gpt-4o-mini (not called, as too many calls fail)."
        )

    assert called(play(act, tmp_path, sections="routing: {retries: {share: 0, burst: 0}}\n")) == 1


def test_an_outage_is_not_multiplied(tmp_path: Path) -> None:
    """300 requests while everything fails: the provider gets few more than 300 calls, whatever rests."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=500", times=100_000)
        for _ in range(300):
            await refused(here, AllDown)

    # The circuits never open here: it is the budget alone that bounds.
    found = play(act, tmp_path, sections="routing: {health: {calls: 100_000}}\n")

    assert 300 <= called(found) <= 300 + 10 + 5


def test_nothing_follows_after_the_first_byte(tmp_path: Path) -> None:
    """A stream that breaks off is an error event; the next request knows."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("cut=4", times=1)
        await here.stream()
        assert here.caller.error is not None
        assert told(await here.ask(), "model", "route") == ["gpt-4o-mini", "pinned+rest"]

    assert called(play(act, tmp_path, sections=TOUCHY)) == 2


# ---- deadlines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"soon", b"0s", b"-1", b"1h", b"2 s", b"1e3", b"", b"100000s", b"5m5m"])
def test_a_deadline_that_is_none_is_told(tmp_path: Path, text: bytes) -> None:
    """Nothing is called, nothing held; the header is named."""

    async def act(here: Scene) -> None:
        error = await refused(here, Malformed, headers={b"x-penstock-deadline": text})
        assert error.param == "x-penstock-deadline"

    assert play(act, tmp_path).records() == []


@pytest.mark.parametrize("stream", [True, False])
def test_the_caller_s_deadline_ends_the_wait(tmp_path: Path, stream: bool) -> None:
    """504 and nothing charged; nobody else is called, as no time is left; the model is not blamed."""

    async def act(here: Scene) -> None:
        headers = {b"x-penstock-deadline": b"40ms"}
        error = await refused(here, UpstreamLate, "hi [[sim: hang]]", headers=headers, stream=stream)
        assert error.status == 504
        assert told(await here.ask(headers={b"x-penstock-deadline": b"30s"}), "route") == ["pinned"]

    found = play(act, tmp_path, sections=TOUCHY)

    assert called(found) == 2
    assert found.spent_milli == SIMPLE


def test_a_plain_answer_that_is_not_whole_in_time_is_late(tmp_path: Path) -> None:
    """Its head came: what it may be billed is booked as an estimate, and the caller pays nothing."""

    async def act(here: Scene) -> None:
        await refused(here, UpstreamLate, "hi [[sim: stall=0]]", headers={b"x-penstock-deadline": b"60ms"})

    found = play(act, tmp_path)

    assert (found.end()["o"], found.end()["cr"]) == ("error", 0)


def test_a_stream_that_outlasts_its_deadline_ends_with_an_error(tmp_path: Path) -> None:
    """Whoever sets a short time gets no free answer: it pays as one who leaves."""

    async def act(here: Scene) -> None:
        reply = await here.ask("hi [[sim: stall=3]]", stream=True, headers={b"x-penstock-deadline": b"80ms"})
        assert reply.relay is not None
        await reply.relay.run(here.caller)
        assert here.caller.error is not None

    found = play(act, tmp_path)

    assert (found.end()["o"], found.end()["cr"]) == ("client_gone", SIMPLE)


# ---- a named model -------------------------------------------------------------------------------------------------


def test_a_named_model_has_no_other_unless_that_is_configured(tmp_path: Path) -> None:
    """It is what was asked for."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=500", times=1)
        error = await refused(here, AllDown, model="gpt-6-luna")
        assert error.message == "No model answered. Tried: gpt-6-luna (status 500)."
        assert (error.status, error.retry_after_s) == (503, 1)

    assert called(play(act, tmp_path)) == 1


@pytest.mark.parametrize(("status", "again"), [(401, False), (500, True)])
def test_a_key_of_ours_that_is_wrong_is_not_asked_with_again(tmp_path: Path, status: int, *, again: bool) -> None:
    """Where all that was tried would fail again the caller is told not to try; else when to."""

    async def act(here: Scene) -> None:
        await here.simulator_fails(f"status={status}", times=1)
        error = await refused(here, AllDown, model="gpt-6-luna")
        assert (error.should_retry is False, error.retry_after_s) == (not again, 1 if again else None)

    play(act, tmp_path)


# ---- the provider's bill under any faults --------------------------------------------------------------------------

FAULTS = st.sampled_from(
    [
        "status=500", "status=503 retry_after=1", "status=429", "status=429 retry_after=0", "status=400", "status=401",
        "html", "empty", "redirect", "cut=0", "cut=3", "garbage=2", "error_in_stream=2", "no_done", "tokens=7",
        "tokens=30",
    ]
)  # fmt: skip
REQUESTS = st.lists(st.tuples(st.lists(FAULTS, max_size=4), st.booleans()), min_size=1, max_size=5)
RESTLESS = "routing: {retries: {burst: 100}, health: {calls: 2, rest: 1ms, rest_max: 1ms}}\n"


@settings(max_examples=60, deadline=None)
@given(requests=REQUESTS)
def test_under_any_faults_every_call_is_a_cost_line_and_every_answer_one_charge(
    requests: list[tuple[list[str], bool]],
) -> None:
    """The provider's calls, its invoice and our books agree: by number, by id, and to the nano-dollar."""

    async def act(here: Scene) -> None:
        for faults, stream in requests:
            for fault in faults:
                await here.simulator_fails(fault, times=1)
            try:
                reply = await here.ask(stream=stream)
            except ProxyError:
                continue
            if reply.relay is not None:
                await reply.relay.run(Caller())

    with tempfile.TemporaryDirectory() as folder:
        _check_bills(play(act, Path(folder), sections=RESTLESS))


def _check_bills(found: Scene) -> None:
    ends = [record for record in found.records() if record["k"] in {"settled", "void"}]
    lines: list[Record] = [line for end in ends for line in end["a"]]
    bills = {bill["call_id"]: bill for bill in found.billed()}
    reported = {line["id"]: line for line in lines if line["kind"] == "model"}
    unclear = [line for line in lines if line["kind"] == "estimated"]

    assert len(lines) == called(found)
    assert all(line["cost"] == 0 for line in lines if line["kind"] == "failed" and line["u"] is None)
    assert reported.keys() <= bills.keys()
    for id_, line in reported.items():
        numerator, denominator = bills[id_]["amount_usd"].split("/")
        assert abs(Decimal(numerator) * 10**9 / Decimal(denominator) - line["cost"]) <= Decimal("0.5")
    # What was billed and not reported to us is an estimate, or a call that was lost after it was sent.
    lost = [line for line in lines if line["kind"] == "failed" and line["u"] is not None]
    assert len(bills) - len(reported) <= len(unclear) + len(lost)
    assert sum(end["cr"] for end in ends if end["k"] == "settled") == SIMPLE * sum(
        end["o"] == "ok" for end in ends if end["k"] == "settled"
    )


def test_the_last_call_is_kept_for_another_tier(tmp_path: Path) -> None:
    """Of two calls the second goes a tier up, past the other simple model: what takes a tier down takes all of it."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=503", times=1)
        found = told(await here.ask(), "model", "route", "tier", "served-tier")
        assert found == ["gpt-6.1-sol", "pinned+fell", "simple", "medium"]

    play(act, tmp_path, sections="routing: {retries: {attempts: 2}}\n")


@given(st.lists(st.sampled_from(["simple", "medium", "complex"]), min_size=1, max_size=8), st.integers(1, 4))
def test_whoever_is_in_line_stays_in_it(tiers: list[Tier], calls: int) -> None:
    """Nobody is lost or named twice, the others' order holds, and one call goes to another tier, if there is one."""
    tiers.sort(key=TIERS.index)
    line = [Deployment(str(n), PROVIDER, "m", None, listed_tier=tier) for n, tier in enumerate(tiers)]

    found = list(spared(line, calls))

    moved = next((each for each, before in zip(found, line, strict=True) if each is not before), None)
    assert [each for each in found if each is not moved] == [each for each in line if each is not moved]
    assert len(found) == len(line)
    if calls > 1 and len(line) >= calls and len(set(tiers)) > 1:
        assert len({each.listed_tier for each in found[:calls]}) > 1
