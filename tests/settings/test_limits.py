"""Limits in the YAML: what they mean, what contradicts itself, and what could never bind."""

from pathlib import Path

import pytest

from proxy.settings import Budget, Limits, Runaway, SettingsError, Terms, load
from tests.settings.writing import loaded

GOOD = """\
providers: {openai: {dialect: openai, base_url: https://api.openai.com/v1, api_key: sk-not-a-key}}
models: {gpt-6-luna: {provider: openai}, gpt-6-astra: {provider: openai}}
tiers: {simple: [gpt-6-luna], medium: [gpt-6-astra], complex: [gpt-6-astra]}
"""
NUSD = 10**9


def limits(folder: Path, yaml: str, *, plans: str | None = None, good: str = GOOD) -> tuple[Limits, tuple[str, ...]]:
    """Return the limits of a configuration, and what is warned of."""
    (folder / "penstock.yaml").write_text(f"{good}{yaml}\n")
    if plans is not None:
        (folder / "plans.yaml").write_text(plans)
    found = load(folder / "penstock.yaml", environ={})
    return found.limits, tuple(warning.partition(" (")[0] for warning in found.warnings)


def test_every_key_has_finite_defaults(tmp_path: Path):
    """Nothing written: a thousand dollars a day, two thousand requests at once, and somebody watches."""
    found, _ = limits(tmp_path, "")

    assert found.key_defaults == Terms(concurrency=2000, budgets=(Budget(1000 * NUSD, "day"),))
    assert found.runaway == Runaway()


@pytest.mark.parametrize(
    "own",
    [
        Budget(9 * NUSD, "day", action="soft"),
        Budget(9 * NUSD, "day", action="downgrade"),
        Budget(9 * NUSD, "day", of="charge"),
    ],
)
def test_only_a_hard_budget_of_cost_replaces_the_default(own: Budget):
    """What a key states beside it comes on top: a leaked key has an end all the same."""
    default, hard = Limits().key_defaults, Budget(5 * NUSD, "hour")

    assert Terms(budgets=(own,)).or_else(default).budgets == (own, *default.budgets)
    assert Terms(budgets=(own, hard)).or_else(default).budgets == (own, hard)


def test_all_that_can_be_said(tmp_path: Path):
    """Each subject with its own, plans with theirs; days of a rolling budget become hours."""
    yaml = """
limits:
  all: {rpm: 1000, budgets: {alarm: {limit: 80/week, action: soft}, stop: {limit: 100/week}}}
  customers: {acme: {tpm: 1000000, budget: 20/7d}}
  models: {gpt-6-luna: {rpd: 5000}}
  features: {search: {concurrency: 3, budgets: {sold: {limit: 5.50/month, of: charge, action: downgrade}}}}
  runaway: {factor: 5, floor: 0.5, action: pause}"""
    found, warnings = limits(tmp_path, yaml, plans="{default: open, plans: {open: {limits: {tpd: 7}}}}")

    assert found.all.budgets == (Budget(80 * NUSD, "week", action="soft"), Budget(100 * NUSD, "week"))
    assert found.customers == {"acme": Terms(tpm=1_000_000, budgets=(Budget(20 * NUSD, "168h"),))}
    assert found.models == {"gpt-6-luna": Terms(rpd=5000)}
    sold = Budget(5_500_000_000, "month", "charge", "downgrade")
    assert found.features == {"search": Terms(concurrency=3, budgets=(sold,))}
    assert found.plans == {"open": Terms(tpd=7)}
    assert found.runaway is not None
    assert (found.runaway.factor, found.runaway.floor_nusd, found.runaway.action) == (5, NUSD // 2, "pause")
    assert warnings == ()


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("limits: {all: {rpm: 0}}", "greater than or equal to 1"),
        ("limits: {all: {rpm: -5}}", "greater than or equal to 1"),
        ("limits: {all: {budget: 0/day}}", "must be more than 0"),
        ("limits: {all: {budget: 5/year}}", "must be US dollars per hour, day, week, month"),
        ("limits: {all: {budget: 5/40d}}", "at most 31 days"),
        ("limits: {models: {gpt-7: {rpm: 5}}}", '"gpt-7" is not a model'),
        ("limits: {key_defaults: {concurrency: null}}", "must bound budget (a hard one of cost) and concurrency"),
        (
            "limits: {key_defaults: {budget: null, budgets: {a: {limit: 5/day, action: soft}}}}",
            "must bound budget (a hard one of cost) and concurrency",
        ),
        (
            "limits: {key_defaults: {budget: null, budgets: {a: {limit: 5/day, of: charge}}}}",
            "must bound budget (a hard one of cost) and concurrency",
        ),
        (
            "limits: {models: {gpt-6-luna: {budgets: {a: {limit: 5/day, action: downgrade}}}}}",
            "a model's budgets are of cost, and hard or soft",
        ),
        (
            "limits: {models: {gpt-6-luna: {budgets: {a: {limit: 5/day, of: charge}}}}}",
            "a model's budgets are of cost, and hard or soft",
        ),
        (
            "limits: {all: {budgets: {a: {limit: 9/day, action: soft}, b: {limit: 5/day}}}}",
            "has a soft budget that is not below the hard one per day",
        ),
        ("limits: {all: {budget: 5/day, budgets: {b: {limit: 6/day}}}}", "states two hard budgets of cost per day"),
        ("limits: {key_defaults: {concurrency: 0}}", "greater than or equal to 1"),
        ("limits: {features: {f: {rpm: 9, rpd: 8}}}", "is above rpd, which lets 8 through in a whole day"),
        ("limits: {customers: {a: {members: {tpm: 9, tpd: 8}}}}", "is above tpd"),
        (
            "limits: {all: {budget: 11/month, budgets: {b: {limit: 12/day}}}}",
            "has a hard budget per day that is above the hard one per month",
        ),
        (
            "limits: {all: {budget: 11/7d, budgets: {b: {limit: 12/24h, action: soft}}}}",
            "has a soft budget per 24h that is above the hard one per 168h",
        ),
        ("limits: {members: {budgets: {b: {limit: 1/day, action: soft}}}}", "members' budgets are hard or downgrade"),
        ("limits: {plans: {opne: {rpm: 5}}}", '"opne" is not a plan; did you mean "open"?'),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, yaml: str, said: str):
    """Each with its line."""
    with pytest.raises(SettingsError) as refused:
        limits(tmp_path, yaml)

    assert said in str(refused.value)
    assert "penstock.yaml:" in str(refused.value)


def test_a_downgrade_needs_a_cheaper_tier(tmp_path: Path):
    """With one model in all tiers nothing is below another."""
    one = GOOD.replace("gpt-6-astra]", "gpt-6-luna]")
    with pytest.raises(SettingsError, match="no tier is below another"):
        limits(tmp_path, "limits: {all: {budgets: {a: {limit: 9/day, action: downgrade}}}}", good=one)


def test_what_can_never_bind_is_warned_of(tmp_path: Path):
    """A narrower subject above a wider one, and a minute above its day."""
    yaml = "limits: {all: {rpm: 10, budget: 5/day}, customers: {acme: {rpm: 20, budget: 9/day}, dot: {rpm: 9, rpd: 9}}}"
    _, warnings = limits(tmp_path, yaml)

    assert list(warnings) == [
        "rpm can never bind: rpd lets 9 through in a whole day",
        "limits.customers.acme: rpm 20 can never bind, as it is above the 10 of all together",
        "limits.customers.acme: the budget per day can never bind, as it is above the one of all together",
    ]


def test_what_lies_within_another_is_held_against_it(tmp_path: Path):
    """A customer against every plan, a plan's customer against all of them together, a member against its customer."""
    yaml = """
limits:
  customers:
    acme: {rpm: 60, tpm: 9, members: {concurrency: 6}}
    dot: {rpm: 50, concurrency: 5, members: {concurrency: 6}}
  plans: {open: {rpm: 40}}"""
    plans = "{default: open, plans: {open: {limits: {rpm: 50, tpm: 8}}, pro: {limits: {rpm: 55}}}}"
    _, warnings = limits(tmp_path, yaml, plans=plans)

    assert sorted(warnings) == [
        "limits.customers.acme: rpm 60 can never bind, as it is above the 55 of every plan",
        "limits.customers.dot.members: concurrency 6 can never bind, as it is above the 5 of customer dot",
        "plans.open.limits: rpm 50 can never bind, as it is above the 40 of the plan open together",
    ]


@pytest.mark.parametrize(
    "budgets",
    [
        "a: {limit: 8/week}, b: {limit: 5/month}",
        "a: {limit: 9/day, of: charge}, b: {limit: 5/month}",
        "a: {limit: 5/day}, b: {limit: 5/month}",
    ],
)
def test_budgets_that_can_both_bind_are_taken(tmp_path: Path, budgets: str):
    """A week may lie in two months; a charge is no cost; as much a day as a month is a matter of taste."""
    found, _ = limits(tmp_path, f"limits: {{all: {{budgets: {{{budgets}}}}}}}")

    assert len(found.all.budgets) == 2


def test_members_and_plans_have_limits_of_their_own(tmp_path: Path):
    """What each member may use, everywhere, of a customer, of a plan's customers; what a plan's customers share."""
    yaml = """
limits:
  members: {rpm: 5, budget: 2/day}
  customers: {acme: {members: {rpm: 9, budget: 1/day}}}
  plans: {open: {tpm: 100, members: {rpm: 3}}}"""
    found, warnings = limits(tmp_path, yaml)

    assert found.together == {"open": Terms(tpm=100)}
    assert found.of_member("acme", "open") == Terms(rpm=3, budgets=(Budget(NUSD, "day"),))
    assert found.of_member("acme", "pro") == Terms(rpm=5, budgets=(Budget(NUSD, "day"),))
    assert (found.counts_members("any", "any"), Limits().counts_members("any", "any")) == (True, False)
    assert warnings == ()


def test_the_tightest_of_plan_and_customer_binds():
    """Measure by measure, and budget by budget of one kind."""
    plan = Terms(rpm=10, tpm=500, budgets=(Budget(5, "day"), Budget(90, "month")))
    customer = Terms(rpm=20, concurrency=3, budgets=(Budget(4, "day"),))

    assert plan.tightest(customer) == Terms(
        rpm=10, tpm=500, concurrency=3, budgets=(Budget(4, "day"), Budget(90, "month"))
    )


def test_limits_of_a_plan_change_the_version(tmp_path: Path):
    """So that a running server takes them in."""
    plans = "{default: open, plans: {open: {limits: {rpm: %d}}}}"
    versions = set()
    for rpm in (5, 6):
        (tmp_path / "plans.yaml").write_text(plans % rpm)
        (tmp_path / "penstock.yaml").write_text(GOOD)
        versions.add(load(tmp_path / "penstock.yaml", environ={}).version)

    assert len(versions) == 2


@pytest.mark.parametrize(
    ("plan", "said", "line"),
    [
        ("alerts: [80, 50]", "must ascend, each once", 3),
        ("alerts: [50, 50]", "must ascend, each once", 3),
        ("alerts: [0]", "alerts", 3),
    ],
)
def test_percentages_that_cannot_be_are_refused(tmp_path: Path, plan: str, said: str, line: int) -> None:
    """With the line of the sell book, and why."""
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, plans=f"default: open\nplans:\n  open: {{{plan}}}\n")

    (problem,) = caught.value.problems
    assert (problem.line, said in str(problem)) == (line, True)


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("url: https://example.com/alerts", "needs a secret, whsec_ and base64"),
        ("url: https://example.com/alerts, secret: short", "needs a secret, whsec_ and base64"),
        (
            "url: ftp://example.com/, secret: whsec_YW4gZXhhbXBsZSwgYW5kIHNvIG5vIHNlY3JldA==",
            "must be an http:// or https:// address",
        ),
        (
            "url: 'https://me:pw@example.com/', secret: whsec_YW4gZXhhbXBsZSwgYW5kIHNvIG5vIHNlY3JldA==",
            "neither a user nor a fragment",
        ),
    ],
)
def test_an_address_for_alerts_that_cannot_be_is_refused(tmp_path: Path, hook: str, said: str) -> None:
    """And is not repeated: people put keys into URLs."""
    with pytest.raises(SettingsError, match=said) as caught:
        loaded(tmp_path, GOOD + f"alerts: {{webhook: {{{hook}}}}}\n")

    assert "example.com" not in str(caught.value)
