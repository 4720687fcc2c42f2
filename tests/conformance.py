"""`python -m tests.conformance`: the pricing brief's 72 rows, each pass, fail or open.

One line per row on stdout, ``NN pass|fail|open title — figure (owner)``, then a count; whatever pytest has to say goes
to stderr. A row with tests passes when all of them ran and passed. Exit 1 when a row fails, 2 when the list is wrong.
"""

from __future__ import annotations

import contextlib
import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("conformance.toml")
ROWS = 72


class ListWrong(Exception):
    """The list of rows says something that cannot be; the text says what."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the brief. `test` holds pytest ids; an id without parameters stands for all of them."""

    number: int
    title: str
    figure: str
    owner: str
    status: str
    test: tuple[str, ...]


def read(path: Path = LIST, *, rows: int = ROWS) -> list[Row]:
    """Return all rows, numbered 1 to `rows` without a gap.

    Raises:
        ListWrong: a row lacks something, contradicts itself, or is missing.
    """
    found = [_row(entry) for entry in tomllib.loads(path.read_text("utf-8")).get("row", [])]
    if [row.number for row in found] != list(range(1, rows + 1)):
        raise ListWrong(f"the rows are not numbered 1 to {rows}, each once and in order")
    return found


def _row(entry: Mapping[str, object]) -> Row:
    lacking = [name for name in ("number", "title", "figure", "owner", "status") if not entry.get(name)]
    if lacking:
        raise ListWrong(f"row {entry.get('number', '?')} has no {lacking[0]}")
    row = Row(**{**entry, "test": tuple(entry.get("test", ()))})
    if row.status != ("built" if row.test else "open"):
        raise ListWrong(f"row {row.number} says {row.status}: a row with tests is built, one without is open")
    return row


def verdict(row: Row, outcomes: Mapping[str, bool]) -> str:
    """Return pass, fail or open. A test that is named and did not run fails its row; so does a skipped one."""
    if not row.test:
        return "open"
    found = [[ok for ran, ok in outcomes.items() if covers(wanted, ran)] for wanted in row.test]
    return "pass" if all(each and all(each) for each in found) else "fail"


def covers(wanted: str, ran: str) -> bool:
    """Tell whether a pytest id means the test that ran: the same, or the same without its parameters or class."""
    return ran == wanted or ran.startswith((f"{wanted}[", f"{wanted}::"))


class Recorder:
    """A pytest plugin: keeps to the tests that are wanted, and notes which passed."""

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self.outcomes: dict[str, bool] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop what no row names."""
        items[:] = [item for item in items if any(covers(wanted, item.nodeid) for wanted in self._wanted)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note one phase; a test passed when none of its phases said otherwise."""
        self.outcomes[report.nodeid] = self.outcomes.get(report.nodeid, True) and report.passed


def run(rows: Iterable[Row]) -> dict[str, bool]:
    """Run the tests of all rows at once; return whether each passed, by id."""
    wanted = {each for row in rows for each in row.test}
    files = sorted({each.partition("::")[0] for each in wanted})
    present = [file for file in files if (ROOT / file).is_file()]
    recorder = Recorder(wanted)
    if present:
        with contextlib.redirect_stdout(sys.stderr):
            pytest.main(["--rootdir", str(ROOT), "--continue-on-collection-errors", *present], plugins=[recorder])
    return recorder.outcomes


def line(row: Row, word: str) -> str:
    """Return a row as it is shown."""
    return f"{row.number:02d} {word} {row.title} — {row.figure} ({row.owner})"


def main() -> int:
    """Show every row; return the exit code."""
    try:
        rows = read()
    except (ListWrong, OSError, tomllib.TOMLDecodeError) as error:
        print(f"error: {LIST.name}: {error}", file=sys.stderr)
        return 2
    outcomes = run(rows)
    words = [verdict(row, outcomes) for row in rows]
    for row, word in zip(rows, words, strict=True):
        print(line(row, word))
    counts = Counter(words)
    print(f"{len(rows)} rows: {counts['pass']} pass, {counts['fail']} fail, {counts['open']} open")
    return 1 if counts["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
