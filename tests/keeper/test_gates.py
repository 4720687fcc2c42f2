"""How many keys a plan's customers may have."""

from pathlib import Path
from typing import Any

import pytest

from proxy.api.answers import refusal
from proxy.keeper.commands import perform
from proxy.wire.errors import PlanLacks
from tests.keeper.offices import office

PLANS = """\
default: team
plans:
  team: {gates: {keys: 2}}
  large: {}
"""


@pytest.fixture
def found(tmp_path: Path):
    """Return an office whose default plan includes two keys."""
    opened = office(tmp_path / "data", plans=PLANS)
    yield opened
    opened.close()


def create(found, customer: str = "acme", **terms: Any) -> dict[str, Any]:
    """Ask for a key."""
    return perform(found, "keys.create", {"customer": customer, "scopes": ["serve"]} | terms, by="test")


def test_a_key_beyond_those_that_the_plan_includes_is_refused(found) -> None:
    """As a 403 that says what is lacking; another customer has its own; on another plan there is room."""
    first, _ = create(found)["result"], create(found)["result"]
    answer = create(found)

    error = refusal(answer)
    assert isinstance(error, PlanLacks)
    assert (error.status, error.code) == (403, "key_not_in_plan")
    assert "he plan team includes 2 keys, and acme has 2" in error.message
    assert "result" in create(found, "globex")

    perform(found, "keys.revoke", {"id": first["id"]}, by="test")
    assert "result" in create(found)
    found.move_customer("acme", "large")
    assert "result" in create(found)


def test_a_key_that_is_rotated_counts_once(found) -> None:
    """The old one goes on for the overlap, and nobody has to revoke it first."""
    first, _ = create(found)["result"], create(found)["result"]

    assert "result" in perform(found, "keys.rotate", {"id": first["id"], "overlap": "1h"}, by="test")
