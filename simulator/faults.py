"""Faults and steering: markers in a prompt, and rules set through the admin endpoint.

Both are written alike: `[[sim: status=429 retry_after=2]]` in the last user message, or the same
words without the brackets in a rule. Counts are of SSE events, the role chunk included. A fault
that is due after more events than an answer has does not happen. In plain answers `cut`, `stall`
and `garbage` strike in the middle of the body; `no_done` and `error_in_stream` mean nothing there.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from simulator.errors import ApiError

_MARKER: Final = re.compile(r"\[\[sim:([^\]]*)\]\]")
RULES_MAX: Final = 1000
"""Rules held at once: far more than a test scenario needs."""


@dataclass(frozen=True, slots=True)
class Steering:
    """What was asked of one call; the defaults ask nothing.

    Args:
        status: Refuse with this HTTP status; nothing is billed.
        retry_after: Seconds, for the `retry-after` header of that refusal.
        html: Answer 200 with an HTML page; nothing is billed.
        empty: Answer 200 with an empty body; nothing is billed.
        redirect: Answer 307 to another path of this server; nothing is billed.
        hang: Never answer.
        tokens: Generate exactly this many output tokens per choice (or as the limit allows).
        tools: Call this many tools, if any are offered.
        cut: Abort the connection after this many events.
        stall: Send nothing more after this many events, and keep the connection open.
        garbage: Send an event that is not JSON after this many events.
        error_in_stream: Send an error event after this many events, and end.
        no_usage: Leave out the usage.
        no_done: Leave out the closing `[DONE]`.
        slow: Seconds per event, whatever the speed.
        tier: Serve and bill in this service tier, whatever was asked for.
        say: Answer with this one word.
    """

    status: int | None = None
    retry_after: float | None = None
    html: bool = False
    empty: bool = False
    redirect: bool = False
    hang: bool = False
    tokens: int | None = None
    tools: int | None = None
    cut: int | None = None
    stall: int | None = None
    garbage: int | None = None
    error_in_stream: int | None = None
    no_usage: bool = False
    no_done: bool = False
    slow: float | None = None
    tier: str | None = None
    say: str | None = None


CALM: Final = Steering()
"""Nothing asked."""

_NUMBERS: Final[Mapping[str, Callable[[str], int | float]]] = {
    "status": int,
    "retry_after": float,
    "tokens": int,
    "tools": int,
    "cut": int,
    "stall": int,
    "garbage": int,
    "error_in_stream": int,
    "slow": float,
}
_TIERS: Final = ("default", "flex", "priority")
_FLAGS: Final = ("html", "empty", "redirect", "hang", "no_usage", "no_done")


def parse(words: str) -> dict[str, Any]:
    """Return the fields that a marker's words set.

    Raises:
        ApiError: A word is unknown, or its value is none of its own or not a number of at least 0 (400). A
            typo in a test must not pass as a fault that did not happen.
    """
    return dict(_parse_word(word) for word in words.split())


def _parse_word(word: str) -> tuple[str, Any]:
    name, _, value = word.partition("=")
    if name in _FLAGS and not value:
        return name, True
    if (name == "tier" and value in _TIERS) or (name == "say" and value):
        return name, value
    try:
        number = _NUMBERS[name](value)
    except (KeyError, ValueError):
        raise _unreadable(word) from None
    if number < 0 or (name == "status" and not 400 <= number <= 599):
        raise _unreadable(word)
    return name, number


def _unreadable(word: str) -> ApiError:
    return ApiError(400, f"The simulator knows no fault `{word}`.", code="unknown_fault")


def in_prompt(text: str) -> dict[str, Any]:
    """Return the fields that the markers in a text set.

    Raises:
        ApiError: A marker cannot be read (400).
    """
    if "[[sim:" not in text:
        return {}
    found: dict[str, Any] = {}
    for words in _MARKER.findall(text):
        found.update(parse(words))
    return found


def without_markers(text: str) -> str:
    """Return the text as the model reads it for its answer."""
    return _MARKER.sub("", text)


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault for the next `times` calls, to one model or to all."""

    fault: str
    times: int
    model: str | None = None


def read_rules(parsed: Any) -> list[Rule]:
    """Return the rules in an admin request.

    Raises:
        ApiError: It is not a list of rules, or a fault is unknown (400).
    """
    if not isinstance(parsed, list):
        raise ApiError(400, "Rules come as a JSON list.")
    try:
        rules = [Rule(**entry) for entry in parsed]
        for rule in rules:
            parse(rule.fault)
            operator.index(rule.times)
    except (TypeError, AttributeError):
        raise ApiError(400, 'A rule is {"fault", "times", "model" (optional)}.') from None
    return rules


class FaultRules:
    """The rules that have calls left, oldest first."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, rules: list[Rule]) -> None:
        """Append rules.

        Raises:
            ApiError: There would be more than `RULES_MAX` (400).
        """
        if len(self._rules) + len(rules) > RULES_MAX:
            raise ApiError(400, f"At most {RULES_MAX} rules.")
        self._rules.extend(rules)

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return the rules with what is left of them."""
        return [asdict(rule) for rule in self._rules]

    def steer(self, model: str, prompt: str) -> Steering:
        """Return what one call is to suffer; the first rule that fits is spent and wins.

        Raises:
            ApiError: A marker in the prompt cannot be read (400).
        """
        asked = in_prompt(prompt)
        if self._rules:
            asked.update(self._spend(model))
        return Steering(**asked) if asked else CALM

    def _spend(self, model: str) -> dict[str, Any]:
        for position, rule in enumerate(self._rules):
            if rule.model in {None, model} and rule.times > 0:
                self._rules[position] = replace(rule, times=rule.times - 1)
                self._rules = [left for left in self._rules if left.times > 0]
                return parse(rule.fault)
        return {}
