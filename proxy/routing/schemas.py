"""JSON schemas as callers send them, held against what models answer: the one door to the library that knows them.

A schema is a stranger's, and so is what a model makes of it. Nothing is fetched; patterns are RE2's; and as
alternatives of alternatives take time exponential in their depth, a check has a budget of steps. What cannot be told
within it, or is no schema, counts as kept to: an answer is thrown away only for what is certainly wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from proxy.settings.patterns import pattern
from proxy.wire import lenient

STEPS_MAX: Final = 5_000
"""Keywords held against values in one check, 60 ms at most. A hundred objects of twenty fields take 2,300."""
ANSWER_CHARS_MAX: Final = 1 << 20
"""What is longer is taken as it is: no model writes a megabyte of JSON in one answer."""
UNHELD: Final = ("format", "patternProperties", "unevaluatedItems", "unevaluatedProperties", "uniqueItems")
"""Not held against anything: Python's own patterns, or time quadratic in the answer."""

Keyword = Callable[..., Any]


class _OverBudget(Exception):
    """It takes too long to tell."""


def fits(text: str, schema: Mapping[str, Any] | None) -> bool:
    """Tell whether an answer is JSON and keeps to a schema; without one it must be an object, as for `json_object`."""
    if len(text) > ANSWER_CHARS_MAX:
        return True
    try:
        told = lenient.loads(text.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return False
    if schema is None:
        return isinstance(told, dict)
    try:
        return _checker().keeps_to(told, schema)
    except Exception:  # noqa: BLE001 - the library raises whatever a malformed schema makes of its parts
        return True


class _Checker:
    """The library's validator, with our patterns and a budget of steps for each check."""

    def __init__(self) -> None:
        import jsonschema  # forty milliseconds that only who checks answers needs
        import referencing.jsonschema

        draft = jsonschema.Draft202012Validator
        known = {name: each for name, each in draft.VALIDATORS.items() if name not in UNHELD}
        known |= {"pattern": _pattern, "additionalProperties": _unless_patterned(known["additionalProperties"])}
        held = {name: self._counted(each) for name, each in known.items()}
        self._kind = jsonschema.validators.create(draft.META_SCHEMA, held, type_checker=draft.TYPE_CHECKER)
        self._registry = referencing.jsonschema.EMPTY_REGISTRY
        self._left = 0

    def _counted(self, keyword: Keyword) -> Keyword:
        def check(*asked: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise _OverBudget
            return keyword(*asked)

        return check

    def keeps_to(self, told: Any, schema: Mapping[str, Any]) -> bool:
        """Tell whether a value keeps to a schema; raises whatever is wrong with the schema."""
        self._left = STEPS_MAX
        return bool(self._kind(schema, registry=self._registry).is_valid(told))


@cache
def _checker() -> _Checker:
    return _Checker()


def _pattern(_: Any, text: str, value: Any, __: Any) -> Iterator[Exception]:
    from jsonschema import ValidationError

    if not isinstance(value, str):
        return
    try:
        is_in = pattern(text).is_in(value)
    except ValueError:  # not in RE2's language
        return
    if not is_in:
        yield ValidationError("it does not match")


def _unless_patterned(keyword: Keyword) -> Keyword:
    """Which properties are additional is told by Python's own patterns where there are any."""

    def check(validator: Any, wanted: Any, value: Any, schema: Any) -> Any:
        return None if "patternProperties" in schema else keyword(validator, wanted, value, schema)

    return check
