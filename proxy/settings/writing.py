"""Changes single values in a YAML file, and nothing else of it: comments, order and layout stay.

A value is written in one line (a flow mapping, or a word), in the place of the old one, or as the first of its section.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import yaml

from proxy.settings.environment import blanked

INDENT: Final = "  "


def written(path: Path, values: Mapping[tuple[str, str], str], check: Callable[[Path], object]) -> None:
    """Put values into a file, by section and key. The file changes whole, once `check` accepts it.

    Args:
        path: The YAML.
        values: YAML on one line, by where it belongs.
        check: Raises where a file, which lies in the same folder, is not good; then nothing changes.

    Raises:
        OSError: It cannot be read or written.
    """
    text = path.read_text("utf-8")
    for (section, key), value in values.items():
        text = put(text, section, key, value)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".yaml", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o7777)
        check(Path(name))
        Path(name).replace(path.resolve())
    finally:
        Path(name).unlink(missing_ok=True)


def put(text: str, section: str, key: str, value: str) -> str:
    """Return a YAML text with one value of a section put in."""
    root = yaml.compose(blanked(text), Loader=yaml.CSafeLoader)
    found = _entry(root, section)
    if found is None:
        gap = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{gap}\n{section}:\n{INDENT}{key}: {value}\n"
    named, content = found
    entry = _entry(content, key)
    if entry is not None:
        return _replaced(text, entry[1], value)
    return _added(text, named, content, f"{key}: {value}")


def _entry(node: yaml.Node | None, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the key and the value of an entry of a mapping."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((pair for pair in node.value if pair[0].value == key), None)


def _replaced(text: str, old: yaml.Node, value: str) -> str:
    begin = old.start_mark.index
    gap = "" if text[begin - 1 : begin].isspace() else " "
    return f"{text[:begin]}{gap}{value}{text[_end(old) :]}"


def _end(node: yaml.Node) -> int:
    """Return where a value ends: in a block, with its last word, as comments after it are not its own."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    assert node.end_mark is not None
    return node.end_mark.index


def _added(text: str, named: yaml.Node, content: yaml.Node, entry: str) -> str:
    if isinstance(content, yaml.MappingNode) and content.flow_style:
        inside = content.start_mark.index + 1
        return f"{text[:inside]}{entry}{', ' if content.value else ''}{text[inside:]}"
    if isinstance(content, yaml.MappingNode):
        first = content.value[0][0].start_mark
        line = first.index - first.column
        return f"{text[:line]}{' ' * first.column}{entry}\n{text[line:]}"
    # The section has nothing in it: what stands after its colon, if not a comment, is `null`.
    begin, end = content.start_mark.index, _end(content)
    rest = text[end:].partition("\n")
    indent = " " * named.start_mark.column + INDENT
    return f"{text[:begin].rstrip(' ')}{rest[0]}\n{indent}{entry}\n{rest[2]}"
