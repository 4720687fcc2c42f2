"""Which requests may be answered by meaning, and what of them is compared. Loads nothing that compares."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from proxy.caching import by_rule, repeatable
from proxy.settings import Semantic
from proxy.wire.ask import Ask

CHARS_MAX: Final = 1_000
"""Of the last ask: longer ones differ somewhere, and to read them would hold up others."""


class Asked(NamedTuple):
    """A request taken apart: the text of its last ask, and all fields that decide besides."""

    text: str
    rest: dict[str, Any]


def why_not(terms: Semantic | None, ask: Ask, rule: str) -> str | None:
    """Say in a word why a request is not answered by meaning, beyond why none is kept of it; None if it may be.

    *off*: the configuration does not say so. *rule*: not for requests of this rule. *ask*: its last message is not one
    text of the user's. *long*: that text is.

    Args:
        terms: What the configuration says.
        ask: The request.
        rule: By what it was routed, in a token, as `Route.rule` has it.
    """
    if terms is None:
        return "off"
    if not by_rule.fits(terms.rules, rule):
        return "rule"
    asked = taken_apart(ask)
    if asked is None:
        return "ask"
    return "long" if len(asked.text) > CHARS_MAX else None


def taken_apart(ask: Ask) -> Asked | None:
    """Return the last ask's text, and the rest; None where the last message is not one text of the user's."""
    fields = repeatable.deciding(ask)
    messages: list[dict[str, Any]] = fields.get("messages") or [{}]
    last = messages[-1]
    text = last.get("content")
    if isinstance(text, list):
        text = text[0].get("text") if len(text) == 1 and text[0].get("type") == "text" else None
    if last.get("role") != "user" or not isinstance(text, str) or not text.strip():
        return None
    return Asked(text, fields | {"messages": [*messages[:-1], last | {"content": None}]})
