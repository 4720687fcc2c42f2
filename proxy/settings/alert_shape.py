"""The YAML of alerts, and how it becomes their terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Final

from pydantic import Field

from proxy.settings.addresses import check_url
from proxy.settings.alerts import PERCENTS, Alerts, Webhook
from proxy.settings.fields import Duration, Private, Section, Whole
from proxy.settings.findings import Findings
from proxy.settings.webhooks import PREFIX, SECRET_BYTES, secret_of

_HOOK: Final = Webhook("", b"")

Percent = Annotated[Whole, Field(ge=1, le=1000)]
Percents = Annotated[list[Percent], Field(max_length=16)]


def percents_field() -> list[int]:
    """Return the shipped percentages, as a plan's YAML has them."""
    return list(PERCENTS)


class AlertWebhookShape(Section):
    """Where alerts are sent."""

    url: Private | None = Field(None, description="The address that alerts are posted to; unset, none is sent.")
    secret: Private | None = Field(None, description="What they are signed with, as `whsec_…`.")
    timeout: Duration = Field(_HOOK.timeout_s, gt=0, le=60, description="How long one attempt may take; at most 60s.")
    attempts: Whole = Field(_HOOK.attempts, ge=1, le=20, description="Attempts at most, while one process runs.")
    retry: Duration = Field(
        _HOOK.retry_s, gt=0, le=3600, description="How long the second attempt waits; each further one twice as long."
    )
    deadline: Duration = Field(_HOOK.deadline_s, gt=0, description="The age after which an alert is not tried again.")


class AlertsShape(Section):
    """Who is told when a period is used up so far as a plan's `alerts` say."""

    webhook: AlertWebhookShape = Field(default_factory=AlertWebhookShape, description="Where alerts are sent.")


def alerts_of(shape: AlertsShape, plans: Mapping[str, tuple[int, ...]], findings: Findings) -> Alerts:
    """Return the alerts of plans, and where they are sent."""
    return Alerts(plans, _webhook(shape.webhook, findings))


def _webhook(shape: AlertWebhookShape, findings: Findings) -> Webhook | None:
    steps = ("alerts", "webhook")
    if shape.url is None:
        if shape.secret is not None:
            findings.warn((*steps, "secret"), "has no effect without a url: no alert is sent")
        return None
    check_url((*steps, "url"), shape.url, findings, query=True)
    secret = None if shape.secret is None else secret_of(shape.secret.strip())
    if secret is None:
        way = (*steps, "url" if shape.secret is None else "secret")
        sizes = f"{SECRET_BYTES[0]} to {SECRET_BYTES[-1]}"
        findings.wrong(
            way, f"needs a secret, {PREFIX} and base64 of {sizes} random bytes, which each alert is signed with"
        )
        return None
    return Webhook(shape.url, secret, shape.timeout, shape.attempts, shape.retry, shape.deadline)


def check_percents(way: tuple[str | int, ...], said: Sequence[int], findings: Findings) -> tuple[int, ...]:
    """Return a plan's percentages, which ascend: so that one that is written twice, or out of place, is seen."""
    if any(after <= before for before, after in pairwise(said)):
        findings.wrong(way, "must ascend, each once")
    return tuple(said)
