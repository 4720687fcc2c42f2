"""Whether an answer is good enough to be given, by what can be told of it without asking anybody. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from proxy.routing.schemas import fits
from proxy.settings import Checks, Flaw
from proxy.settings.patterns import Pattern
from proxy.wire.gist import Gist

REFUSAL_CHARS_MAX: Final = 600
"""A refusal is short; an essay that begins with an apology is none."""
_REFUSAL: Final = re.compile(
    r"\W*(?:i['’]?m\s+(?:very\s+)?sorry|sorry|i\s+apologi[sz]e|unfortunately|as\s+an\s+ai\b[^.]{0,60})?[\s,;.:—-]*"
    r"(?:but\s+)?i\s*(?:can['’]?t|cannot|can\s+not|am\s+(?:unable|not\s+able)|['’]m\s+(?:unable|not\s+able)|won['’]?t)"
    r"\s+(?:to\s+)?(?:help|assist|answer|comply|provide|do\s+that|fulfil|continue|engage|discuss|create|generate)\b",
    re.IGNORECASE,
)
"""How models say in English that they refuse; matched at the beginning only, and no part of it repeats a part."""


def flaw(
    checks: Checks,
    gist: Gist,
    shape: Literal["text", "object", "schema"],
    schema: Mapping[str, Any] | None,
    expects: Pattern | None,
) -> Flaw | None:
    """Return the first thing that is wrong with an answer; None where nothing is.

    Args:
        checks: What is looked for.
        gist: The answer.
        shape: What its caller asked it to be.
        schema: The schema, if one was asked for.
        expects: What its caller wants to find in it.
    """
    on, text = checks.flaws, gist.text
    if "refusal" in on and _is_refused(gist):
        return "refusal"
    if "truncated" in on and gist.reason == "limit":
        return "truncated"
    is_blank = not text.strip()
    if "empty" in on and is_blank and not gist.calls:
        return "empty"
    if is_blank and gist.calls:  # it calls tools: of its words nothing was asked
        return None
    if "schema" in on and shape != "text" and not fits(text, schema):
        return "schema"
    if any(each.is_in(text) for each in checks.reject) or not all(each.is_in(text) for each in checks.require):
        return "pattern"
    return None if expects is None or expects.is_in(text) else "expect"


def _is_refused(gist: Gist) -> bool:
    if gist.reason == "refused":
        return True
    return not gist.calls and len(gist.text) <= REFUSAL_CHARS_MAX and _REFUSAL.match(gist.text) is not None
