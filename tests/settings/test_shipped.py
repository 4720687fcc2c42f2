"""The YAML that we ship."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from margin.money import usd_to_nusd
from proxy.settings import SandboxCustomer, Server, load, startup_errors
from tests.settings.writing import ENVIRON, KEY

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", ["penstock.yaml", "sandbox.yaml"])
def test_each_configuration_loads_without_a_warning(name: str) -> None:
    """A shipped file with its keys in the environment has nothing to complain about."""
    settings = load(CONFIGS / name, environ=ENVIRON)

    assert settings.warnings == ()
    assert settings.servable
    assert startup_errors(settings) == ()


def test_every_shipped_file_is_covered() -> None:
    """A new YAML beside these needs a test here."""
    names = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml"))

    assert names == [
        "catalogues/hybrid.yaml", "catalogues/support-agent.yaml",
        "penstock.yaml", "plans.yaml", "sandbox-plans.yaml", "sandbox.yaml",
    ]  # fmt: skip


def test_the_sandbox_needs_no_variable() -> None:
    """It loads from an empty environment and says that it wants the simulator."""
    settings = load(CONFIGS / "sandbox.yaml", environ={})

    assert settings.wants_simulator
    assert settings.providers["sandbox"].base_url == "http://simulator.invalid/v1"
    assert settings.deployments["text-embedding-3-small"].credits_milli == 100
    assert settings.aliases == {"gpt-4o": "auto", "fast": "auto:simple"}


def test_the_simulator_s_address_is_filled_in() -> None:
    """Whoever started the simulator says where it listens."""
    url = "http://127.0.0.1:4321"

    settings = load(CONFIGS / "sandbox.yaml", environ={}, simulator_url=url)

    assert settings.providers["sandbox"].base_url == f"{url}/v1"
    assert settings.version == load(CONFIGS / "sandbox.yaml", environ={}).version


def test_the_sandbox_s_customers() -> None:
    """One customer has 100,000 credits at $0.05, and no gate; two are there for the demo."""
    settings = load(CONFIGS / "sandbox.yaml", environ={})

    assert settings.sandbox is not None
    assert settings.sandbox.customers == {
        "sandbox": SandboxCustomer("sandbox", Decimal(100_000), Decimal(5_000)),
        "acme": SandboxCustomer("starter"),
        "globex": SandboxCustomer("pro"),
    }
    plan = settings.sellbook.plan("sandbox")
    assert plan.max_tier is None
    assert plan.credits.price_nusd_per_credit == usd_to_nusd(5_000) // 100_000


def test_the_shipped_plans() -> None:
    """The plans say what the file says, in nano-dollars and milli-credits."""
    plans = load(CONFIGS / "penstock.yaml", environ=ENVIRON).sellbook.plans

    assert plans["starter"].fee_nusd_month == 199 * 10**9
    assert plans["starter"].credits.included_milli == 500 * 1000
    assert plans["starter"].max_tier == "medium"
    assert plans["pro"].credits.overage_nusd_per_credit == 40 * 10**7
    assert plans["pro"].target_margin == Decimal("0.6")
    assert plans["prepaid"].credits.mode == "prepaid"


def test_without_its_key_all_but_serve_works() -> None:
    """Each missing key is one warning, and a sentence for `serve`."""
    settings = load(CONFIGS / "penstock.yaml", environ={})

    assert len(settings.warnings) == 2
    assert "provider openai is disabled: OPENAI_API_KEY is unset" in settings.warnings[0]
    assert "provider anthropic is disabled: ANTHROPIC_API_KEY is unset" in settings.warnings[1]
    assert not settings.servable
    assert "no provider is enabled" in startup_errors(settings)[0]
    assert [one.name for one in settings.tiers["simple"]] == ["gpt-6-luna", "claude-haiku-5-5"]


@pytest.mark.parametrize(
    ("variable", "tiers"),
    [
        ("OPENAI_API_KEY", ["gpt-6-luna", "gpt-6.1-sol", "gpt-6-astra"]),
        ("ANTHROPIC_API_KEY", ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"]),
    ],
)
def test_one_provider_s_key_is_enough(variable: str, tiers: list[str]) -> None:
    """Either family fills all tiers by itself; the other is one warning."""
    settings = load(CONFIGS / "penstock.yaml", environ={variable: KEY})

    assert [[each.name for each in tier] for tier in settings.tiers.values()] == [[name] for name in tiers]
    assert settings.servable
    assert len(settings.warnings) == 1
    assert startup_errors(settings) == ()


def test_the_shown_values_are_the_defaults() -> None:
    """What the documented file states for server, routing, caching, limits and store is default."""
    shown = load(CONFIGS / "penstock.yaml", environ=ENVIRON)

    short = load(CONFIGS / "sandbox.yaml", environ={})

    for section in ("routing", "caching", "limits", "store"):
        assert getattr(shown, section) == getattr(short, section), section
    assert short.server.page == "loopback"  # what a sandbox earns is no secret
    assert shown.server == replace(short.server, page=Server().page, metrics_customers=0)
    assert shown.providers["openai"].timeouts == short.providers["sandbox"].timeouts


def test_no_secret_in_what_is_shown() -> None:
    """A key appears in no repr, origin or version."""
    settings = load(CONFIGS / "penstock.yaml", environ=ENVIRON)

    shown = repr(settings) + json.dumps(dict(settings.origins)) + settings.version

    assert KEY not in shown
    assert "•••" in shown
