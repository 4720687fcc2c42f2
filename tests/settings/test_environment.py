"""What the environment supplies and overrides."""

from pathlib import Path

import pytest

from proxy.settings import Secret, load
from tests.settings.writing import ENVIRON, GOOD, KEY, changed, loaded, refused


@pytest.mark.parametrize("written", ["${OPENAI_API_KEY}", '"${OPENAI_API_KEY}"'])
def test_a_reference_works_bare_and_quoted(tmp_path: Path, written: str) -> None:
    """Braces inside a flow mapping need no quotes."""
    settings = loaded(tmp_path, changed("${OPENAI_API_KEY}", written))

    key = settings.providers["openai"].api_key
    assert key is not None
    assert key.reveal() == KEY


def test_a_reference_may_have_a_default(tmp_path: Path) -> None:
    """Set, it is the variable; unset or empty, it is the default, commas and all."""
    text = changed("./books", "${BOOKS:-/var/a, b}")

    paths = [
        loaded(tmp_path, text, {**ENVIRON, **more}).server.data_dir for more in ({}, {"BOOKS": ""}, {"BOOKS": "/srv"})
    ]

    assert paths == [Path("/var/a, b"), Path("/var/a, b"), Path("/srv")]


def test_numbers_may_come_from_the_environment(tmp_path: Path) -> None:
    """The environment only has text; where a number belongs, it is read as one."""
    settings = loaded(tmp_path, changed("./books", "x, workers: ${N}"), {**ENVIRON, "N": "3"})

    assert settings.server.workers == 3


def test_overrides(tmp_path: Path) -> None:
    """PORT, METRICS_PORT and PENSTOCK_DATA_DIR go before the file."""
    given = {"PORT": "9001", "METRICS_PORT": "0", "PENSTOCK_DATA_DIR": "/srv/books"}

    settings = loaded(tmp_path, GOOD, {**ENVIRON, **given})

    assert settings.server.port == 9001
    assert settings.server.metrics_port == 0
    assert settings.server.data_dir == Path("/srv/books")
    assert settings.origins["server.port"] == "environment PORT"


def test_empty_overrides_count_not(tmp_path: Path) -> None:
    """`make run PORT=` leaves the port alone."""
    settings = loaded(tmp_path, GOOD, {**ENVIRON, "PORT": "", "PENSTOCK_DATA_DIR": ""})

    assert settings.server.port == 8080
    assert settings.server.data_dir == Path.cwd() / "books"


def test_a_wrong_override_names_its_variable(tmp_path: Path) -> None:
    """The file is innocent, so the variable is named."""
    said = refused(tmp_path, GOOD, {**ENVIRON, "PORT": "many"})

    assert "server.port: must be a whole number, such as 8 (its value is that of PORT)" in said


def test_an_unset_key_disables_its_provider(tmp_path: Path) -> None:
    """One warning, with its line; a provider without the key is none to warn of."""
    settings = loaded(tmp_path, changed("simple: [gpt-6-luna]", "simple: [local]"), {})

    assert not settings.providers["openai"].enabled
    assert settings.providers["house"].enabled
    assert settings.providers["house"].api_key is None
    assert "OPENAI_API_KEY is unset" in settings.warnings[0]
    assert settings.warnings[0].endswith("penstock.yaml:3)")


def test_our_own_key_counts_as_unset(tmp_path: Path) -> None:
    """A provider key of ours is a mistake; it is said and not shown."""
    ours = "sk-penstock-abcdef"

    settings = loaded(tmp_path, GOOD, {"OPENAI_API_KEY": ours})

    assert not settings.providers["openai"].enabled
    (warning,) = [line for line in settings.warnings if "openai" in line]
    assert "a key that starts with sk-penstock- is one of ours and counts as unset" in warning
    assert ours not in warning
    assert ours not in repr(settings)


def test_openai_base_url_is_never_read(tmp_path: Path) -> None:
    """A sandbox exports it for its clients; a proxy that obeyed it would call itself."""
    plain = loaded(tmp_path, GOOD)

    settings = loaded(tmp_path, GOOD, {**ENVIRON, "OPENAI_BASE_URL": "http://evil.invalid/v1"})

    assert settings.providers == plain.providers
    assert settings.version == plain.version


def test_a_secret_shows_itself_only_when_asked() -> None:
    """Its text is in no repr, str or format, and it equals no text."""
    secret = Secret(KEY)

    assert {repr(secret), str(secret), f"{secret}", f"{[secret]}"} == {"•••", "[•••]"}
    assert secret != KEY
    assert secret == Secret(KEY)
    assert secret.reveal() == KEY


def test_the_version_ignores_secrets_and_spelling(tmp_path: Path) -> None:
    """Another key, a comment or a default written out is the same configuration."""
    version = loaded(tmp_path).version

    assert version.startswith("cfg_")
    assert len(version) == len("cfg_") + 12
    assert loaded(tmp_path, GOOD, {"OPENAI_API_KEY": "another"}).version == version
    assert loaded(tmp_path, GOOD + "# more\nstore: {ledger: sqlite}\n").version == version
    assert loaded(tmp_path, changed("0.5", "0.50")).version == version


def test_the_version_follows_what_is_said(tmp_path: Path) -> None:
    """A price, a tier or a term of a plan makes another version."""
    plans = "plans: {open: {credits: {schedule: {simple: 2}}}}\n"

    versions = [
        loaded(tmp_path).version,
        loaded(tmp_path, changed("credits: 0.5", "credits: 0.6")).version,
        loaded(tmp_path, changed("[gpt-6-luna]", "[gpt-6-luna, local]")).version,
        loaded(tmp_path, GOOD, plans=plans).version,
    ]

    assert len(set(versions)) == len(versions)


def test_origins(tmp_path: Path) -> None:
    """Each value knows its line, its variable, or that it is a default."""
    plans = "default: open\nplans:\n  open:\n    credits: {included: 5}\n"

    origins = loaded(tmp_path, GOOD, plans=plans).origins

    assert origins["tiers.simple"] == f"{tmp_path}/penstock.yaml:13"
    assert origins["providers.openai.api_key"] == "environment OPENAI_API_KEY"
    assert origins["server.port"] == "default"
    assert origins["plans.open.credits.included"] == f"{tmp_path}/plans.yaml:4"
    assert origins["plans.open.credits.enforce"] == "default"


def test_file_paths_resolve_against_the_file(tmp_path: Path) -> None:
    """The sell book is found beside the configuration, whatever the working directory."""
    folder = tmp_path / "etc"
    folder.mkdir()
    folder.joinpath("sell.yaml").write_text("default: vip\nplans: {vip: }\n", encoding="utf-8")
    folder.joinpath("penstock.yaml").write_text(GOOD + "plans: sell.yaml\n", encoding="utf-8")

    settings = load(folder / "penstock.yaml", environ=ENVIRON)

    assert settings.sellbook.default == "vip"
