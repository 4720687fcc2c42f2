"""Alerts on their way out: signed, tried again, given up, and taken up after a crash; over a real connection."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from margin.ledger import trail
from proxy.keeper.alerting import Alerting
from proxy.keeper.office import Office
from proxy.keeper.webhooks import Webhooks
from proxy.settings.alerts import Alerts, Webhook
from tests.keeper.offices import office
from tests.keeper.receiving import Receiver, receiver
from tests.keeper.test_alerting import PLANS, Traffic
from tests.keeper.test_spending import Clock
from tests.margin.bookkeeping import NS

SECRET = b"an example, and so no secret"
RETRY_S = 0.001


@pytest.fixture
def clock() -> Clock:
    """Noon of some day."""
    return Clock("2026-11-20T12:00:00")


@pytest.fixture
def found(tmp_path: Path):
    """Return an office whose customer has used 60 % of what its plan includes."""
    opened = office(tmp_path / "data", plans=PLANS)
    opened.open_customer("acme")
    yield opened
    opened.close()


def sent_to(found: Office, url: str, **terms: float) -> None:
    """Have alerts sent somewhere."""
    hook = replace(Webhook(url, SECRET, timeout_s=5, retry_s=RETRY_S), **terms)
    found.settings = replace(found.settings, alerts=Alerts(webhook=hook))


def run(found: Office, clock: Clock, *statuses: int, until: Callable[[Webhooks, Receiver], bool], **terms: float):
    """Spend 300 of 500 credits, look, and send until something has come about; return the receiver and the sender."""

    async def main() -> tuple[Receiver, Webhooks]:
        async with receiver(*statuses) as there:
            sent_to(found, there.url, **terms)
            hooks = Webhooks(found, now=clock)
            if not trail.alerts(found.books.store.db, 0):
                Traffic(found).spend(300, clock.t)
                Alerting(found, hooks, clock).look()
            sending = asyncio.ensure_future(hooks.run())
            async with asyncio.timeout(20):
                while not until(hooks, there):
                    await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            return there, hooks

    return asyncio.run(main())


def test_an_alert_is_signed_over_its_time_and_its_body(found: Office, clock: Clock) -> None:
    """Whoever has the secret can check that it is ours, and when it was sent; the journal notes that it arrived."""
    there, hooks = run(found, clock, until=lambda hooks, _: hooks.results["delivered"] == 1)

    ((headers, body),) = there.got
    assert headers["webhook-timestamp"] == str(clock.t // NS)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    told = orjson.loads(body)
    assert told.pop("id") == headers["webhook-id"]
    assert told == {
        "object": "quota_alert", "created": "2026-11-20T12:00:00Z", "customer": "acme", "plan": "starter",
        "period": "2026-11", "of": "credits", "percent": 50, "used": 300_000, "included": 500_000,
    }  # fmt: skip
    assert len(trail.alerts_ended(found.books.store.db, 0)) == 1
    assert len(hooks) == 0


def test_what_is_not_taken_is_sent_again(found: Office, clock: Clock) -> None:
    """An error, a redirect that nobody follows, then 204: three attempts, one id."""
    there, hooks = run(found, clock, 500, 302, 204, until=lambda hooks, _: hooks.results["delivered"] == 1)

    assert len(there.got) == 3
    assert len({orjson.loads(body)["id"] for _, body in there.got}) == 1
    assert hooks.results == {"delivered": 1, "retried": 2, "given_up": 0}


def test_it_is_given_up_after_as_many_attempts_as_are_allowed(found: Office, clock: Clock) -> None:
    """And not taken up by the next process."""
    there, hooks = run(found, clock, *[503] * 9, until=lambda hooks, _: hooks.results["given_up"] == 1, attempts=3)

    assert len(there.got) == 3
    assert hooks.results == {"delivered": 0, "retried": 2, "given_up": 1}
    assert len(Webhooks(found, now=clock)) == 0


def test_it_is_given_up_when_it_is_old(found: Office, clock: Clock) -> None:
    """A day after it was told nobody needs it."""

    def grown_old(hooks: Webhooks, there: Receiver) -> bool:
        if there.got:
            clock.t += 10 * NS
        return hooks.results["given_up"] == 1

    there, _ = run(found, clock, *[503] * 9, until=grown_old, deadline_s=5, attempts=20)

    assert len(there.got) <= 2


def test_nobody_listening_is_tried_again_and_holds_nobody_up(found: Office, clock: Clock) -> None:
    """A refused connection is a failed attempt."""

    async def main() -> Webhooks:
        async with receiver() as there:
            url = there.url
        sent_to(found, url, attempts=2)
        hooks = Webhooks(found, now=clock)
        Traffic(found).spend(300, clock.t)
        Alerting(found, hooks, clock).look()
        sending = asyncio.ensure_future(hooks.run())
        async with asyncio.timeout(20):
            while hooks.results["given_up"] == 0:
                await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return hooks

    assert asyncio.run(main()).results == {"delivered": 0, "retried": 1, "given_up": 1}


def test_what_a_crash_left_unsent_is_sent_by_the_next_process(found: Office, clock: Clock) -> None:
    """It stands in the journal that it is told, and not how that ended."""
    sent_to(found, "http://127.0.0.1:9/unreachable")
    Traffic(found).spend(300, clock.t)
    Alerting(found, Webhooks(found, now=clock), clock).look()

    there, _ = run(found, clock, until=lambda hooks, _: hooks.results["delivered"] == 1)

    assert len(there.got) == 1
    assert len(Webhooks(found, now=clock)) == 0


def test_what_was_told_without_an_address_is_not_sent_later(found: Office, clock: Clock) -> None:
    """Who writes one down later does not get the past."""
    Traffic(found).spend(300, clock.t)
    Alerting(found, Webhooks(found, now=clock), clock).look()

    sent_to(found, "http://127.0.0.1:9/unreachable")

    assert len(Webhooks(found, now=clock)) == 0
