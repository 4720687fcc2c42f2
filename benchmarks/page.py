"""Tables for people, and their place in a page: what is between two marker lines is replaced, the rest stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PERFORMANCE = Path(__file__).parents[1] / "docs" / "performance.md"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up, so that it reads as well in a terminal."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(heads))]
    written = [_line([cell.ljust(width) for cell, width in zip(line, widths, strict=True)]) for line in lines]
    return "\n".join([written[0], _line(["-" * width for width in widths]), *written[1:]])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def replaced(text: str, section: str, content: str) -> str:
    """Return a page with what is between a section's markers replaced; raises `ValueError` without exactly one pair."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"the page must have one line {begin} and after it one line {end}")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{content.strip()}\n\n{end}{rest.partition(end)[2]}"


def write(section: str, content: str, path: Path = PERFORMANCE) -> None:
    """Put content between a section's markers."""
    path.write_text(replaced(path.read_text("utf-8"), section, content), "utf-8")
