"""`penstock check`: what it says of a good configuration and of a bad one."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from tests.settings.writing import ENVIRON, GOOD, KEY, changed

SHIPPED = Path(__file__).parents[2] / "configs" / "penstock.yaml"
CLEAN = {
    "OPENAI_API_KEY": None,
    "PENSTOCK_LOCAL_URL": None,
    "PENSTOCK_DATA_DIR": None,
    "PORT": None,
    "METRICS_PORT": None,
}


def check(path: Path, *words: str, environ: Mapping[str, str] = ENVIRON) -> Result:
    """Run the command as a shell would."""
    arguments = ["check", *words, "--config", str(path)]
    return CliRunner().invoke(main, arguments, env={**CLEAN, **environ}, catch_exceptions=False)


def written(folder: Path, text: str = GOOD) -> Path:
    """Return a file with a configuration."""
    path = folder / "penstock.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_is_summed_up(tmp_path: Path) -> None:
    """A screen of what a person wants to know; nothing on stderr."""
    found = check(written(tmp_path))

    assert found.exit_code == 0
    assert found.stderr == ""
    lines = [line.split(maxsplit=1) for line in found.stdout.splitlines()]
    assert lines[0][0] == str(tmp_path / "penstock.yaml")
    assert ["listens", "127.0.0.1:8080, metrics on 9464, 1 worker"] in lines
    assert ["providers", "openai at https://api.openai.com/v1"] in lines
    assert ["simple", "gpt-6-luna"] in lines
    assert ["judge", "the shipped weights, the shipped cut points"] in lines
    assert ["aliases", "gpt-4o → auto"] in lines
    assert ["plans", "open (default)"] in lines


def test_the_effective_configuration_in_columns(tmp_path: Path) -> None:
    """One line a value, its origin at the end, all columns aligned, the key redacted."""
    path = written(tmp_path)

    found = check(path, "--effective")

    rows = found.stdout.split("\n\n")[2].splitlines()
    origin = rows[0].index(str(path))
    assert all(row[origin - 2 : origin] == "  " and row[origin] != " " for row in rows)
    table = [row.split() for row in rows]
    assert ["server.data_dir", "./books", f"{path}:1"] in table
    assert ["server.port", "8080", "default"] in table
    assert ["providers.openai.api_key", "•••", "environment", "OPENAI_API_KEY"] in table
    assert ["models.local.free", "true", f"{path}:11"] in table
    assert ["tiers.simple", "[gpt-6-luna]", f"{path}:13"] in table
    assert KEY not in found.output


def test_long_values_are_wrapped_on_a_terminal(tmp_path: Path) -> None:
    """The value's column gives way; paths and origins stay whole."""
    from proxy.cli.check import _rows
    from proxy.settings import Entry

    entries = (
        Entry("plans.open.description", "Credits are counted and nothing is charged.", "a.yaml:1"),
        Entry("server.port", 8080, "default"),
    )

    rows = list(_rows(entries, columns=50))

    gap, path_chars, origin_chars = 2, len("plans.open.description"), len("a.yaml:1")
    value_chars = 50 - path_chars - origin_chars - 2 * gap
    assert value_chars == 16
    assert rows == [
        "plans.open.description  Credits are       a.yaml:1",
        "                        counted and",
        "                        nothing is",
        "                        charged.",
        "server.port             8080              default",
    ]


def test_json_is_one_document(tmp_path: Path) -> None:
    """The summary and every value with its origin; warnings on stderr."""
    path = written(tmp_path)

    found = check(path, "--json", environ={})

    document = json.loads(found.stdout)
    assert document["ok"] is True
    assert document["servable"] is False
    assert {"path": "server.port", "value": 8080, "origin": "default"} in document["effective"]
    assert document["providers"] == {"openai": {"enabled": False}, "house": {"enabled": True}}
    assert "warning: provider openai is disabled: OPENAI_API_KEY is unset" in found.stderr


def test_what_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Exit 2, a line per mistake on stderr, nothing on stdout."""
    path = written(tmp_path, changed("[gpt-6-luna]", "[gpt-6-lunna]", changed("./books", "x, prot: 1")))

    found = check(path)

    assert found.exit_code == 2
    assert found.stdout == ""
    first, second = found.stderr.splitlines()
    assert first.startswith(f'error: {path}:1: server.prot: "prot" is not a key here; did you mean "port"?')
    assert second.startswith(f'{path}:13: tiers.simple[0]: "gpt-6-lunna" is not a model; did you mean "gpt-6-luna"?')


def test_what_is_wrong_as_json(tmp_path: Path) -> None:
    """A program can tell file, line, path and message apart."""
    path = written(tmp_path, changed("./books", "x, workers: many"))

    found = check(path, "--json")

    assert found.exit_code == 2
    assert json.loads(found.stdout) == {
        "ok": False,
        "problems": [
            {
                "file": str(path),
                "line": 1,
                "path": "server.workers",
                "message": "must be a whole number, such as 8",
            }
        ],
    }


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """One sentence, exit 2."""
    found = check(tmp_path / "none.yaml")

    assert found.exit_code == 2
    assert found.stderr == f"error: {tmp_path}/none.yaml: cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("environ", "errors"),
    [
        (ENVIRON, 0),
        ({"OPENAI_API_KEY": KEY}, 1),
        ({"ANTHROPIC_API_KEY": KEY}, 1),
        ({"PENSTOCK_LOCAL_URL": "http://127.0.0.1:11434/v1"}, 0),
        ({}, 3),
    ],
    ids=["both keys", "OpenAI's", "Anthropic's", "a local server", "neither"],
)
def test_the_shipped_file_just_works(environ: dict[str, str], errors: int) -> None:
    """A provider without its key is one warning; with none and no local server, what to set, and still exit 0."""
    found = check(SHIPPED, environ=environ)

    assert found.exit_code == 0
    assert len(found.stderr.splitlines()) == errors
    if not environ:
        assert "note: it cannot serve yet: no provider is enabled" in found.stderr
        assert "set OPENAI_API_KEY or ANTHROPIC_API_KEY, or PENSTOCK_LOCAL_URL" in found.stderr
