"""The list of the pricing brief's rows, and the script that shows it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conformance
from tests.conformance import ListWrong, Row, covers, line, read, verdict

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"\d\d (pass|fail|open) \S.* — \S.* \([a-z]+\)")


def _row(*tests: str) -> Row:
    return Row(7, "credits by tier", "1 / 3 / 10", "margin", "built" if tests else "open", tests)


def _written(folder: Path, **fields: object) -> Path:
    entry = {"number": 1, "title": "one", "figure": "1", "owner": "margin", "status": "open", "test": []} | fields
    path = folder / "rows.toml"
    path.write_text("[[row]]\n" + "".join(f"{name} = {value!r}\n" for name, value in entry.items()))
    return path


def test_every_row_is_there_with_its_owner():
    """72 rows, each with a title, a figure and an owner."""
    rows = read()

    assert [row.number for row in rows] == list(range(1, 73))
    assert all(row.title and row.figure and row.owner for row in rows)
    assert all(LINE.fullmatch(line(row, "open")) for row in rows)


def test_a_row_is_shown_on_one_line():
    """Two digits, the word, the title, the figure, the owner."""
    assert line(_row(), "open") == "07 open credits by tier — 1 / 3 / 10 (margin)"


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        ({"t.py::test_a": True}, "pass"),
        ({"t.py::test_a[1]": True, "t.py::test_a[2]": True}, "pass"),
        ({"t.py::test_a[1]": True, "t.py::test_a[2]": False}, "fail"),
        ({"t.py::test_ab": True}, "fail"),
        ({}, "fail"),
    ],
)
def test_a_row_passes_when_all_its_tests_ran_and_passed(outcomes, word):
    """A test that did not run is no evidence."""
    assert verdict(_row("t.py::test_a"), outcomes) == word


def test_a_row_without_tests_is_open():
    """Nothing shows it, whatever else passed."""
    assert verdict(_row(), {"t.py::test_a": True}) == "open"


def test_an_id_covers_its_parameters_and_its_class():
    """But no test whose name only begins alike."""
    assert covers("t.py::A", "t.py::A::test_b")
    assert covers("t.py::test_a", "t.py::test_a[x]")
    assert not covers("t.py::test_a", "t.py::test_a_too")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"owner": ""}, "has no owner"),
        ({"figure": ""}, "has no figure"),
        ({"number": 2}, "not numbered 1 to 1"),
        ({"status": "built"}, "a row with tests is built"),
        ({"test": ["t.py::test_a"]}, "a row with tests is built"),
    ],
)
def test_a_row_that_cannot_be_is_an_error(fields, sentence, tmp_path):
    """Without an owner, a figure or a number, or at odds with itself, the list is refused."""
    with pytest.raises(ListWrong, match=sentence):
        read(_written(tmp_path, **fields), rows=1)


def test_tests_are_run_and_missing_ones_are_not_found():
    """A row that names a test of this file is run; one that names nothing has no outcome."""
    own = "tests/house/test_conformance.py::test_a_row_is_shown_on_one_line"
    script = (
        "import sys; from tests import conformance as c;"
        f"rows = [c.Row(1, 'a', 'b', 'c', 'built', ('{own}',)), c.Row(2, 'a', 'b', 'c', 'built', ('tests/none.py',))];"
        "found = c.run(rows); print([c.verdict(row, found) for row in rows])"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "['pass', 'fail']\n"


def test_the_script_shows_every_row_and_a_count(capsys, monkeypatch):
    """Every line but the last is a row; nothing failed, so it exits with 0."""
    monkeypatch.setattr(conformance, "run", lambda _: {})
    monkeypatch.setattr(conformance, "read", lambda: [_row(), _row()])

    code = conformance.main()

    *rows, count = capsys.readouterr().out.splitlines()
    assert (code, len(rows)) == (0, 2)
    assert all(LINE.fullmatch(each) for each in rows)
    assert count == "2 rows: 0 pass, 0 fail, 2 open"


def test_a_failing_row_fails_the_script(capsys, monkeypatch):
    """A target that judges exits non-zero."""
    monkeypatch.setattr(conformance, "run", lambda _: {"t.py::test_a": False})
    monkeypatch.setattr(conformance, "read", lambda: [_row("t.py::test_a")])

    code = conformance.main()

    assert code == 1
    assert capsys.readouterr().out.startswith("07 fail ")
