"""A small good configuration, and ways to change it and load it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.settings import Settings, SettingsError, load

KEY = "sk-test-0123456789-never-shown"
ENVIRON = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}

GOOD = """\
server: {data_dir: ./books}
providers:
  openai: {dialect: openai, base_url: https://api.openai.com/v1, api_key: ${OPENAI_API_KEY}}
  house:
    dialect: openai
    base_url: http://127.0.0.1:8000/v1
models:
  gpt-6-luna: {provider: openai}
  gpt-6.1-sol: {provider: openai}
  gpt-6-astra: {provider: openai}
  local: {provider: house, free: true, credits: 0.5}
tiers:
  simple: [gpt-6-luna]
  medium: [gpt-6.1-sol]
  complex: [gpt-6-astra]
aliases: {gpt-4o: auto}
"""


def loaded(folder: Path, text: str = GOOD, environ: Mapping[str, str] = ENVIRON, plans: str | None = None) -> Settings:
    """Write the YAML into a folder and load it."""
    path = folder / "penstock.yaml"
    path.write_text(text, encoding="utf-8")
    if plans is not None:
        folder.joinpath("plans.yaml").write_text(plans, encoding="utf-8")
    return load(path, environ=environ)


def changed(old: str, new: str, text: str = GOOD) -> str:
    """Replace a part that occurs once."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


def refused(folder: Path, text: str, environ: Mapping[str, str] = ENVIRON, plans: str | None = None) -> str:
    """Load what must be refused, and return the message without the folder's name."""
    with pytest.raises(SettingsError) as raised:
        loaded(folder, text, environ, plans)
    return str(raised.value).replace(f"{folder}/", "")
