"""The policy: which rule wins, what it moves, what of it `penstock check` refuses, and weights."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.sellbook import Plan, Tier
from proxy.routing import policy, rules, spread
from proxy.routing.policy import Route
from proxy.routing.rules import Asker
from proxy.settings import Deployment, Provider, Settings, Timeouts
from proxy.wire.errors import Forbidden, Malformed
from tests.proxy.scene import scene
from tests.proxy.test_policy import ask, judged, names
from tests.settings.writing import loaded, refused

YAML = """\
providers:
  house: {dialect: openai, base_url: "http://127.0.0.1:8000/v1"}
  dark: {dialect: openai, base_url: "http://127.0.0.1:8001/v1", api_key: "${DARK_KEY}"}
models:
  small: {provider: house, free: true}
  small-too: {provider: house, free: true}
  middle: {provider: house, free: true}
  large: {provider: house, free: true}
  unlit: {provider: dark, free: true}
tiers: {simple: [small, small-too], medium: [middle], complex: [large]}
"""
PLANS = """\
default: open
plans:
  open: {}
  low: {gates: {max_tier: simple}}
  fine: {gates: {min_tier: medium}}
"""
OPEN = Plan("open")


def with_rules(folder: Path, *lines: str) -> Settings:
    """The configuration with these rules."""
    return loaded(folder, _text(*lines), plans=PLANS)


def _text(*lines: str) -> str:
    return YAML + "routing:\n  rules:\n" + "".join(f"    - {line}\n" for line in lines)


def route(
    settings: Settings, plan: Plan = OPEN, tier: Tier = "medium", hint: Tier | None = None,
    headers: dict[bytes, bytes] | None = None, customer: str = "acme", model: str = "auto", **fields: Any,
) -> Route:  # fmt: skip
    """The route of a request that is judged to be of a tier."""
    asker = rules.asker(settings.routing, customer, headers or {})
    return policy.route(settings, plan, ask(model, **fields), judged(tier), hint, asker=asker)


@pytest.mark.parametrize(
    ("when", "asked", "fits"),
    [
        ("{customer: acme}", {}, True),
        ("{customer: [globex, acme]}", {}, True),
        ("{customer: globex}", {}, False),
        ("{plan: open}", {}, True),
        ("{plan: low}", {}, False),
        ("{feature: search}", {"headers": {b"x-penstock-feature": b"search"}}, True),
        ("{feature: search}", {"headers": {b"x-penstock-feature": b"Search"}}, False),
        ("{feature: search}", {}, False),
        ("{header: {x-team: '*'}}", {"headers": {b"x-team": b"any"}}, True),
        ("{header: {x-team: web, x-env: prod}}", {"headers": {b"x-team": b"web"}}, False),
        ("{tags: {env: prod}}", {"metadata": {"env": "prod"}}, True),
        ("{tags: {env: prod}}", {"metadata": {"env": 1}}, False),
        ("{tags: {env: '*'}}", {"metadata": None}, False),
        ("{model: auto}", {}, True),
        ("{model: quick}", {}, False),
        ("{task: chat}", {}, True),
        ("{task: [code, faq]}", {}, False),
        ("{}", {}, True),
        ("{customer: acme, plan: low}", {}, False),
    ],
)
def test_a_rule_fits_when_all_of_it_does(tmp_path: Path, when: str, asked: dict[str, Any], fits: bool) -> None:
    """Else the request is routed as without it."""
    settings = with_rules(tmp_path, f"{{name: it, when: {when}, tier: complex}}")

    found = route(settings, **asked)

    assert (found.rule, found.served_tier) == (("rule:it", "complex") if fits else ("judged", "medium"))


def test_the_first_that_fits_wins(tmp_path: Path) -> None:
    """And it says in words why."""
    settings = with_rules(
        tmp_path, "{name: one, when: {customer: globex}, tier: complex}",
        "{name: two, when: {customer: acme, plan: open}, tier: simple}", "{name: three, tier: complex}",
    )  # fmt: skip

    found = route(settings)

    assert (found.rule, found.charge_tier) == ("rule:two", "simple")
    assert found.reasons == ("the rule two fits: the customer is acme and the plan is open; it takes it for simple",)
    assert route(settings, customer="other").rule == "rule:three"


def test_what_the_caller_chose_goes_before_a_rule_s_tier(tmp_path: Path) -> None:
    """A pin, a header, a named model: the rule is told all the same, as its other words hold."""
    settings = with_rules(tmp_path, "{name: it, tier: complex}")

    assert route(settings, model="auto:simple").rule == "pinned+rule:it"
    assert route(settings, hint="simple").rule == "hint+rule:it"
    assert route(settings, model="small").rule == "named"


def test_at_most_caps_what_serves_and_is_charged_as_a_gate_does(tmp_path: Path) -> None:
    """No tier above it is a fallback, either."""
    settings = with_rules(tmp_path, "{name: cap, at_most: simple}")

    found = route(settings, tier="complex")

    assert (found.charge_tier, found.served_tier, names(found)) == ("simple", "simple", ["small", "small-too"])
    assert found.rule == "judged+rule:cap"


def test_checks_without_a_better_model_are_warned_of(tmp_path: Path) -> None:
    """Nobody could be asked again."""
    alone = YAML.partition("tiers:")[0] + "tiers: {simple: [small]}\nrouting: {escalate: {}}\n"

    assert [each for each in loaded(tmp_path, alone).warnings if "escalate" in each]


def test_at_least_raises_what_serves_and_not_what_is_charged(tmp_path: Path) -> None:
    """The promise is ours; within what the plan reaches."""
    settings = with_rules(tmp_path, "{name: care, at_least: medium}")

    found = route(settings, tier="simple")

    assert (found.charge_tier, found.served_tier, found.rule) == ("simple", "medium", "judged+rule:care+floor")
    assert route(settings, Plan("low", max_tier="simple"), tier="simple").served_tier == "simple"


def test_use_names_who_serves_and_nobody_else_does(tmp_path: Path) -> None:
    """In its order; within the plan's gate."""
    settings = with_rules(tmp_path, "{name: here, use: [large, small-too]}")

    assert names(route(settings)) == ["large", "small-too"]
    assert names(route(settings, Plan("low", max_tier="simple"))) == ["small-too"]
    with pytest.raises(Forbidden, match="none of the models of the rule `only`"):
        route(with_rules(tmp_path, "{name: only, use: [large]}"), Plan("low", max_tier="simple"))


def test_use_keeps_floors_and_hears_pins(tmp_path: Path) -> None:
    """Who is charged for a tier, or promised one, is not served below it because a rule names a lesser model first."""
    settings = with_rules(tmp_path, "{name: here, use: [small, large]}")
    least = {b"x-penstock-min-tier": b"medium"}

    assert names(route(settings)) == ["small", "large"]
    assert names(route(settings, headers=least)) == ["large"]
    assert names(route(settings, Plan("fine", min_tier="complex"))) == ["large"]
    assert names(route(settings, model="auto:complex")) == names(route(settings, hint="medium")) == ["large"]

    only = with_rules(tmp_path, "{name: only, use: [small]}")
    with pytest.raises(Forbidden, match="takes at least medium, and the rule `only` names no model so good"):
        route(only, headers=least)
    found = route(only, model="auto:complex")
    assert (found.served_tier, names(found)) == ("simple", ["small"])


# ---- quality -------------------------------------------------------------------------------------------------------


def test_a_plan_may_forbid_going_below_a_tier(tmp_path: Path) -> None:
    """What is charged stays as judged."""
    settings = loaded(tmp_path, YAML)

    found = route(settings, Plan("fine", min_tier="medium"), tier="simple")

    assert (found.charge_tier, found.served_tier, found.rule) == ("simple", "medium", "judged+floor")
    assert names(found) == ["middle", "large"]


def test_a_request_may_ask_for_a_minimum(tmp_path: Path) -> None:
    """It is charged for it, as for a pin; where the plan does not reach it nobody serves less."""
    settings, least = loaded(tmp_path, YAML), {b"x-penstock-min-tier": b"medium"}

    found = route(settings, tier="simple", headers=least)

    assert (found.charge_tier, found.served_tier, found.rule) == ("medium", "medium", "judged+least")
    assert route(settings, tier="complex", headers=least).rule == "judged"
    with pytest.raises(Forbidden, match="takes at least medium"):
        route(settings, Plan("low", max_tier="simple"), tier="simple", headers=least)
    with pytest.raises(Malformed, match="must be one of"):
        route(settings, headers={b"x-penstock-min-tier": b"best"})


@given(
    st.sampled_from(["simple", "medium", "complex"]), st.sampled_from(["simple", "medium", "complex"]),
    st.sampled_from([None, "simple", "medium", "complex"]), st.sampled_from([None, "simple", "medium", "complex"]),
)  # fmt: skip
def test_nobody_serves_below_what_was_promised_or_above_what_is_reached(
    tier: Tier, cap: Tier, floor: Tier | None, least: Tier | None
) -> None:
    """Whatever plan and caller say: a route between them, or a refusal that says so."""
    order = ["simple", "medium", "complex"]
    if floor is not None and order.index(floor) > order.index(cap):
        floor = None
    headers = {} if least is None else {b"x-penstock-min-tier": least.encode()}
    try:
        found = route(_settings(), Plan("any", max_tier=cap, min_tier=floor), tier=tier, headers=headers)
    except Forbidden:
        assert least is not None
        assert order.index(least) > order.index(cap)
        return
    served = order.index(found.served_tier)
    assert served <= order.index(cap)
    assert all(served >= order.index(each) for each in (floor, least) if each is not None)


_KEPT: list[Settings] = []


def _settings() -> Settings:
    if not _KEPT:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            _KEPT.append(loaded(Path(folder), YAML))
    return _KEPT[0]


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("{name: it, use: [unlit]}", "reaches no model: the providers of all of them are disabled"),
        ("{name: it, use: [smal]}", 'did you mean "small"?'),
        ("{name: it, at_least: complex, at_most: simple}", "is above at_most: complex and simple"),
        ("{name: it, when: {plan: low}, at_least: medium}", "is above what the plan low reaches, which is simple"),
        ("{name: it, when: {plan: low}, use: [large]}", "reaches no model in the plan low, which goes up to simple"),
        ("{name: it, at_least: medium, use: [small]}", "all of them are below at_least, which is medium"),
        ("{name: it, when: {plan: fine}, use: [small]}", "reaches no model in the plan fine, whose floor is medium"),
        ("{name: it}", "says nothing: state tier, at_least, at_most, use or escalate"),
        ("{name: it, when: {plan: lo}, tier: simple}", 'did you mean "low"?'),
        ("{name: it, when: {task: coding}, tier: simple}", '"coding"'),
        ("{name: It, tier: simple}", "name"),
        ("{name: it, when: {customer: []}, tier: simple}", "customer"),
        ("{name: it, when: {header: {X-Team: a}}, tier: simple}", "X-Team"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(tmp_path: Path, rule: str, sentence: str) -> None:
    """With the line it stands on."""
    found = refused(tmp_path, _text(rule), plans=PLANS)

    assert sentence in found
    assert "penstock.yaml:13" in found


def test_a_plan_whose_floor_is_above_its_cap_is_refused(tmp_path: Path) -> None:
    """It would serve nobody."""
    plans = "default: odd\nplans:\n  odd: {gates: {max_tier: simple, min_tier: medium}}\n"

    assert "plans.odd.gates.min_tier: is above max_tier" in refused(tmp_path, YAML, plans=plans)


def test_a_rule_that_is_never_reached_is_told(tmp_path: Path) -> None:
    """One before it fits whatever it fits."""
    settings = with_rules(tmp_path, "{name: all, tier: simple}", "{name: late, when: {plan: low}, tier: simple}")

    assert any("rule late is never reached: all before it" in each for each in settings.warnings)


def test_a_floor_makes_another_version_and_none_keeps_it() -> None:
    """What charges store stays true."""
    assert Plan("pro").version == Plan("pro", min_tier=None).version
    assert Plan("pro", min_tier="medium").version != Plan("pro").version


# ---- weights -------------------------------------------------------------------------------------------------------


def _deployment(name: str, weight: int | None) -> Deployment:
    provider = Provider("house", "openai", "http://127.0.0.1:8000/v1", None, enabled=True, timeouts=Timeouts())
    return Deployment(name, provider, name, prices=None, free=True, weight=weight)


def test_weights_share_conversations_as_they_say() -> None:
    """3 to 1, within two points of a hundred over ten thousand of them; 0 only stands in."""
    tier = [_deployment("a", 3), _deployment("b", 1), _deployment("c", 0)]

    orders = [
        [each.name for each in spread.ordered(tier, spread.beginning("acme", [{"role": "user", "content": f"{n}"}]))]
        for n in range(10_000)
    ]

    firsts = Counter(each[0] for each in orders)
    assert abs(firsts["a"] / 10_000 - 0.75) < 0.02
    assert all(each[2] == "c" for each in orders)


def test_a_conversation_keeps_its_deployment_as_it_goes_on() -> None:
    """Its beginning decides, and whose it is."""
    begun = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    later = [*begun, {"role": "assistant", "content": "hello"}, {"role": "user", "content": "and now?"}]

    assert spread.beginning("acme", begun) == spread.beginning("acme", later)
    assert spread.beginning("acme", begun) != spread.beginning("globex", begun)


def test_a_deployment_that_goes_moves_its_own_conversations_only() -> None:
    """Whoever was with another stays."""
    three = [_deployment(name, 1) for name in "abc"]

    for n in range(300):
        key = spread.beginning("acme", [{"role": "user", "content": str(n)}])
        first = spread.ordered(three, key)[0].name
        if first != "c":
            assert spread.ordered(three[:2], key)[0].name == first


def test_without_weights_the_list_s_order_holds(tmp_path: Path) -> None:
    """And with one, the others count 1."""
    assert [each.name for each in spread.ordered([_deployment("b", None), _deployment("a", None)], b"x")] == ["b", "a"]
    settings = loaded(tmp_path, YAML.replace("small: {", "small: {weight: 1, "))
    firsts = Counter(names(route(settings, tier="simple", content=str(n)))[0] for n in range(400))
    assert min(firsts["small"], firsts["small-too"]) > 120


# ---- a request -----------------------------------------------------------------------------------------------------


def test_the_header_names_the_rule_and_what_was_understood_is_not_another_s(tmp_path: Path) -> None:
    """The same bytes from the same key with another header are routed anew, answers from memory or not."""
    sections = "routing: {rules: [{name: shop, when: {header: {x-team: shop}}, use: [gpt-4o-mini]}]}\n"

    async def main() -> list[tuple[bytes, bytes]]:
        async with scene(tmp_path, sections=sections, repeats=True) as here:
            replies = [await here.ask(headers=each) for each in ({}, {b"x-team": b"shop"}, {b"x-team": b"web"}, {})]
        return [(dict(each.headers)[b"x-penstock-model"], dict(each.headers)[b"x-penstock-route"]) for each in replies]

    plain, shop = (b"gpt-6-luna", b"pinned"), (b"gpt-4o-mini", b"pinned+rule:shop")

    assert asyncio.run(main()) == [plain, shop, plain, plain]


def test_an_asker_is_nobody_where_nothing_looks(tmp_path: Path) -> None:
    """Without rules, weights or a minimum a route costs what it did."""
    assert rules.asker(loaded(tmp_path, YAML).routing, "acme", {b"x-team": b"shop"}) is None
    assert rules.asker(_settings().routing, "acme", {b"x-penstock-min-tier": b"simple"}) == Asker("acme", {}, "simple")
