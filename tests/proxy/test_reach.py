"""What a key reaches: `auto` stays within its lists, a name outside them is refused, `/v1/models` lists the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.sellbook import TIERS, Plan, Tier
from proxy.identity import KeyTerms
from proxy.routing import policy
from proxy.routing.reach import nearest
from proxy.settings import Settings
from proxy.wire.errors import Forbidden, Malformed
from tests.proxy.test_policy import CAPPED, OPEN, _settings, ask, judged, names, tiers

TOOL = {"type": "function", "function": {"name": "look_up"}}


@pytest.fixture
def settings() -> Settings:
    """Three tiers of house models."""
    return _settings()


def models(*allowed: str) -> KeyTerms:
    """A key with a list of models."""
    return KeyTerms(models=frozenset(allowed))


def within(*allowed: Tier) -> KeyTerms:
    """A key with a list of tiers."""
    return KeyTerms(tiers=frozenset(allowed))


def route(settings: Settings, model: str, says: Tier, bounds: KeyTerms, plan: Plan = OPEN, **fields):
    """Route a request of a bound key."""
    return policy.route(settings, plan, ask(model, **fields), judged(says), bounds=bounds)


@pytest.mark.parametrize("says", TIERS)
def test_auto_stays_within_the_models_of_a_key(settings: Settings, says: Tier) -> None:
    """However hard the request: the one model serves, and what serves is charged."""
    found = route(settings, "auto", says, models("small-too"))

    assert names(found) == ["small-too"]
    assert tiers(found) == ("simple", "simple")
    assert found.rule == ("judged" if says == "simple" else "judged+key")


def test_fallbacks_stay_within_them_too(settings: Settings) -> None:
    """Of the tiers above only what is listed is tried."""
    assert names(route(settings, "auto", "simple", models("small", "large"))) == ["small", "large"]


@pytest.mark.parametrize(
    ("allowed", "says", "served"),
    [
        (("simple",), "complex", "simple"),
        (("complex",), "simple", "complex"),
        (("simple", "complex"), "medium", "complex"),
        (("simple", "medium"), "complex", "medium"),
        (("medium",), "medium", "medium"),
    ],
)
def test_auto_goes_to_the_nearest_tier_of_a_key(
    settings: Settings, allowed: tuple[Tier, ...], says: Tier, served: Tier
) -> None:
    """Upwards if it can, else down; both tiers move, as when the caller pins one."""
    found = route(settings, "auto", says, within(*allowed))

    assert tiers(found) == (served, served)
    assert found.rule == ("judged" if says == served else "judged+key")
    assert {each.name for each in found.deployments} <= {
        each.name for tier in allowed for each in settings.tiers[tier]
    }  # fmt: skip


def test_a_header_is_moved_as_a_judgement_is(settings: Settings) -> None:
    """It is a hint."""
    found = policy.route(settings, OPEN, ask(), judged("simple"), "complex", bounds=within("medium"))

    assert (tiers(found), found.rule) == (("medium", "medium"), "hint+key")


@pytest.mark.parametrize("name", ["large", "big", "auto:complex", "own-price"])
def test_a_name_outside_the_tiers_is_refused_with_what_is_allowed(settings: Settings, name: str) -> None:
    """403, and the list is that of `/v1/models`."""
    bounds = within("simple")

    with pytest.raises(Forbidden) as raised:
        route(settings, name, "simple", bounds)

    allowed = ", ".join(policy.model_names(settings, bounds))
    assert raised.value.message == f"This key may not use `{name}`; it may use: {allowed}."
    assert (raised.value.status, raised.value.param) == (403, "model")


@pytest.mark.parametrize("name", ["middle", "auto:medium", "quick"])
def test_a_name_outside_the_models_is_refused(settings: Settings, name: str) -> None:
    """Whether a model, a tier that has none of the key's, or an alias of one."""
    with pytest.raises(Forbidden, match="may not use"):
        route(settings, name, "simple", models("large"))


def test_a_named_model_that_is_allowed_is_honoured(settings: Settings) -> None:
    """Also one that no tier lists."""
    for name in ("large", "big", "own-price"):
        bounds = models("large", "own-price")
        assert route(settings, name, "simple", bounds).rule == "named"


@pytest.mark.parametrize(
    ("bounds", "listed"),
    [
        (models("small"), ["auto", "auto:simple", "small", "gpt-4o", "quick"]),
        (models("own-price"), ["own-price"]),
        (within("medium"), ["auto", "auto:medium", "middle", "gpt-4o"]),
        (KeyTerms(models=frozenset({"small", "large"}), tiers=frozenset({"complex"})),
         ["auto", "auto:complex", "large", "gpt-4o", "big"]),
        (models("gone"), []),
        (KeyTerms(expires_t=5), None),
    ],
    ids=["a model", "untiered", "a tier", "both", "nothing", "neither"],
)  # fmt: skip
def test_the_list_of_models_is_the_keys_own(settings: Settings, bounds: KeyTerms, listed: list[str] | None) -> None:
    """Names that lead nowhere for it are left out."""
    assert policy.model_names(settings, bounds) == (policy.model_names(settings) if listed is None else listed)


def test_a_key_whose_models_are_gone_is_told_so(settings: Settings) -> None:
    """After a reload without them."""
    with pytest.raises(Forbidden, match="nothing that is configured"):
        route(settings, "auto", "simple", models("gone"))


def test_plan_and_key_both_bind(settings: Settings) -> None:
    """The plan reaches medium: of a key with simple and complex only simple is left; with complex alone nothing is."""
    found = route(settings, "auto", "complex", within("simple", "complex"), CAPPED)

    assert (tiers(found), found.rule) == (("simple", "simple"), "judged+gate+key")
    with pytest.raises(Forbidden, match=r"capped.*up to medium, this key only complex"):
        route(settings, "auto", "simple", within("complex"), CAPPED)
    with pytest.raises(Forbidden, match="where this key reaches no model"):
        route(settings, "large", "simple", models("large"), CAPPED)


def test_a_gate_that_refuses_is_not_got_round(settings: Settings) -> None:
    """The key allows complex, the plan refuses it: refused, and not served lower."""
    plan = Plan("capped", max_tier="medium", gate_policy="refuse")

    with pytest.raises(Forbidden, match=r"capped.*medium.*complex"):
        route(settings, "auto", "complex", within("simple", "complex"), plan)
    assert tiers(route(settings, "auto", "complex", within("simple"), plan)) == ("simple", "simple")


def test_what_none_of_a_keys_models_can_take_is_malformed(settings: Settings) -> None:
    """Tools need the large model, which this key may not call."""
    with pytest.raises(Malformed, match="small calls no tools"):
        route(settings, "auto", "simple", models("small"), tools=[TOOL])


ANY_TIERS = st.none() | st.frozensets(st.sampled_from(TIERS), min_size=1)
ANY_MODELS = st.none() | st.frozensets(
    st.sampled_from(["small", "small-too", "middle", "large", "own-price"]), min_size=1
)


@given(
    bounds=st.builds(KeyTerms, models=ANY_MODELS, tiers=ANY_TIERS),
    says=st.sampled_from(TIERS),
    plan=st.sampled_from([OPEN, CAPPED, Plan("strict", max_tier="simple", gate_policy="refuse")]),
    name=st.sampled_from(["auto", "auto:medium", "gpt-4o", "small", "large", "own-price"]),
)
def test_nothing_outside_a_keys_lists_is_ever_called(bounds: KeyTerms, says: Tier, plan: Plan, name: str) -> None:
    """Whatever is asked for under whatever plan: refused, or served by listed models within listed tiers."""
    settings = _settings()

    try:
        found = route(settings, name, says, bounds, plan)
    except Forbidden:
        return

    assert name in policy.model_names(settings, bounds)
    for each in found.deployments:
        assert bounds.models is None or each.name in bounds.models
    if bounds.tiers is not None:
        assert {found.charge_tier, found.served_tier} <= bounds.tiers


@given(st.sampled_from(TIERS), st.frozensets(st.sampled_from(TIERS), min_size=1))
def test_the_nearest_tier(tier: Tier, allowed: frozenset[Tier]) -> None:
    """Itself, else the first above, else the last below."""
    ordered = tuple(each for each in TIERS if each in allowed)

    found = nearest(tier, ordered)

    assert found in allowed
    between = TIERS[TIERS.index(tier) : TIERS.index(found)]
    assert not set(between) & allowed
    assert TIERS.index(found) >= TIERS.index(tier) or found == ordered[-1]
