"""Limits and budgets of a real server: as many as were promised, on any number of workers, and honest refusals."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import wire
from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import Server, get, write_config

NUSD = 10**9


@pytest.fixture(scope="module", params=[1, 4], ids=lambda count: f"{count}-workers")
def shop(request: pytest.FixtureRequest, launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with so many workers and some limits."""
    limits = {
        "customers": {"few": {"rpm": 5}},
        "features": {"search": {"rpm": 3}},
        "models": {"gpt-6-astra": {"rpm": 4}},
    }
    config = write_config(
        tmp_path_factory.mktemp("config"), server={"workers": request.param}, limits=limits,
        plans={"slow": {"limits": {"concurrency": 2, "rpm": 500}}},
    )  # fmt: skip
    server = launch(config)
    yield server
    server.clear_away()


def limited(server: Server, customer: str, plan: str = "open", **terms: Any) -> str:
    """Return a key with limits of its own."""
    server.ask("customers.create", customer=customer, plan=plan)
    return server.ask("keys.create", customer=customer, scopes=["serve"], **terms)["key"]


def rush(server: Server, key: str, count: int, prompt: str = "Say hello", **fields: Any) -> list[wire.Answer]:
    """Ask so many times at once."""
    return asyncio.run(wire.rush(server.port, wire.chat(key, prompt, **fields), count))


def test_sixty_of_a_hundred_requests(shop: Server):
    """`rpm: 60` on a fresh key: a hundred at once, sixty answers; the others are told when to come back."""
    key = limited(shop, "sixty", rpm=60)

    answers = rush(shop, key, 100)

    statuses = [each.status for each in answers]
    assert (statuses.count(200), statuses.count(429)) == (60, 40)
    refused = next(each for each in answers if each.status == 429)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-limit-requests"] == "60"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_caller_sees_what_is_left(shop: Server):
    """The headers count down, in the words of OpenAI's own; a key without limits has none of them."""
    key = limited(shop, "counting", rpm=10, tpm=100_000)

    first, second = shop.chat("hi", key, max_tokens=10), shop.chat("hi", key, max_tokens=10)
    free = shop.chat("hi", limited(shop, "unbound"))

    left = [int(each.headers["x-ratelimit-remaining-requests"]) for each in (first, second)]
    assert all(each.headers["x-ratelimit-limit-requests"] == "10" for each in (first, second))
    assert max(left) < 10  # of several workers each knows its own part
    assert first.headers["x-ratelimit-limit-tokens"] == "100000"
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 100_000
    assert first.headers["x-ratelimit-reset-requests"] == "1m0s"
    assert not any(name.startswith("x-ratelimit") for name in free.headers)


def test_tokens_are_reserved_and_corrected(shop: Server):
    """Two requests that may put out 600 each do not fit 1,000 at once; in turn they do, as they put out less."""
    key = limited(shop, "tokens", tpm=1_000)

    in_turn = [shop.chat("Say hello", key, max_tokens=600).status_code for _ in range(2)]
    alone = shop.chat("Say hello", key, max_tokens=5_000)

    assert in_turn == [200, 200]
    assert alone.status_code == 429
    assert alone.headers["x-should-retry"] == "false"
    assert "A smaller `max_tokens` needs less." in alone.json()["error"]["message"]


def test_limits_of_customer_feature_model_and_plan(shop: Server):
    """Each binds by itself, for all keys together; a model over its limit gives way to the next one."""
    keys = [limited(shop, "few"), shop.create_key("few")]
    answers = [shop.chat("hi", keys[n % 2]).status_code for n in range(7)]
    assert (answers.count(200), answers.count(429)) == (5, 2)

    key = limited(shop, "seeker")
    with shop.openai(key) as client:
        ask = client.chat.completions.with_raw_response.create
        message = [{"role": "user", "content": "hi"}]
        found = [
            _status(ask, model="auto:medium", messages=message, extra_headers={"x-penstock-feature": "search"})
            for _ in range(5)
        ]
    assert (found.count(200), found.count(429)) == (3, 2)

    key = limited(shop, "dear")
    astra = [shop.chat("hi", key, model="gpt-6-astra").status_code for _ in range(6)]
    assert (astra.count(200), astra.count(429)) == (4, 2)


def _status(call: Any, **fields: Any) -> int:
    import openai

    try:
        return int(call(**fields).status_code)
    except openai.APIStatusError as error:
        return error.status_code


def test_open_requests_are_bounded(shop: Server):
    """A plan with two at once: of ten slow ones at once two are served, and as many again soon after those are done.

    A worker that was told no says so by itself for up to a second.
    """
    key = limited(shop, "patient", plan="slow")

    def served() -> int:
        answers = [each.status for each in rush(shop, key, 10)]
        assert set(answers) <= {200, 429}
        return answers.count(200)

    assert served() >= 2
    until(lambda: served() >= 2, "two are served again")


def test_a_budget_is_never_overshot(shop: Server):
    """A thousandth of a cent: a hundred at once stay within it, and what was spent is what the books say."""
    key = limited(shop, "poor", budget="0.0002/day")

    first = shop.chat("Say hello", key, max_tokens=20)
    answers = rush(shop, key, 60, max_tokens=20)

    assert first.status_code == 200
    statuses = [each.status for each in answers]
    assert set(statuses) <= {200, 402}
    assert 402 in statuses
    (row,) = (each for each in shop.ask("report.margin")["customers"] if each["customer"] == "poor")
    assert 0 < row["cost_nusd"] <= 200_000
    again = shop.chat("Say hello", key, max_tokens=80_000)
    assert (again.status_code, again.headers["x-should-retry"]) == (402, "false")
    assert again.json()["error"]["code"] == "insufficient_quota"
    assert "$" not in again.json()["error"]["message"]


def test_a_budget_survives_a_restart(launch: Launch, tmp_path_factory: pytest.TempPathFactory):
    """What was spent today is spent, whatever was killed meanwhile."""
    server = launch(write_config(tmp_path_factory.mktemp("config"), server={"workers": 2}))
    key = limited(server, "poor", budget="0.0002/day")
    while server.chat("Say hello", key, max_tokens=20).status_code == 200:
        pass

    server.clear_away()
    server.start()

    assert server.chat("Say hello", key, max_tokens=20).status_code == 402
    assert server.ask("ledger.verify")["ok"]


def test_what_crashes_forget(launch: Launch, tmp_path: Path):
    """Five a minute, eight a day, one budget: workers that die forget nothing; all at once forget the minute alone.

    So beyond a minute's limit goes at most as much again; beyond a day's, and beyond a budget, nothing.
    """
    server = launch(write_config(tmp_path / "config", server={"workers": 2}))
    key, poor = limited(server, "busy", rpm=5, rpd=8), limited(server, "poor", budget=WORTH)

    first = [each.status for each in rush(server, key, 10)]
    paid = [spending(server, poor, "gpt-6-luna", {}) for _ in range(2)]
    gone = set(server.workers)
    for pid in gone:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(server.workers) - gone) == 2 and server.is_ready(), "two others serve")
    after_workers = [each.status for each in rush(server, key, 10)]
    server.end(signal.SIGKILL, group=True)
    server.start()
    after_all = [each.status for each in rush(server, key, 10)]

    assert first.count(200) == 5
    assert after_workers.count(200) == 0
    assert after_all.count(200) == 8 - 5
    assert set(first + after_workers + after_all) == {200, 429}
    assert [*paid, spending(server, poor, "gpt-6-luna", {})] == [200, 402, 402]


def test_what_is_left_of_a_budget(shop: Server):
    """Any worker says which part of a stated budget is left and when it begins anew, and `/v1/usage` does."""
    key = limited(shop, "watchful", budget="0.01/day")

    answers = [shop.chat(f"Say hello to {n}", key, max_tokens=10) for n in range(8)]

    told = [float(each.headers["x-penstock-budget-remaining"]) for each in answers]  # in hundredths: no cost is told
    assert all(0.9 < each < 1 for each in told)
    assert len(shop.workers) > 1 or told == sorted(told, reverse=True)
    assert all("x-penstock-budget-reset" in each.headers for each in answers)

    def is_right() -> bool:
        now = float(shop.chat("Say hello", key, max_tokens=10).headers["x-penstock-budget-remaining"])
        (row,) = (each for each in shop.ask("report.margin")["customers"] if each["customer"] == "watchful")
        return now == (100 - -(-row["cost_nusd"] * 100 // 10_000_000)) / 100

    until(is_right, "whoever answers knows what all have spent")
    found = get(f"{shop.origin}/v1/usage", headers={"authorization": f"Bearer {key}"}, timeout=20).json()
    (budget,) = found["budgets"]
    assert (budget["kind"], budget["per"], budget["action"]) == ("key", "day", "hard")
    assert 0 <= budget["spent"] < 0.1
    assert found["limits"] == {"key": {"concurrency": 2000}}


def test_a_full_house_keeps_a_place_for_others(launch: Launch, tmp_path_factory: pytest.TempPathFactory):
    """Sixteen places and forty slow requests of one customer: it gets fourteen, another one is served meanwhile."""
    server = launch(write_config(tmp_path_factory.mktemp("config"), server={"exchanges_max": 16}))
    greedy, modest = limited(server, "greedy"), limited(server, "modest")

    async def both() -> tuple[list[wire.Answer], wire.Answer]:
        slow = wire.chat(greedy, "[[sim: tokens=100 slow=0.02]] hi")
        crowd = [asyncio.ensure_future(wire.ask(server.port, slow)) for _ in range(40)]
        while sum(each.done() for each in crowd) < 26:  # who is refused hears at once
            await asyncio.sleep(0.01)
        other = await wire.ask(server.port, wire.chat(modest, "Say hello"))
        return await asyncio.gather(*crowd), other

    answers, other = asyncio.run(both())

    statuses = [each.status for each in answers]
    assert other.status == 200
    assert statuses.count(200) == 14
    assert set(statuses) <= {200, 429, 503}
    assert all("retry-after" in each.headers for each in answers if each.status != 200)


def test_each_member_has_a_budget_that_no_journal_names(launch: Launch, tmp_path: Path):
    """Each request takes two thirds of it: one is served for each member, on any worker; none is named on disk."""
    limits = {"members": {"budget": "0.0002/day"}}
    server = launch(write_config(tmp_path / "config", server={"workers": 2}, limits=limits))
    key = limited(server, "club")

    with server.openai(key) as client:
        ask = client.chat.completions.with_raw_response.create
        served = [
            _status(ask, model="gpt-6-luna", messages=[{"role": "user", "content": "Say hello [[sim: tokens=250]]"}],
                    max_tokens=250, extra_headers={"x-penstock-member": member})
            for member in ("ada-lovelace", "bob-kahn") for _ in range(3)
        ]  # fmt: skip
    asked = {"authorization": f"Bearer {key}", "x-penstock-member": "ada-lovelace"}
    told = get(f"{server.origin}/v1/usage", headers=asked)

    assert served == [200, 402, 402] * 2
    row = next(each for each in told.json()["budgets"] if each["kind"] == "member")
    assert 0.5 < row["spent"] < 1
    assert row["remaining"] == pytest.approx(1 - row["spent"])
    files = [path for path in server.data_dir.rglob("*") if path.is_file() and "simulator" not in path.parts]
    assert files
    assert not any(name in path.read_bytes() for path in files for name in (b"ada-lovelace", b"bob-kahn"))


WORTH = "0.0002/day"
"""A request for 250 tokens of a small model holds two thirds of it, and costs as much."""


def test_a_budget_of_each_subject_is_spent_once(launch: Launch, tmp_path: Path):
    """Key, customer, member, plan, feature, model: each serves one request and refuses the next; others go on."""
    limits = {
        "customers": {"own": {"budget": WORTH}}, "features": {"search": {"budget": WORTH}},
        "models": {"gpt-4o-mini": {"budget": WORTH}}, "plans": {"lean": {"budget": WORTH}},
        "members": {"budget": WORTH},
    }  # fmt: skip
    server = launch(write_config(tmp_path / "config", limits=limits, plans={"lean": {}}))
    plain, lean = limited(server, "many"), [limited(server, name, "lean") for name in ("lean-one", "lean-two")]
    asked = {
        "key": [(limited(server, "keyed", budget=[WORTH]), "gpt-6-luna", {})] * 2,
        "customer": [(limited(server, "own"), "gpt-6-luna", {}), (server.create_key("own"), "gpt-6-luna", {})],
        "member": [(plain, "gpt-6-luna", {"x-penstock-member": "ada"})] * 2,
        "plan": [(key, "gpt-6-luna", {}) for key in lean],
        "feature": [
            (key, "gpt-6-luna", {"x-penstock-feature": "search"}) for key in (plain, server.create_key("own-2"))
        ],
        "model": [(plain, "gpt-4o-mini", {})] * 2,
        "none": [(plain, "gpt-6-luna", {})] * 2,
    }

    found = {name: [spending(server, *each) for each in pairs] for name, pairs in asked.items()}

    assert found.pop("none") == [200, 200]
    assert found == {name: [200, 402] for name in asked if name != "none"}


def test_the_budget_of_all_is_spent_by_anybody(launch: Launch, tmp_path: Path):
    """One customer spends it, another is refused."""
    server = launch(write_config(tmp_path / "config", server={"workers": 2}, limits={"all": {"budget": WORTH}}))

    assert [spending(server, limited(server, name), "gpt-6-luna", {}) for name in ("one", "two")] == [200, 402]


def spending(server: Server, key: str, model: str, headers: dict[str, str]) -> int:
    """Ask for 250 tokens; return the status."""
    with server.openai(key) as client:
        message = [{"role": "user", "content": "Say hello [[sim: tokens=250]]"}]
        ask = client.chat.completions.with_raw_response.create
        return _status(ask, model=model, messages=message, max_tokens=250, extra_headers=headers)
