"""The route of a request: what is charged, who serves, and why."""

import functools
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.card import Card
from margin.costbook import PriceHistory
from margin.sellbook import TIERS, Plan, Tier
from margin.usage import Usage
from proxy.ceilings import ceiling_nusd
from proxy.routing import capability, policy
from proxy.routing.policy import Route
from proxy.settings import Deployment, Provider, Settings
from proxy.wire import chat
from proxy.wire.chat import ChatRequest
from proxy.wire.errors import Forbidden, Malformed, UnknownModel
from tests.settings.writing import changed, loaded

TOOL = {"type": "function", "function": {"name": "look_up"}}


YAML = """\
providers:
  house: {dialect: openai, base_url: http://127.0.0.1:8000/v1}
  away: {dialect: openai, base_url: http://127.0.0.1:8001/v1, api_key: ${AWAY_KEY}}
models:
  small: {provider: house, free: true, context_window: 2000, capabilities: {vision: false, tools: false, schema: false}}
  small-too: {provider: house, free: true, context_window: 4000, capabilities: {vision: false, tools: false}}
  middle: {provider: house, free: true, context_window: 100_000, capabilities: {tools: false}}
  large: {provider: house, free: true, context_window: 100_000}
  own-price: {provider: house, free: true, credits: 0.5}
  no-price: {provider: house, free: true}
  dark: {provider: away, free: true}
tiers:
  simple: [dark, small, small-too]
  medium: [middle]
  complex: [large]
aliases: {gpt-4o: auto, quick: auto:simple, big: large}
"""

OPEN = Plan("open")
CAPPED = Plan("capped", max_tier="medium")


@pytest.fixture
def settings() -> Settings:
    """Three tiers of house models, and one provider without a key."""
    return _settings()


def ask(model: str = "auto", content: Any = "hi", **fields: Any) -> ChatRequest:
    """A request for a model."""
    return chat.read(orjson.dumps({"model": model, "messages": [{"role": "user", "content": content}], **fields}))


class Said(NamedTuple):
    """What a route needs of a judgement."""

    tier: Tier
    reasons: tuple[str, ...]
    task: str = "chat"


def judged(tier: Tier) -> Said:
    """A judgement that says this tier."""
    return Said(tier, ("a reason",))


def names(route: Route) -> list[str]:
    """The deployments in the order they are tried."""
    return [each.name for each in route.deployments]


def tiers(route: Route) -> tuple[Tier, Tier]:
    """What is charged, and what serves."""
    return route.charge_tier, route.served_tier


# ---- what was asked for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tier", "tried", "milli"),
    [
        ("simple", ["small", "small-too", "middle", "large"], 1_000),
        ("medium", ["middle", "large"], 3_000),
        ("complex", ["large"], 10_000),
    ],
)
def test_auto_follows_the_judgement(settings: Settings, tier: Tier, tried: list[str], milli: int) -> None:
    """The tier's models in the YAML's order, then those above it; never one below; disabled ones are not there."""
    route = policy.route(settings, OPEN, ask(), judged(tier))

    assert names(route) == tried
    assert tiers(route) == (tier, tier)
    assert route.credits_milli == milli
    assert (route.rule, route.reasons, route.requested) == ("judged", ("a reason",), "auto")


@pytest.mark.parametrize("pinned", TIERS)
@pytest.mark.parametrize("says", TIERS)
def test_a_pinned_tier_goes_before_the_judgement(settings: Settings, pinned: Tier, says: Tier) -> None:
    """`auto:TIER` sets both tiers; a header does not move it."""
    route = policy.route(settings, OPEN, ask(f"auto:{pinned}"), judged(says), "complex")

    assert tiers(route) == (pinned, pinned)
    assert route.rule == "pinned"


@pytest.mark.parametrize("hint", TIERS)
def test_a_hint_goes_before_the_judgement(settings: Settings, hint: Tier) -> None:
    """The header of a caller that knows better."""
    route = policy.route(settings, OPEN, ask(), judged("medium"), hint)

    assert tiers(route) == (hint, hint)
    assert route.rule == "hint"
    assert hint in route.reasons[0]


def test_an_alias_is_what_it_stands_for(settings: Settings) -> None:
    """For `auto`, a pinned tier, or a model; what was asked for is recorded as it was written."""
    auto = policy.route(settings, OPEN, ask("gpt-4o"), judged("medium"))
    quick = policy.route(settings, OPEN, ask("quick"), judged("complex"))
    big = policy.route(settings, OPEN, ask("big"), judged("simple"))

    assert (tiers(auto), auto.rule, auto.requested) == (("medium", "medium"), "judged", "gpt-4o")
    assert (tiers(quick), quick.rule) == (("simple", "simple"), "pinned")
    assert (names(big), tiers(big), big.rule) == (["large"], ("complex", "complex"), "named")


@pytest.mark.parametrize(
    ("model", "tier", "milli"),
    [
        ("small", "simple", 1_000),
        ("middle", "medium", 3_000),
        ("large", "complex", 10_000),
        ("own-price", "complex", 500),
        ("no-price", "complex", 10_000),
    ],
)
def test_a_named_model_serves_alone(settings: Settings, model: str, tier: Tier, milli: int) -> None:
    """It charges the tier that lists it, else its own credits, else complex; judgement and hint do not matter."""
    for says in TIERS:
        route = policy.route(settings, OPEN, ask(model), judged(says), "medium")

        assert names(route) == [model]
        assert tiers(route) == (tier, tier)
        assert route.credits_milli == milli
        assert route.rule == "named"


@pytest.mark.parametrize("name", ["gpt-9", "auto:", "auto:huge", "AUTO", "dark", "x" * 250, "small ", "auto:simple:"])
def test_an_unknown_model_lists_the_names(settings: Settings, name: str) -> None:
    """Every name that would work, none of a disabled provider, and no page of what was asked for."""
    with pytest.raises(UnknownModel) as raised:
        policy.route(settings, OPEN, ask(name), judged("simple"))

    message = raised.value.message
    for known in ("auto", "auto:medium", "small-too", "own-price", "gpt-4o", "big"):
        assert f" {known}" in message
    assert " dark" not in message.split("Models are:")[1]
    assert len(message) < 80 + 250
    assert (raised.value.status, raised.value.param) == (404, "model")


def test_every_listed_name_has_a_route(settings: Settings) -> None:
    """What the 404 and `/v1/models` promise is kept."""
    listed = policy.model_names(settings)

    assert len(listed) == len(set(listed))
    for name in listed:
        assert policy.route(settings, OPEN, ask(name), judged("simple")).deployments


# ---- gates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("follows", "charge", "milli"), [(True, "medium", 3_000), (False, "complex", 10_000)])
@pytest.mark.parametrize("model", ["auto", "auto:complex", "large", "no-price"])
def test_a_gate_serves_lower(settings: Settings, model: str, follows: bool, charge: Tier, milli: int) -> None:
    """However the tier was chosen; whether the charge follows is the plan's term; no model above the cap is tried."""
    plan = Plan("capped", max_tier="medium", charge_follows_gate=follows)

    route = policy.route(settings, plan, ask(model), judged("complex"))

    assert names(route) == ["middle"]
    assert tiers(route) == (charge, "medium")
    assert route.credits_milli == milli
    assert route.rule.endswith("+gate")
    assert "capped" in route.reasons[-1]


@pytest.mark.parametrize("model", ["auto", "auto:complex", "large"])
def test_a_gate_may_refuse(settings: Settings, model: str) -> None:
    """403, naming the plan and its cap."""
    plan = Plan("capped", max_tier="medium", gate_policy="refuse")

    with pytest.raises(Forbidden, match=r"capped.*medium.*complex"):
        policy.route(settings, plan, ask(model), judged("complex"))


def test_within_the_gate_nothing_changes(settings: Settings) -> None:
    """A request below the cap is as without one, but for the fallbacks above it."""
    route = policy.route(settings, CAPPED, ask(), judged("simple"))

    assert names(route) == ["small", "small-too", "middle"]
    assert route.rule == "judged"
    assert names(policy.route(settings, CAPPED, ask("middle"), judged("complex"))) == ["middle"]


def test_a_gated_named_model_charges_no_price_of_its_own(settings: Settings) -> None:
    """Half a credit buys that model, not the one that serves in its place."""
    assert policy.route(settings, CAPPED, ask("own-price"), judged("simple")).credits_milli == 3_000


# ---- capability ----------------------------------------------------------------------------------------------------

IMAGE = [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}, {"type": "text", "text": "what is it?"}]


@pytest.mark.parametrize(
    ("fields", "tried", "served", "lack"),
    [
        ({"content": IMAGE}, ["middle", "large"], "medium", "small reads no images"),
        ({"tools": [TOOL]}, ["large"], "complex", "middle calls no tools"),
        ({"functions": [{}]}, ["large"], "complex", "small calls no tools"),
        ({"content": "x" * 4 * 4000}, ["middle", "large"], "medium", "small has a window of 2000 tokens"),
        ({"max_tokens": 5000}, ["middle", "large"], "medium", "small-too has a window of 4000 tokens"),
    ],
    ids=["images", "tools", "functions", "long", "much"],
)
def test_who_cannot_take_a_request_is_left_out(
    settings: Settings, fields: dict[str, Any], tried: list[str], served: Tier, lack: str
) -> None:
    """The tiers above serve, the charge stays what was judged, and the reason says what was lacking."""
    route = policy.route(settings, OPEN, ask(**fields), judged("simple"))

    assert names(route) == tried
    assert tiers(route) == ("simple", served)
    assert route.credits_milli == 1_000
    assert route.rule == "judged+up"
    assert lack in route.reasons[-1]


def test_one_of_the_tier_is_enough(settings: Settings) -> None:
    """The second of a tier takes what the first cannot: that is no move up."""
    route = policy.route(
        settings, OPEN, ask(response_format={"type": "json_schema", "json_schema": {"name": "x"}}), judged("simple")
    )

    assert names(route) == ["small-too", "middle", "large"]
    assert route.served_tier == "simple"
    assert route.rule == "judged"


def test_what_nobody_within_the_plan_can_take(settings: Settings) -> None:
    """400, saying what each lacks; the same for a model that was named."""
    with pytest.raises(Malformed, match=r"small calls no tools.*middle calls no tools") as auto:
        policy.route(settings, CAPPED, ask(tools=[TOOL]), judged("simple"))
    with pytest.raises(Malformed, match="The model middle calls no tools") as named:
        policy.route(settings, OPEN, ask("middle", tools=[TOOL]), judged("simple"))

    assert auto.value.param == named.value.param == "model"


def test_who_has_no_word_for_a_field_is_left_out(settings: Settings) -> None:
    """A wire format without a field is passed over; where all lack the same one, the 400 names it."""

    def at_small(deployment: Deployment, wanted: ChatRequest) -> str | None:
        return "logprobs" if "logprobs" in wanted.fields and deployment.name.startswith("small") else None

    def nowhere(_: Deployment, wanted: ChatRequest) -> str | None:
        return "logprobs" if "logprobs" in wanted.fields else None

    wanted, plain = ask(logprobs=True), ask()

    route = policy.route(settings, OPEN, wanted, judged("simple"), None, at_small)
    with pytest.raises(Malformed, match="small is of a provider whose API has no `logprobs`") as auto:
        policy.route(settings, OPEN, wanted, judged("simple"), None, nowhere)
    with pytest.raises(Malformed, match="The model large is of a provider") as named:
        policy.route(settings, OPEN, ask("large", logprobs=True), judged("simple"), None, nowhere)

    assert names(route) == ["middle", "large"]
    assert (tiers(route), route.rule) == (("simple", "medium"), "judged+up")
    assert auto.value.param == named.value.param == "logprobs"
    assert names(policy.route(settings, OPEN, plain, judged("simple"), None, nowhere))[0] == "small"


def test_a_borrowed_tier_counts_as_its_own(tmp_path: Path) -> None:
    """An empty simple tier serves medium's models as simple: nothing was moved."""
    empty = loaded(tmp_path, changed("simple: [dark, small, small-too]", "simple: [dark]", YAML), environ={})

    route = policy.route(empty, OPEN, ask(), judged("simple"))

    assert names(route) == ["middle", "large"]
    assert tiers(route) == ("simple", "simple")
    assert route.rule == "judged"


def test_an_image_is_not_counted_as_text(settings: Settings) -> None:
    """A photo of a megabyte in the body is a thousand tokens or so, whatever its bytes."""
    photo = [{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + "A" * 1_000_000}}]

    assert names(policy.route(settings, OPEN, ask(content=photo), judged("medium"))) == ["middle", "large"]


MODELS = ["auto", "auto:simple", "auto:medium", "auto:complex", "gpt-4o", "small", "middle", "large", "no-price"]
NEEDS = [{}, {"tools": [TOOL]}, {"content": IMAGE}, {"max_tokens": 3000}, {"response_format": {"type": "json_object"}}]


@given(
    st.sampled_from(MODELS),
    st.sampled_from(TIERS),
    st.sampled_from([None, *TIERS]),
    st.sampled_from([None, *TIERS]),
    st.booleans(),
    st.sampled_from(NEEDS),
)
def test_what_holds_for_every_route(
    model: str, says: Tier, hint: Tier | None, cap: Tier | None, follows: bool, fields: dict[str, Any]
) -> None:
    """Nothing above the cap serves, all can take it, cheapest tier first, and the charge is the tier's."""
    plan = Plan("p", max_tier=cap, charge_follows_gate=follows)
    wanted = ask(model, **fields)
    config = _settings()
    try:
        route = policy.route(config, plan, wanted, judged(says), hint)
    except Malformed:
        return

    ceiling = TIERS.index("complex" if cap is None else cap)
    ranks = [_rank(config, each) for each in route.deployments]
    assert max(ranks) <= ceiling
    assert TIERS.index(route.served_tier) <= ceiling
    assert TIERS.index(route.served_tier) == min(ranks) == ranks[0]
    assert ranks == sorted(ranks)
    assert TIERS.index(route.charge_tier) <= (ceiling if follows else 2)
    assert route.credits_milli == plan.credits.schedule_milli[route.charge_tier]
    assert [capability.lacking(each, wanted) for each in route.deployments] == [None] * len(ranks)
    assert len(set(names(route))) == len(ranks)


@functools.cache
def _settings() -> Settings:
    """The module's settings, loaded once."""
    with tempfile.TemporaryDirectory() as folder:
        return loaded(Path(folder), YAML, environ={})


def _rank(config: Settings, deployment: Deployment) -> int:
    """The tier that lists a deployment; complex where none does."""
    listed = [TIERS.index(tier) for tier in TIERS if deployment in config.tiers[tier]]
    return max(listed, default=2)


# ---- baseline and ceiling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("baseline", "model", "expected"),
    [
        ("requested", "auto", "large"),
        ("requested", "middle", "middle"),
        ("requested", "big", "large"),
        ("frontier", "middle", "large"),
        ("frontier", "auto:simple", "large"),
        ("middle", "auto", "middle"),
        ("middle", "small", "middle"),
    ],
)
def test_the_baseline_is_what_would_have_served(tmp_path: Path, baseline: str, model: str, expected: str) -> None:
    """The model asked for, the first of complex, or the one that the configuration names."""
    config = loaded(tmp_path, f"{YAML}routing: {{baseline: {baseline}}}\n", environ={})

    route = policy.route(config, OPEN, ask(model), judged("simple"))

    assert route.baseline is not None
    assert route.baseline.name == expected


PROVIDER = Provider("house", "openai", "http://house.test/v1", None, enabled=True)
CARD = Card.of(
    input="0.20", cache_read="0.02", cache_write="0.25", cache_write_1h="0.40", output="1.00", reasoning="1.50",
    audio_in="9", tiers=[(50, {"input": "0.40", "output": "3.00"})],
)  # fmt: skip


def priced(prices: PriceHistory | None, *, output_max: int | None = None, free: bool = False) -> Deployment:
    """A deployment at a price."""
    return Deployment("d", PROVIDER, "m", prices=prices, output_max=output_max, free=free)


@given(st.data())
def test_no_usage_within_the_bound_costs_more_than_the_ceiling(data: st.DataObject) -> None:
    """At most a token per byte in, and the stated limit out for each choice, in whatever buckets."""
    output_max, choices = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 4))
    wanted = ask(content="x" * data.draw(st.integers(0, 60)), max_tokens=output_max, n=choices)
    room_in, room_out = wanted.body_bytes, output_max * choices
    buckets: dict[str, int] = {}
    for name in data.draw(st.permutations(["input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in"])):
        buckets[name] = data.draw(st.integers(0, room_in))
        room_in -= buckets[name]
    for name in data.draw(st.permutations(["output", "reasoning", "audio_out"])):
        buckets[name] = data.draw(st.integers(0, room_out))
        room_out -= buckets[name]

    ceiling = ceiling_nusd(priced(PriceHistory.fixed(CARD)), wanted, 0)

    assert ceiling is not None
    assert CARD.cost_nusd(Usage(**buckets)) <= ceiling


def test_the_ceiling_is_not_absurd() -> None:
    """Everything at the dearest rates that can be reached, and not a nano-dollar more."""
    wanted = ask(max_tokens=10, n=2)

    ceiling = ceiling_nusd(priced(PriceHistory.fixed(Card.of(input="0.20", output="1.00"))), wanted, 0)

    assert ceiling == wanted.body_bytes * 200 + 10 * 2 * 1000


def test_without_a_limit_the_model_s_own_counts() -> None:
    """What the caller does not state, the model does; if nobody does, nobody knows."""
    history = PriceHistory.fixed(Card.of(input="0.20", output="1.00"))

    assert ceiling_nusd(priced(history, output_max=7), ask(), 0) == ask().body_bytes * 200 + 7 * 1000
    assert ceiling_nusd(priced(history), ask(), 0) is None
    assert ceiling_nusd(priced(None, output_max=7), ask(), 0) is None
    assert ceiling_nusd(priced(None, free=True), ask(), 0) == 0


def test_a_ceiling_that_nobody_knows_is_none() -> None:
    """A model without a price yet, and one without a price for output."""
    later = PriceHistory(((1000, Card.of(input="0.20", output="1.00")),))
    no_output = PriceHistory.fixed(Card.of(input="0.02"))

    assert ceiling_nusd(priced(later, output_max=7), ask(), 999) is None
    assert ceiling_nusd(priced(no_output, output_max=7), ask(), 0) is None
