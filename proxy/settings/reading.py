"""A document's plain values → the shape of its YAML, with each mistake put in the operator's words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy.settings.document import Document
from proxy.settings.fields import NAME, Section
from proxy.settings.problems import Problem, Steps, dotted, not_among

NOWHERE: Final = re.compile(r"(?!)")
"""Matches no path: no variable may be unset."""

ShapeT = TypeVar("ShapeT", bound=Section)

_SENTENCES: Final = {
    "missing": "is missing",
    "model_type": "must be a mapping of `key: value`",
    "dict_type": "must be a mapping of `key: value`",
    "list_type": "must be a list, such as [one, another]",
    "string_type": "must be text; if it is, put it in quotes",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
"""What pydantic's kinds of error are called here; the others say it well enough themselves."""


@dataclass(frozen=True, slots=True)
class Checked(Generic[ShapeT]):
    """A document that was held against a shape.

    Args:
        shape: Its values; where some were wrong and have defaults, with those. `None` when too much is wrong.
        problems: What is wrong.
        mended: Where something wrong was left out of `shape`.
    """

    shape: ShapeT | None
    problems: list[Problem]
    mended: tuple[Steps, ...] = ()


def checked(shape: type[ShapeT], document: Document) -> Checked[ShapeT]:
    """Check a document's values against a shape; wrong ones are left out where that leaves a meaning to check on."""
    try:
        return Checked(shape.model_validate(document.tree), [])
    except ValidationError as error:
        details = error.errors(include_url=False)
    problems = [_problem(shape, document, entry) for entry in details]
    ways = tuple(_cut(entry["loc"]) for entry in details)
    if any(_is_named(shape, way) for way in ways):
        return Checked(None, problems)
    try:
        return Checked(shape.model_validate(_without(document.tree, ways)), problems, ways)
    except ValidationError:
        return Checked(None, problems)


def _cut(steps: Steps) -> Steps:
    """Return the way to a value, or to the whole list that it is in."""
    indices = [place for place, step in enumerate(steps) if isinstance(step, int)]
    return steps[: indices[0]] if indices else steps


def _is_named(shape: type[Section], steps: Steps) -> bool:
    """Tell whether a value has a name of the operator's: without it, whoever refers to it would seem wrong, too."""
    return not steps or not _is_section(_at(shape, steps[:-1]))


def _without(tree: Any, ways: tuple[Steps, ...]) -> Any:
    """Return a tree without some of its values."""
    if not isinstance(tree, dict):
        return tree
    here = {way[0] for way in ways if len(way) == 1}
    return {
        key: _without(value, tuple(way[1:] for way in ways if len(way) > 1 and way[0] == key))
        for key, value in tree.items()
        if key not in here
    }


def unset_variables(document: Document, *, allowed: re.Pattern[str]) -> list[Problem]:
    """Return a problem for each value that is one unset variable, except where that is allowed.

    Args:
        document: The document.
        allowed: Matches the dotted paths that may be unset.
    """
    return [
        Problem(
            document.file,
            document.line(steps),
            dotted(steps),
            f"the environment variable {variable} is unset; set it, or write ${{{variable}:-…}}",
        )
        for steps, variable in document.unset.items()
        if not allowed.fullmatch(dotted(steps))
    ]


def merged(*lists: list[Problem]) -> list[Problem]:
    """Join lists of problems; of several about one value the first is enough."""
    first: dict[tuple[str, str], Problem] = {}
    for problem in (problem for problems in lists for problem in problems):
        first.setdefault((problem.path, "" if problem.path else problem.message), problem)
    return list(first.values())


def _problem(shape: type[Section], document: Document, entry: ErrorDetails) -> Problem:
    steps = tuple(step for step in entry["loc"] if step != "[key]")
    return document.problem(steps, _sentence(shape, document, steps, entry))


def _sentence(shape: type[Section], document: Document, steps: Steps, entry: ErrorDetails) -> str:
    kind = entry["type"]
    if kind == "extra_forbidden":
        allowed = _keys(shape, steps[:-1])
        return not_among(f'"{steps[-1]}"', "key", allowed, here=" here")
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", entry["ctx"]["expected"])
        word = document.quoted(steps, _as_written(entry["input"]))
        return not_among(word, "value", allowed, here=" here")
    if kind == "string_pattern_mismatch" and entry["ctx"]["pattern"] == NAME:
        return "must be a name: up to 128 letters, digits and . _ : / @ + -"
    if kind == "value_error":
        return str(entry["ctx"]["error"])
    return _SENTENCES.get(kind) or re.sub(r"^\w+ ?input should|^Input should", "must", entry["msg"])


def _as_written(value: Any) -> str:
    """Return a scalar much as YAML has it; a mapping or list is not repeated."""
    if isinstance(value, bool):
        return str(value).lower()
    return "…" if isinstance(value, dict | list) else str(value)


def _keys(shape: type[Section], steps: Steps) -> Sequence[str]:
    """Return the keys that a mapping may have."""
    return list(_fields(_at(shape, steps)))


def _at(shape: type[Section], steps: Steps) -> Any:
    """Return the type that stands at the end of a way, found by walking the shapes."""
    annotation: Any = shape
    for step in steps:
        if _is_section(annotation):
            annotation = _fields(annotation).get(str(step), Any)
        else:
            annotation = (get_args(annotation) or (Any,))[-1]
        annotation = _inner(annotation)
    return annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _fields(shape: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in shape.model_fields.items()}


def _inner(annotation: Any) -> Any:
    """Take `None` and annotations off a type."""
    if get_origin(annotation) is Annotated:
        return _inner(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return _inner(next(arg for arg in get_args(annotation) if arg is not NoneType))
    return annotation
