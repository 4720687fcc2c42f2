"""A local OpenAI-compatible server, for who has no provider key."""

from pathlib import Path

import pytest

from proxy.settings import Settings, fixed_changes, load, startup_errors
from tests.settings.writing import ENVIRON, GOOD, changed, refused

URL = "http://127.0.0.1:11434/v1"
LOCAL = {"PENSTOCK_LOCAL_URL": URL}
SHIPPED = Path(__file__).parents[2] / "configs" / "penstock.yaml"
KEYED = changed("base_url: http://127.0.0.1:8000/v1", "base_url: http://127.0.0.1:8000/v1\n    api_key: ${HOUSE}")
"""With no variable set, no provider of it is enabled."""


def local(path: Path, model: str | None = "llama3.2:3b", text: str = KEYED) -> Settings:
    """Load a configuration beside a local server that has a model."""
    file = path / "penstock.yaml"
    file.write_text(text, "utf-8")
    return load(file, environ=LOCAL, local_model=model)


def test_its_model_fills_all_tiers(tmp_path: Path) -> None:
    """It bills nothing, needs no key, and nothing is left to warn of."""
    settings = local(tmp_path)

    (model,) = {deployment.name for tier in settings.tiers.values() for deployment in tier}
    deployment = settings.deployments[model]
    assert model == deployment.model == "llama3.2:3b"
    assert deployment.free
    assert deployment.provider.base_url == settings.local_url == URL
    assert deployment.provider.api_key is None
    assert settings.warnings == ()
    assert startup_errors(settings) == ()
    assert settings.origins["tiers.medium"] == "environment PENSTOCK_LOCAL_URL"
    assert settings.origins["providers.local.base_url"] == "environment PENSTOCK_LOCAL_URL"


def test_the_shipped_configuration_works_with_it() -> None:
    """Nothing but the one variable is needed, and nothing is said."""
    settings = load(SHIPPED, environ=LOCAL, local_model="qwen3:8b")

    assert settings.servable
    assert settings.warnings == ()
    assert settings.aliases == {"gpt-4o": "auto"}


def test_what_calls_nobody_needs_no_name(tmp_path: Path) -> None:
    """Until someone asked the server, its model is called local."""
    settings = local(tmp_path, None)

    assert [deployment.name for deployment in settings.tiers["complex"]] == ["local"]
    assert settings.local_url == URL


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("/models/a b.gguf", "models/a-b.gguf"),
        ("auto", "local"),
        ("модель", "local"),
        ("m" * 500, "m" * 128),
    ],
)
def test_a_name_that_no_header_can_hold(tmp_path: Path, listed: str, name: str) -> None:
    """Our name is made from the server's; the server is still asked for its own."""
    settings = local(tmp_path, listed)

    assert settings.tiers["simple"][0].name == name
    assert settings.tiers["simple"][0].model == listed


def test_a_model_named_as_an_alias_has_the_name(tmp_path: Path) -> None:
    """Some servers call their model as clients do."""
    settings = local(tmp_path, "gpt-4o")

    assert settings.tiers["simple"][0].name == "gpt-4o"
    assert settings.aliases == {}


def test_a_provider_that_works_goes_first(tmp_path: Path) -> None:
    """A key that is set is meant; that the local server is left out is said."""
    file = tmp_path / "penstock.yaml"
    file.write_text(GOOD, "utf-8")

    settings = load(file, environ={**ENVIRON, **LOCAL}, local_model="llama")

    assert settings.local_url is None
    assert "local" not in settings.providers
    assert settings.warnings == ("PENSTOCK_LOCAL_URL is not used: provider openai is enabled",)


def test_a_wrong_address_names_the_variable(tmp_path: Path) -> None:
    """The file is innocent."""
    said = refused(tmp_path, KEYED, {"PENSTOCK_LOCAL_URL": "127.0.0.1:11434"})

    assert "providers.local.base_url: must be an http:// or https:// address" in said
    assert "(its value is that of PENSTOCK_LOCAL_URL)" in said


@pytest.mark.parametrize(
    "text", ["providers: 5\n", "providers: {a: 5}\n", "tiers: []\n", "providers: {a: {dialect: 5}}\n"]
)
def test_a_broken_file_is_still_refused(tmp_path: Path, text: str) -> None:
    """The local server mends nothing."""
    assert "must be" in refused(tmp_path, text, LOCAL)


def test_a_running_server_cannot_move_to_it(tmp_path: Path) -> None:
    """Its model is asked for at the start only."""
    file = tmp_path / "penstock.yaml"
    file.write_text(GOOD, "utf-8")
    old = load(file, environ=LOCAL)

    new = local(tmp_path)

    assert fixed_changes(old, new) == (
        f"the local server at {URL} is asked for its model at the start only, which takes a restart",
    )
    assert fixed_changes(new, new) == ()
