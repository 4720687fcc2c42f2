"""Credit that runs out: exactly as much is served as was paid for, however many ask, on any number of workers."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from tests.e2e import wire
from tests.e2e.conftest import Launch
from tests.e2e.server import Server, write_config

CREDITS = {"auto:simple": 1, "auto:medium": 3, "auto:complex": 10}


@pytest.fixture(scope="module", params=[1, 2, 4], ids=lambda count: f"{count}-workers")
def shop(request: pytest.FixtureRequest, launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with so many workers."""
    server = launch(write_config(tmp_path_factory.mktemp("config"), server={"workers": request.param}))
    assert len(server.workers) == request.param
    yield server
    server.clear_away()


def check_rush(server: Server, customer: str, model: str, *, granted: int, asked: int) -> None:
    """Grant, rush, and check that all of the credit and nothing beyond it was served."""
    covered, rest = divmod(granted, CREDITS[model])
    key = server.create_key(customer, plan="sandbox")
    server.grant(customer, granted, paid_usd=1)

    answers = asyncio.run(wire.rush(server.port, wire.chat(key, "Say hello", model=model), asked))

    statuses = [answer.status for answer in answers]
    assert (statuses.count(200), statuses.count(402)) == (covered, asked - covered)
    refused = next(answer for answer in answers if answer.status == 402)
    assert refused.json()["error"]["code"] == refused.json()["error"]["type"] == "insufficient_quota"
    assert f"it needs {CREDITS[model]}. Available: {rest}." in refused.json()["error"]["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert server.balance(customer) == {
        "available": rest,
        "held": 0,
        "spent": granted - rest,
        "expired": 0,
        "overdraft": 0,
    }


@pytest.mark.parametrize(("model", "granted"), [("auto:simple", 60), ("auto:complex", 307)])
def test_credit_serves_exactly_what_it_covers(shop: Server, model: str, granted: int):
    """More requests at once than credits: so many answers as credit covers, 402 for the rest, balance to the last."""
    check_rush(shop, f"rush-{model}", model, granted=granted, asked=150)


@pytest.mark.full
def test_credit_serves_exactly_what_it_covers_in_a_stampede(shop: Server):
    """The same with a thousand requests at once."""
    check_rush(shop, "stampede", "auto:simple", granted=600, asked=1_000)


def test_last_credits_are_spent_whatever_requests_cost(shop: Server):
    """What a worker has left of its lease counts towards a dearer request: 1 + 10 + 10 of 24 credits, then no more."""
    key = shop.create_key("mixed", plan="sandbox")
    shop.grant("mixed", 24, paid_usd=1)
    models = ("auto:simple", "auto:complex", "auto:complex", "auto:complex")

    # One connection, so one worker: what it was lent for the first request is left over for the second.
    with shop.openai(key) as client:
        ask = client.chat.completions.with_raw_response.create
        statuses = [status(ask, model=model, messages=[{"role": "user", "content": "Say hello"}]) for model in models]

    assert statuses == [200, 200, 200, 402]
    assert shop.balance("mixed") == {"available": 3, "held": 0, "spent": 21, "expired": 0, "overdraft": 0}


def status(ask: Callable[..., Any], **fields: Any) -> int:
    """Return how a request ended."""
    try:
        return ask(**fields).status_code
    except openai.APIStatusError as refused:
        return refused.status_code


def test_grant_takes_effect_at_once(shop: Server):
    """A customer that was just told 402 is served by the very next request after a grant, and no further."""
    key = shop.create_key("late-payer", plan="sandbox")
    assert shop.chat("Say hello", key).status_code == 402

    for _ in range(3):
        shop.grant("late-payer", 2, paid_usd=1)
        statuses = [shop.chat("Say hello", key).status_code for _ in range(4)]
        assert statuses == [200, 200, 402, 402]


def test_key_lives_from_its_creation_to_its_revocation(shop: Server):
    """A key works with the first request after it was made, on every worker, and with none after it was revoked."""
    made = shop.ask("keys.create", customer="keyholder", scopes=["serve"])
    before = [shop.chat("Say hello", made["key"]).status_code for _ in range(8)]
    shop.ask("keys.revoke", id=made["id"])
    after = [shop.chat("Say hello", made["key"]).status_code for _ in range(8)]

    assert before == [200] * 8
    assert after == [401] * 8


def test_remaining_credits_are_the_balance(shop: Server):
    """The header says what is left of the balance; several workers, none of which knows it, leave it out."""
    key = shop.create_key("counting", plan="sandbox")
    shop.grant("counting", 100)

    left = [shop.chat("Say hello", key).headers.get("x-penstock-credits-remaining") for _ in range(6)]

    known = len(shop.workers) == 1
    assert left == [str(100 - count) if known else None for count in range(1, 7)]


def test_books_are_sound_after_the_rush(shop: Server):
    """Nothing of it left a hold open or an account off; this one comes last."""
    found = shop.ask("ledger.verify")

    assert found["ok"], found
    assert found["open_holds"] == 0
    assert shop.reconcile()["ok"]
