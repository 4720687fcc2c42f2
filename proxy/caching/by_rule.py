"""Which rules of the policy a setting is for."""

from __future__ import annotations

from collections.abc import Collection


def fits(rules: Collection[str] | None, routed: str) -> bool:
    """Tell whether a request was routed by one of these rules, or whether all are meant.

    Args:
        rules: Their names; None means all requests.
        routed: By what it was routed, in a token, as `Route.rule` has it.
    """
    if rules is None:
        return True
    return any(each.removeprefix("rule:") in rules for each in routed.split("+") if each.startswith("rule:"))
