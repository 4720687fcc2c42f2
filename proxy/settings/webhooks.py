"""Who may tell of outcomes by signed messages: the YAML, and how it becomes values."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import Field

from proxy.settings.fields import Duration, Name, Private, Section, Text
from proxy.settings.findings import Findings

PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
"""How long Standard Webhooks says that a secret is."""
TOLERANCE_S = 300.0
"""What Stripe and the libraries of Standard Webhooks allow."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One sender: what it signs with, for which customer it speaks (None: it names one), and how old a word may be."""

    secrets: tuple[bytes, ...] = field(repr=False)
    customer: str | None = None
    tolerance_s: float = TOLERANCE_S


class WebhookShape(Section):
    """A sender of signed messages."""

    secrets: list[Private] = Field(
        min_length=1,
        max_length=4,
        repr=False,
        description="What it signs with, as `whsec_…`: any of them is good, so a new one is added before the old one "
        "is taken away. An empty one is none.",
    )
    customer: Text | None = Field(None, description="The customer it speaks for; unset, each message names one.")
    tolerance: Duration = Field(TOLERANCE_S, gt=0, le=3600, description="How old a message may be.")


class WebhooksShape(Section):
    """Who may tell something by signed messages, without a key."""

    outcomes: dict[Name, WebhookShape] = Field(
        default_factory=dict, description="Of outcomes of tasks: POST /v1/webhooks/outcomes/NAME."
    )


def webhooks_of(shape: WebhooksShape, findings: Findings) -> Mapping[str, Webhook]:
    """Return who may tell of outcomes, by name."""
    found = {}
    for name, each in shape.outcomes.items():
        steps = ("webhooks", "outcomes", name, "secrets")
        secrets = {place: secret_of(text) for place, text in enumerate(each.secrets) if text}
        if not secrets:
            findings.wrong(steps, "are all empty: nobody could sign")
        for place, secret in secrets.items():
            if secret is None:
                sizes = f"{SECRET_BYTES[0]} to {SECRET_BYTES[-1]}"
                findings.wrong((*steps, place), f"must be {PREFIX} and base64 of {sizes} random bytes")
        good = tuple(secret for secret in secrets.values() if secret is not None)
        found[name] = Webhook(good, each.customer, each.tolerance)
    return MappingProxyType(found)


def secret_of(text: str) -> bytes | None:
    """Return the secret that a text like ``whsec_C2FtcGxlLi4u`` stands for; None: no good one."""
    try:
        found = b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if text.startswith(PREFIX) and len(found) in SECRET_BYTES else None
