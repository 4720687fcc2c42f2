"""Sends alerts to the configured address: signed as Standard Webhooks has it, tried again, and not for ever.

Each alert is in the journal before it is sent, and how that ended after. Between the two a crash has it sent once more:
whoever receives it tells by its id.
"""

from __future__ import annotations

import asyncio
import logging
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import orjson

from margin.alerting import alert_sent
from margin.ledger import trail
from margin.ledger.store import LedgerBusy
from proxy.identity.signatures import signature
from proxy.keeper.office import NS, Office
from proxy.keeper.words import iso
from proxy.settings.alerts import Webhook
from proxy.upstream.posting import AT_ONCE, Poster, PostFailed

log = logging.getLogger("penstock")

RETRY_MAX_S = 3600.0
"""The longest wait between two attempts."""
WAITING_MAX = 10_000
"""Alerts in line; beyond them one is in the journal only, and sent after the next start."""


@dataclass(order=True, slots=True)
class _Waiting:
    due_s: float
    t: int
    alert: dict[str, Any] = field(compare=False)
    attempts: int = field(default=0, compare=False)


class Webhooks:
    """The line of alerts that are to be sent. Without an address none is."""

    def __init__(
        self, office: Office, poster: Callable[[], Poster] = Poster, now: Callable[[], int] = time.time_ns
    ) -> None:
        self._office, self._make_poster, self._now = office, poster, now
        self._line: list[_Waiting] = []
        self._news = asyncio.Event()
        self.results: Counter[str] = Counter(delivered=0, retried=0, given_up=0)
        """What attempts came to."""
        self._take_up()

    def __len__(self) -> int:
        return len(self._line)

    def _take_up(self) -> None:
        """Take up what an earlier process noted and did not see to its end."""
        hook = self._office.settings.alerts.webhook
        if hook is None:
            return
        db, since_t = self._office.books.store.db, self._now() - round(hook.deadline_s * NS)
        ended = trail.alerts_ended(db, since_t)
        for t, alert in trail.alerts(db, since_t):
            if alert["send"] and alert["id"] not in ended:
                self.put(t, alert)

    def put(self, t: int, alert: dict[str, Any]) -> None:
        """Have an alert sent that is in the journal since `t`."""
        if len(self._line) >= WAITING_MAX:
            log.error("%s alerts wait to be sent already: %s is sent after the next start", WAITING_MAX, alert["id"])
            return
        heappush(self._line, _Waiting(time.monotonic(), t, alert))
        self._news.set()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        poster: Poster | None = None
        try:
            while True:
                if poster is None and self._line:
                    poster = self._make_poster()
                due = self._take_due()
                if poster is not None and due:
                    await asyncio.gather(*(self._try(poster, each) for each in due))
                else:
                    await self._wait()
        finally:
            if poster is not None:
                await poster.close()

    def _take_due(self) -> list[_Waiting]:
        now_s, due = time.monotonic(), list[_Waiting]()
        while self._line and self._line[0].due_s <= now_s and len(due) < AT_ONCE:
            due.append(heappop(self._line))
        return due

    async def _wait(self) -> None:
        wait_s = None if not self._line else max(self._line[0].due_s - time.monotonic(), 0.0)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), wait_s)
        self._news.clear()

    async def _try(self, poster: Poster, waiting: _Waiting) -> None:
        hook = self._office.settings.alerts.webhook
        if hook is None:
            self._end(waiting, "given_up", "no address is configured any more")
            return
        why = await self._posted(poster, hook, waiting)
        waiting.attempts += 1
        if why is None:
            self._end(waiting, "delivered")
        elif waiting.attempts >= hook.attempts or self._now() - waiting.t >= hook.deadline_s * NS:
            self._end(waiting, "given_up", why)
        else:
            self.results["retried"] += 1
            waiting.due_s = time.monotonic() + min(hook.retry_s * 2 ** (waiting.attempts - 1), RETRY_MAX_S)
            heappush(self._line, waiting)

    async def _posted(self, poster: Poster, hook: Webhook, waiting: _Waiting) -> str | None:
        """Post it once; return why it did not arrive, or None."""
        body, id_, sent = self._body(waiting), waiting.alert["id"], str(self._now() // NS)
        digest = signature(hook.secret, id_.encode(), sent.encode(), body)
        headers = {
            "content-type": "application/json",
            "user-agent": "penstock",
            "webhook-id": id_,
            "webhook-timestamp": sent,
            "webhook-signature": f"v1,{b64encode(digest).decode()}",
        }
        try:
            status = await poster.post(hook.url, headers, body, hook.timeout_s)
        except PostFailed as error:
            return str(error)
        return None if 200 <= status < 300 else f"status {status}"

    def _body(self, waiting: _Waiting) -> bytes:
        alert = waiting.alert
        return orjson.dumps({
            "id": alert["id"], "object": "quota_alert", "created": iso(waiting.t),
            "customer": self._office.directory.name(alert["c"]), "plan": alert["plan"], "period": alert["period"],
            "of": alert["of"], "percent": alert["percent"], "used": alert["used"], "included": alert["included"],
        })  # fmt: skip

    def _end(self, waiting: _Waiting, result: str, why: str = "") -> None:
        self.results[result] += 1
        id_ = waiting.alert["id"]
        if why:
            log.error("the alert %s was not delivered in %d attempts: %s", id_, waiting.attempts, why)
        with suppress(LedgerBusy):  # it is sent once more after the next start, and told by its id
            self._office.act(alert_sent(t=self._now(), id_=id_, result=result, attempts=waiting.attempts))
