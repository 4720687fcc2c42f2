"""The pages on keys and on the page at `/`, run by bash as a reader runs them: every command and every curl."""

import sys
from pathlib import Path

import pytest

from tests.e2e.server import ROOT, Server
from tests.house.test_docs import blocks
from tests.house.test_readme import bash

KEYS, PAGE = ROOT / "docs" / "keys.md", ROOT / "docs" / "page.md"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder as after `make setup`, as far as the page needs it."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def test_the_page_on_keys(server: Server, checkout: Path):
    """In one shell, in order; what is said on the way is what the page promises."""
    said = bash(_commands(KEYS), server, checkout)

    assert '"models":["gpt-6-luna"]' in said.replace(" ", "").replace("\n", "")
    assert "tiers simple medium → any" in said
    assert "2 keys were imported" in said
    assert '"customer":"umbrella","plan":"starter"' in said
    assert '"replaces":' in said
    assert '"revoked":true' in said
    assert '"plan":"pro"' in said
    assert '"available":2600.5' in said  # 500 come with the plan starter, 2,000 with pro, 100.5 were given
    assert '"object":"usage","customer":"acme"' in said


def test_the_page_on_the_page(server: Server, checkout: Path):
    """A key for it, its figures as JSON, and a prompt explained."""
    said = bash(_commands(PAGE), server, checkout)

    assert "admin" in said
    assert '"waterfall":[{"step":"baseline","nusd":' in said
    assert '"why":["task: translation, short text → simple"]' in said


def _commands(page: Path) -> str:
    return "".join(["source .venv/bin/activate\n", *(each.text for each in blocks(page) if each.language == "sh")])
