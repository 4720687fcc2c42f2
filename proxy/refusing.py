"""Limits in words and headers: why a request is refused and when to come back, and what a caller has left."""

from __future__ import annotations

from collections.abc import Collection

from proxy.limits.bundles import TOLD, Bundle
from proxy.limits.guard import Reached
from proxy.limits.shares import Name, Share, hundredths_left
from proxy.wire.errors import OverBudget, OverLimit
from proxy.wire.headers import Headers, usd

NS = 1_000_000_000
NUSD = 1_000_000_000
RETRY_S = 1
"""When to come back where nobody can say: requests under way end at any moment."""

WORDS = {name: f"this {name}" for name in ("key", "customer", "member", "plan", "feature", "model")} | {
    "all": "this proxy"
}
REASONS = {"requests": "over_requests", "tokens": "over_tokens", "open": "over_concurrency"}
_UNITS = {"requests": "requests", "tokens": "tokens", "open": "requests open at once"}


def refusal(reached: Reached, scopes: Collection[str], t: int) -> OverLimit | OverBudget:
    """Return the error for a limit without room."""
    if reached.share.name.measure in {"cost", "charge"}:
        return _over_budget(reached, scopes)
    return _over_limit(reached, t)


def _over_limit(reached: Reached, t: int) -> OverLimit:
    name, need, limit = reached.share.name, reached.need, reached.share.limit
    is_told = name.kind in TOLD
    if need > limit:
        alone = f"{_limit(name, limit)}; this request alone may need {need:,}"
        text = alone if is_told else f"This request alone may need more than the limit of {WORDS[name.kind]}"
        return OverLimit(
            f"{text}. A smaller `max_tokens` needs less.", reason=REASONS[name.measure], retry_after_s=None
        )
    wait_s = RETRY_S if reached.retry_ns is None else seconds(reached.retry_ns)
    text = f"{_limit(name, limit)}, and it is" if is_told else f"A limit of {WORDS[name.kind]} is"
    told = limit_headers([reached.share], t, wait_s * NS) if is_told else []
    return OverLimit(
        f"{text} reached. Try again in {wait_s} s.", reason=REASONS[name.measure], retry_after_s=wait_s, headers=told
    )


def _limit(name: Name, limit: int) -> str:
    per = f" per {name.per}" if name.per else ""
    return f"The limit of {WORDS[name.kind]} is {limit:,} {_UNITS[name.measure]}{per}"


def _over_budget(reached: Reached, scopes: Collection[str]) -> OverBudget:
    name, limit, no = reached.share.name, reached.share.limit, reached.no
    need, left = reached.need, max(no.available, 0)  # below zero: overdrawn, and nothing is left
    if name.kind not in TOLD:
        amounts = "too little of it is left"
    elif name.measure == "charge" or "see-cost" in scopes:
        amounts = f"it needs up to {_usd(need)} and {_usd(left)} is left"
    else:
        # What we pay is not for everybody's eyes: parts of the budget say as much as the caller must know.
        amounts = f"it needs up to {need / limit:.2%} of it and {hundredths_left(left, limit)}% is left"
    whose = f"The budget of {WORDS[name.kind]} {period(name)} does not cover this request: {amounts}"
    if need > limit:
        return OverBudget(f"{whose}. No wait helps: it needs more than all of it. A smaller `max_tokens` needs less.",
                          is_final=True, retry_after_s=None)  # fmt: skip
    # A no that was said to a smaller request a moment ago may not be final for it, and be so for this one.
    if no.is_final or need > no.available:
        when = None if reached.retry_ns is None else seconds(reached.retry_ns)
        return OverBudget(f"{whose}. A smaller `max_tokens` needs less.", is_final=True, retry_after_s=when)
    return OverBudget(
        f"{whose}, of which requests under way hold a part. Try again in {RETRY_S} s.",
        is_final=False, retry_after_s=RETRY_S,
    )  # fmt: skip


def period(name: Name) -> str:
    """Return a budget's period in words."""
    per = name.per.split(" ")[0]
    return f"over the last {per}" if per[0].isdigit() else f"for the {per}"


def _usd(nusd: int) -> str:
    return f"${nusd / NUSD:,.6f}".rstrip("0").rstrip(".")


def seconds(wait_ns: int) -> int:
    """Return a wait in whole seconds, never too short, at least one."""
    return max(-(-wait_ns // NS), 1)


def headers(bundle: Bundle, t: int) -> Headers:
    """Return what a caller has left of requests and tokens, of the tightest limit each; of no limit, nothing."""
    found = list(limit_headers(bundle.told_requests, t))
    return found + limit_headers(bundle.told_tokens, t)


def budget_headers(bundle: Bundle, scopes: Collection[str], t: int) -> Headers:
    """Return what is left of the budget of this key or customer that binds first, and in how long it begins anew.

    In dollars of what the customer pays, or to who may see costs; else as a part of the budget. Nothing while nobody
    has said what the period that is now has seen.
    """
    known = [(left, index) for index, each in enumerate(bundle.told_purses) if (left := each.left(t)) is not None]
    if not known:
        return []
    least_left, index = min(known)  # what binds: a tenth of a large one may be more than a small one
    least = bundle.told_purses[index]
    left = max(least_left, 0)  # below zero after a bill beyond its ceiling: nothing is left
    shows = least.name.measure == "charge" or "see-cost" in scopes
    remaining = (
        (b"x-penstock-budget-remaining-usd", usd(left)) if shows
        else (b"x-penstock-budget-remaining", b"%.2f" % (hundredths_left(left, least.limit) / 100))
    )  # fmt: skip
    return [remaining, (b"x-penstock-budget-reset", duration(least.resets_t - t))]


def limit_headers(shares: Collection[Share], t: int, wait_ns: int = 0) -> Headers:
    """Return the headers of the limit with the least left, in the words of OpenAI's own.

    Args:
        shares: Of which limits.
        t: The moment.
        wait_ns: In how long there is room by the keeper's word: others may use what this worker's window knows not of.
    """
    counted = [each for each in shares if each.name.measure in {"requests", "tokens"}]
    if not counted:
        return []
    tightest = min(counted, key=lambda each: each.free(t))
    left = max(tightest.free(t), 0)  # below zero after answers longer than estimated: none is left
    what = tightest.name.measure.encode()
    reset_ns = max(tightest.frees_ns(tightest.limit, t) or 0, wait_ns)
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % tightest.limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % left),
        (b"x-ratelimit-reset-" + what, duration(reset_ns)),
    ]


def duration(wait_ns: int) -> bytes:
    """Write a wait as OpenAI does: `0s`, `1m1s`, `23h59m0s`."""
    left = -(-wait_ns // NS)
    hours, minutes, rest = left // 3600, left // 60 % 60, left % 60
    if hours:
        return b"%dh%dm%ds" % (hours, minutes, rest)
    return b"%dm%ds" % (minutes, rest) if minutes else b"%ds" % rest
