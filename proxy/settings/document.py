"""YAML text → plain values that remember their lines.

Numbers become `int` or `Decimal`, never `float`. Duplicate keys, foreign tags and endless nesting
are refused. Values from the environment are known as such, so that no message repeats them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from proxy.settings import environment, units
from proxy.settings.problems import Problem, SettingsError, Steps, dotted

BYTES_MAX: Final = 1 << 20  # a thousand models with every key take a quarter of it
DEPTH_MAX: Final = 32  # our own YAML nests five deep
NODES_MAX: Final = 50_000  # what BYTES_MAX can hold in earnest; anchors could multiply beyond

_TAG: Final = "tag:yaml.org,2002:"
_TEXT_TAGS: Final = frozenset({"str", "timestamp", "value", "merge"})


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file as plain values.

    Args:
        file: The file as the operator named it.
        tree: Mappings, lists, `str`, `int`, `Decimal`, `bool` and `None`.
        lines: The line of each value, by its way from the top.
        variables: The environment variable that a value came from, by the same way.
        unset: The variable whose absence made a value `None`, by the same way.
    """

    file: str
    tree: Any
    lines: Mapping[Steps, int] = field(repr=False)
    variables: Mapping[Steps, str]
    unset: Mapping[Steps, str]

    def line(self, steps: Steps) -> int:
        """Return the line of a value, or of the nearest thing around it that is written."""
        while steps and steps not in self.lines:
            steps = steps[:-1]
        return self.lines.get(steps, 1)

    def where(self, steps: Steps) -> str:
        """Return `file:line` of a value."""
        return f"{self.file}:{self.line(steps)}"

    def problem(self, steps: Steps, message: str) -> Problem:
        """Return a problem with a value; if the environment supplied it, that is said."""
        variable = self.variables.get(steps)
        told = f"{message} (its value is that of {variable})" if variable else message
        return Problem(self.file, self.line(steps), dotted(steps), told)

    def quoted(self, steps: Steps, word: str) -> str:
        """Return a word as a message may show it: never what the environment supplied."""
        variable = self.variables.get(steps)
        return f"the value of {variable}" if variable else f'"{word}"'


def read(path: Path, environ: Mapping[str, str]) -> tuple[Document, list[Problem]]:
    """Read a YAML file, and return it with what is wrong in its values.

    Raises:
        SettingsError: The file cannot be read or is not YAML, so there are no values.
    """
    file = str(path)
    masked, references = environment.mask(_text(path, file))
    root = _compose(masked, file)
    reader = _Reader(file, references, environ)
    tree = reader.value(root, (), 0) if root is not None else {}
    document = Document(file, tree, reader.lines, reader.variables, reader.unset)
    if not isinstance(tree, dict):
        raise SettingsError([Problem(file, 1, "", "must be a mapping of `key: value`")])
    return document, reader.problems


def _text(path: Path, file: str) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable file name"
        raise SettingsError([Problem(file, None, "", f"cannot be read: {reason}")]) from None
    if len(raw) > BYTES_MAX:
        raise SettingsError([Problem(file, None, "", f"is larger than {BYTES_MAX} bytes")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError([Problem(file, line, "", "is not UTF-8 text")]) from None


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        found = Problem(file, line, "", _sentence(error.problem or "is not YAML") + _began(error))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = Problem(file, line, "", "holds a character that YAML does not allow")
    except RecursionError:
        found = Problem(file, None, "", f"nests deeper than {DEPTH_MAX} levels")
    raise SettingsError([found])


def _sentence(problem: str) -> str:
    if r"'\t'" in problem:
        return "YAML is indented with spaces, and there is a tab here"
    if problem.startswith("found undefined alias"):
        return "a word that begins with * refers to an anchor, and there is none; put it in quotes"
    return f"not YAML: {problem}"


def _began(error: yaml.MarkedYAMLError) -> str:
    """Say where the thing began that went wrong further down: a bracket, a quote."""
    began, wrong = error.context_mark, error.problem_mark
    return "" if began is None or wrong is None or began.line == wrong.line else f" (it began on line {began.line + 1})"


@dataclass(slots=True)
class _Reader:
    """Turns YAML nodes into plain values and notes where they stand."""

    file: str
    references: tuple[environment.Reference, ...]
    environ: Mapping[str, str] = field(repr=False)
    lines: dict[Steps, int] = field(default_factory=dict)
    variables: dict[Steps, str] = field(default_factory=dict)
    unset: dict[Steps, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def value(self, node: yaml.Node, steps: Steps, depth: int) -> Any:
        """Return a node's plain value.

        Raises:
            SettingsError: Too deep, or too many values.
        """
        self.nodes += 1
        self.lines.setdefault(steps, node.start_mark.line + 1)
        if depth > DEPTH_MAX or self.nodes > NODES_MAX:
            limit = f"{DEPTH_MAX} levels" if depth > DEPTH_MAX else f"{NODES_MAX} values"
            raise SettingsError([self._problem(node, steps, f"more than {limit}")])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, steps, depth)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self.value(item, (*steps, index), depth + 1) for index, item in items]
        return self._scalar(node, steps)

    def _mapping(self, node: yaml.MappingNode, steps: Steps, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            refusal = self._refused_key(key, steps, mapping)
            if refusal is not None:
                self.problems.append(refusal)
                continue
            way = (*steps, key.value)
            self.lines[way] = key.start_mark.line + 1
            mapping[key.value] = self.value(value, way, depth + 1)
        return mapping

    def _refused_key(self, key: yaml.Node, steps: Steps, mapping: Mapping[str, Any]) -> Problem | None:
        if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_TAG}merge":
            return self._problem(key, steps, "a key must be a plain word")
        if environment.has_reference(key.value) or not _encodable(key.value):
            return self._problem(key, steps, "a key must be plain text, without ${…}")
        if key.value in mapping:
            first = self.lines[*steps, key.value]
            message = f"is written twice; first on line {first}"
            return self._problem(key, (*steps, key.value), message)
        return None

    def _scalar(self, node: yaml.Node, steps: Steps) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind in _TEXT_TAGS:
            return self._filled(node, steps, text)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in {"true", "yes", "on"}
        if kind in {"int", "float"}:
            return units.exact(text)
        self.problems.append(self._problem(node, steps, "YAML tags (a word after !) are refused"))
        return None

    def _filled(self, node: yaml.Node, steps: Steps, text: str) -> str | None:
        if "${" in text:
            message = "a reference to the environment is written ${NAME} or ${NAME:-default}"
            self.problems.append(self._problem(node, steps, message))
            return None
        filled = environment.fill(text, self.references, self.environ)
        if filled.names:
            self.variables[steps] = ", ".join(filled.names)
        if filled.unset and filled.alone:
            self.unset[steps] = filled.unset[0]
            return None
        if filled.unset:
            names = ", ".join(filled.unset)
            self.problems.append(self._problem(node, steps, f"environment: {names} is unset"))
        if not _encodable(filled.text):
            self.problems.append(self._problem(node, steps, "is not text that UTF-8 can hold"))
            return None
        return filled.text

    def _problem(self, node: yaml.Node, steps: Steps, message: str) -> Problem:
        return Problem(self.file, node.start_mark.line + 1, dotted(steps), message)


def _encodable(text: str) -> bool:
    """Tell whether a text is free of lone surrogates, which JSON and files cannot hold."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
