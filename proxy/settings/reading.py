"""A document's plain values → the shape of its YAML, with each mistake put in the operator's words."""

import re
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

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


def validated(shape: type[ShapeT], document: Document) -> tuple[ShapeT | None, list[Problem]]:
    """Check a document's values against a shape; return it, or what is wrong."""
    try:
        return shape.model_validate(document.tree), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    return None, [_problem(shape, document, entry) for entry in details]


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
    """Return the keys that a mapping may have, found by walking the shapes."""
    annotation: Any = shape
    for step in steps:
        annotation = _inner(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = _fields(annotation)[str(step)]
        else:
            annotation = get_args(annotation)[-1]
    return list(_fields(_inner(annotation)))


def _fields(shape: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in shape.model_fields.items()}


def _inner(annotation: Any) -> Any:
    """Take `None` and annotations off a type."""
    if get_origin(annotation) is Annotated:
        return _inner(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return _inner(next(arg for arg in get_args(annotation) if arg is not NoneType))
    return annotation
