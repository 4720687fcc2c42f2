"""What a plan includes beyond tiers: models, endpoints, features; what is beyond it, and how that is said."""

from pathlib import Path
from typing import Any

import pytest

from margin.gates import Access
from margin.plan_error import PlanError
from margin.sellbook import Plan, Tier
from proxy.identity.terms import KeyTerms
from proxy.routing import gating, policy
from proxy.settings import Settings, SettingsError
from proxy.wire.errors import Forbidden, PlanLacks
from tests.proxy.test_policy import YAML, _settings, ask, judged, names, tiers
from tests.settings.writing import loaded

FRONTIER = ["auto:complex", "large"]


@pytest.fixture
def settings() -> Settings:
    """Three tiers of house models."""
    return _settings()


def plan(**terms: Any) -> Plan:
    """A plan that includes what is stated."""
    return Plan("starter", access=Access(models=frozenset({"small-too", "middle"})), **terms)


@pytest.mark.parametrize("model", [*FRONTIER, "auto"])
def test_who_asks_for_the_frontier_gets_the_plan_s_own_tier(settings: Settings, model: str) -> None:
    """It is served by the highest that its list reaches, charged so, and told by the route's word."""
    route = policy.route(settings, plan(), ask(model), judged("complex"))

    assert (names(route), tiers(route)) == (["middle"], ("medium", "medium"))
    assert route.rule.endswith("+gate")
    assert "starter" in route.reasons[-1]


def test_a_model_beside_the_list_is_replaced_by_one_of_its_tier(settings: Settings) -> None:
    """`small` is of the simple tier, as the plan's `small-too` is."""
    route = policy.route(settings, plan(), ask("small"), judged("complex"))

    assert (names(route), tiers(route), route.rule) == (["small-too"], ("simple", "simple"), "named+gate")
    assert route.reasons[-1] == "the plan starter does not include small; simple serves"


def test_models_of_the_list_serve_as_before(settings: Settings) -> None:
    """By name and by `auto`; a fallback above is within the list, too."""
    assert names(policy.route(settings, plan(), ask("middle"), judged("simple"))) == ["middle"]
    route = policy.route(settings, plan(), ask(), judged("simple"))
    assert (names(route), route.rule) == (["small-too", "middle"], "judged")


def test_a_list_without_the_judged_tier_serves_the_next_below(settings: Settings) -> None:
    """Or, where there is none below, the lowest there is."""
    low = Plan("low", access=Access(models=frozenset({"small", "large"})))
    high = Plan("high", access=Access(models=frozenset({"large"})))

    assert tiers(policy.route(settings, low, ask(), judged("medium"))) == ("simple", "simple")
    assert tiers(policy.route(settings, high, ask(), judged("simple"))) == ("complex", "complex")


@pytest.mark.parametrize("model", ["large", "small"])
def test_a_plan_may_refuse_what_it_does_not_include(settings: Settings, model: str) -> None:
    """403, with a code, the model and what there is."""
    with pytest.raises(
        PlanLacks, match=rf"`starter` does not include the model `{model}`.*middle, small-too"
    ) as caught:
        policy.route(settings, plan(gate_policy="refuse"), ask(model), judged("complex"))

    assert (caught.value.status, caught.value.code, caught.value.param) == (403, "model_not_in_plan", "model")


@pytest.mark.parametrize(("said", "expected"), [("simple", "small-too"), ("complex", "small-too")])
def test_key_and_plan_bind_together(settings: Settings, said: Tier, expected: str) -> None:
    """What serves is in both lists; where nothing is in both, nobody is called."""
    key = KeyTerms(models=frozenset({"small", "small-too", "large"}))
    assert names(policy.route(settings, plan(), ask(), judged(said), bounds=key)) == [expected]

    with pytest.raises(Forbidden):
        policy.route(settings, plan(), ask(), judged(said), bounds=KeyTerms(models=frozenset({"large"})))


def test_no_answer_is_of_a_model_beside_the_list(settings: Settings) -> None:
    """Whatever is asked for, however it is judged."""
    allowed = {"small-too", "middle"}
    for model in ("auto", "auto:simple", "auto:medium", "auto:complex", "small", "large", "own-price", "no-price"):
        for tier in ("simple", "medium", "complex"):
            assert set(names(policy.route(settings, plan(), ask(model), judged(tier)))) <= allowed, (model, tier)


@pytest.mark.parametrize(
    ("access", "headers", "surface", "code"),
    [
        (Access(surfaces=frozenset({"chat"})), {}, "messages", "surface_not_in_plan"),
        (Access(surfaces=frozenset({"chat"})), {}, "chat", None),
        (Access(features=frozenset({"search"})), {b"x-penstock-feature": b"agents"}, "chat", "feature_not_in_plan"),
        (Access(features=frozenset({"search"})), {b"x-penstock-feature": b" search "}, "chat", None),
        (Access(features=frozenset({"search"})), {}, "chat", None),
        (Access(features=frozenset()), {b"x-penstock-feature": b"search"}, "chat", "feature_not_in_plan"),
    ],
)
def test_endpoints_and_features(access: Access, headers: dict[bytes, bytes], surface: str, code: str | None) -> None:
    """A 403 names what the plan lacks and what it has; who names no feature asks for none."""
    plan = Plan("starter", access=access)
    if code is None:
        gating.check(plan, access, headers, surface)
        return
    with pytest.raises(PlanLacks, match="starter") as caught:
        gating.check(plan, access, headers, surface)
    assert caught.value.code == code


def test_a_plan_that_binds_nothing_keeps_its_version() -> None:
    """And each bound is a term of its own."""
    versions = {Plan("p", access=each).version for each in (
        None, Access(models=frozenset({"a"})), Access(surfaces=frozenset({"chat"})), Access(keys_max=1),
        Access(features=frozenset()),
    )}  # fmt: skip
    assert len(versions) == 5


@pytest.mark.parametrize("terms", [{"models": frozenset()}, {"surfaces": frozenset()}, {"keys_max": 0}])
def test_bounds_that_nobody_could_use_are_refused(terms: dict[str, Any]) -> None:
    """An empty list of features is no feature; of models it would be no plan."""
    with pytest.raises(PlanError, match="gates"):
        Access(**terms)


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ("{models: [smal]}", '3: plans.p.gates.models: "smal" is not a model; did you mean "small"?'),
        ("{models: [large], max_tier: medium}", "3: plans.p.gates.models: names none of the tiers up to medium"),
        ("{models: [own-price]}", "3: plans.p.gates.models: names none of the tiers up to complex"),
        ("{models: []}", "3: plans.p.gates.models: names none, so nobody could use the plan"),
        ("{surfaces: []}", "3: plans.p.gates.surfaces: names none"),
        ("{surfaces: [fax]}", "surfaces"),
        ("{keys: 0}", "3: plans.p.gates.keys: must be at least 1"),
        ("{max_tier: simple, min_tier: medium}", "3: plans.p.gates.min_tier: is above max_tier"),
    ],
)
def test_contradictions_are_told_with_line_and_reason(tmp_path: Path, gates: str, said: str) -> None:
    """As `penstock check` shows them."""
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, YAML, {}, plans=f"default: p\nplans:\n  p: {{gates: {gates}}}\n")

    assert said in str(caught.value)
