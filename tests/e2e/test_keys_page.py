"""The page on keys, run by bash as a reader runs it: every command and every curl, against a server."""

import sys
from pathlib import Path

import pytest

from tests.e2e.server import ROOT, Server
from tests.house.test_docs import blocks
from tests.house.test_readme import bash

PAGE = ROOT / "docs" / "keys.md"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder as after `make setup`, as far as the page needs it."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def test_the_page_on_keys(server: Server, checkout: Path):
    """In one shell, in order; what is said on the way is what the page promises."""
    shown = [each.text for each in blocks(PAGE) if each.language == "sh"]

    said = bash("".join(["source .venv/bin/activate\n", *shown]), server, checkout)

    assert '"models":["gpt-6-luna"]' in said.replace(" ", "").replace("\n", "")
    assert "tiers simple medium → any" in said
    assert "2 keys were imported" in said
    assert '"customer":"umbrella","plan":"starter"' in said
    assert '"replaces":' in said
    assert '"revoked":true' in said
    assert '"plan":"pro"' in said
    assert '"available":2600.5' in said  # 500 come with the plan starter, 2,000 with pro, 100.5 were given
    assert '"object":"usage","customer":"acme"' in said
