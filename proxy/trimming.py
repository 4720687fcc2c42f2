"""Prompts without what can go, as an exchange sees them: made once, before anybody is called; all its calls send it.

Only where the configuration says so. What is judged, routed, limited and kept is the request as it came: answers from
memory are the same with it and without, and no ceiling is lower than what is sent.
"""

from __future__ import annotations

from proxy.caching import by_rule, trims
from proxy.settlement import Case, Lean
from proxy.wire.chat import ChatRequest
from proxy.wire.messages import MessagesRequest


def lean(case: Case) -> Case:
    """Return an exchange with what is sent of its prompt; the same where all of it is."""
    terms, ask = case.settings.caching.trim, case.ask
    if terms is None or not isinstance(ask, ChatRequest | MessagesRequest) or ask.body_bytes < trims.TEXT_CHARS_MIN:
        return case
    if not by_rule.fits(terms.rules, case.route.rule):
        return case
    found = trims.trimmed(ask.surface, ask.fields, terms.passes)
    if found is None:
        return case
    return case._replace(lean=Lean(ask.with_fields(found.fields), found.before, found.after))
