"""What the YAML means: tiers, prices, units, schemas."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from classifiers import read_ask
from classifiers.cuts import Cuts
from classifiers.table import WEIGHTS, shipped
from classifiers.weights_file import versioned, write
from margin.usage import Usage
from proxy.settings import Budget, Settings, SettingsError, Terms, Tier, plans_schema, schema, units
from tests.settings.writing import GOOD, changed, loaded, refused


def names(settings: Settings, tier: Tier) -> list[str]:
    """Return the names of a tier's deployments."""
    return [deployment.name for deployment in settings.tiers[tier]]


def test_tiers_keep_their_order(tmp_path: Path) -> None:
    """The preferred model comes first."""
    settings = loaded(tmp_path, changed("[gpt-6-luna]", "[local, gpt-6-luna]"))

    assert names(settings, "simple") == ["local", "gpt-6-luna"]
    assert settings.warnings == ()


@pytest.mark.parametrize("written", ["[]", "[local]"])
def test_an_empty_tier_borrows_the_next_one_up(tmp_path: Path, written: str) -> None:
    """Empty as written, or of disabled providers only, it takes the next, with one warning."""
    address = "base_url: http://127.0.0.1:8000/v1"
    text = changed(address, f"{address}\n    api_key: ${{HOUSE}}")
    text = changed("[gpt-6-luna]", written, text)

    settings = loaded(tmp_path, text)

    assert names(settings, "simple") == ["gpt-6.1-sol"]
    (warning,) = [line for line in settings.warnings if "no enabled model" in line]
    said = "tier simple has no enabled model and borrows those of medium, the next one up"
    assert warning.startswith(said)


def test_an_empty_complex_tier_borrows_down(tmp_path: Path) -> None:
    """There is no tier above it, and the warning says so."""
    settings = loaded(tmp_path, changed("[gpt-6-astra]", "[]"))

    assert names(settings, "complex") == ["gpt-6.1-sol"]
    assert any("borrows those of medium, the next one down" in line for line in settings.warnings)


def test_borrowing_skips_what_is_empty_too(tmp_path: Path) -> None:
    """Nobody borrows what was borrowed: each empty tier goes to the nearest full one."""
    text = changed("[gpt-6-luna]", "[]", changed("[gpt-6.1-sol]", "[]"))

    settings = loaded(tmp_path, text)

    assert names(settings, "simple") == names(settings, "medium") == ["gpt-6-astra"]


def test_the_charged_tier_is_the_highest_as_written(tmp_path: Path) -> None:
    """Borrowing moves who serves, never what a named model charges."""
    text = changed("medium: [gpt-6.1-sol]", "medium: [gpt-6-luna]")

    settings = loaded(tmp_path, text)

    tiers = {name: found.listed_tier for name, found in settings.deployments.items()}
    assert tiers == {
        "gpt-6-luna": "medium",
        "gpt-6.1-sol": None,
        "gpt-6-astra": "complex",
        "local": None,
    }


def test_an_unlisted_model_without_credits_is_warned_of(tmp_path: Path) -> None:
    """It charges the complex tier; one that states its credits does not."""
    settings = loaded(tmp_path, changed("medium: [gpt-6.1-sol]", "medium: [gpt-6-luna]"))

    (warning,) = settings.warnings
    said = "gpt-6.1-sol is in no tier and states no credits, so naming it charges complex"
    assert warning.startswith(said)
    assert settings.deployments["local"].credits_milli == 500


def test_a_stated_price_is_exact(tmp_path: Path) -> None:
    """0.20 per million is 200 nano-dollars a token, by arithmetic and not by a float."""
    price = "price: {input: 0.20, cache_read: 0.02, output: 1.00}"
    settings = loaded(tmp_path, changed("free: true", price))

    history = settings.deployments["local"].prices

    assert history is not None
    usage = Usage(input=3, cache_read=10, output=2)
    assert history.at(0).cost_nusd(usage) == 3 * 200 + 10 * 20 + 2 * 1000


def test_limits_of_a_model_come_from_the_cost_book_unless_stated(tmp_path: Path) -> None:
    """A stated context window goes before the book's; a free model has no prices."""
    line = "gpt-6-luna: {provider: openai}"
    stated = "gpt-6-luna: {provider: openai, context_window: 1000, capabilities: {schema: false}}"
    book = loaded(tmp_path).deployments["gpt-6-luna"]

    settings = loaded(tmp_path, changed(line, stated))

    luna = settings.deployments["gpt-6-luna"]
    assert luna.context_window == 1000
    assert (luna.vision, luna.tools, luna.schema) == (True, True, False)
    assert luna.output_max == book.output_max
    assert settings.deployments["local"].prices is None


def test_empty_sections_take_their_defaults(tmp_path: Path) -> None:
    """`routing:` with nothing after it is as if it were not there."""
    settings = loaded(tmp_path, GOOD + "routing:\ncaching: {prompts: }\nsandbox:\n")

    assert settings.version == loaded(tmp_path).version


@pytest.mark.parametrize(("written", "mode"), [("off", "off"), ("false", "off"), ("auto", "auto")])
def test_prompts_mode_off_may_be_yaml_s_false(tmp_path: Path, written: str, mode: str) -> None:
    """YAML 1.1 reads off as false."""
    settings = loaded(tmp_path, GOOD + f"caching: {{prompts: {{mode: {written}}}}}\n")

    assert settings.caching.prompts == mode


def test_key_limits(tmp_path: Path) -> None:
    """A budget is US dollars per period; what is not stated is as shipped."""
    settings = loaded(tmp_path, GOOD + "limits: {key_defaults: {budget: 2.5/hour}}\n")

    assert settings.limits.key_defaults == Terms(concurrency=2000, budgets=(Budget(2_500_000_000, "hour"),))


def test_a_target_alone_has_no_effect_and_says_so(tmp_path: Path) -> None:
    """Nobody is left to believe that a wish routes anything."""
    settings = loaded(tmp_path, GOOD + "routing: {target: {quality: 0.97}}\n")

    assert settings.routing.target_quality == Decimal("0.97")
    assert settings.classifier.cuts is None
    assert "routing.target has no effect until `penstock tune --write`" in settings.warnings[0]


def test_thresholds_count_for_the_weights_they_were_solved_for(tmp_path: Path) -> None:
    """Of the weights that serve they are the cut points; of others they have no effect, with a warning."""
    text = "routing: {{thresholds: {{medium: 0.1, complex: 0.3, classifier: {}}}}}\n"

    tuned = loaded(tmp_path, GOOD + text.format(shipped().version))
    stale = loaded(tmp_path, GOOD + text.format("table-00000000"))

    assert (tuned.classifier.cuts, tuned.warnings) == (Cuts(0.1, 0.3), ())
    assert stale.classifier.cuts is None
    assert "routing.thresholds are of table-00000000" in stale.warnings[0]
    assert tuned.version != stale.version


def test_learnt_weights_are_part_of_the_version(tmp_path: Path) -> None:
    """A file of one's own judges, and another one under the same name is another configuration."""
    text, file = GOOD + "classifier: {weights: own.json}\n", tmp_path / "own.json"
    learnt = json.loads(WEIGHTS.read_bytes())
    learnt["chances"]["score"] = [1.0, 0.0]
    file.write_bytes(WEIGHTS.read_bytes())
    before = loaded(tmp_path, text)
    write(versioned(learnt), file)

    after = loaded(tmp_path, text)
    after.classifier.prepare()

    assert (before.classifier.version, after.classifier.version) == (shipped().version, versioned(learnt)["version"])
    assert before.version != after.version
    assert after.classifier.judge(read_ask([{"role": "user", "content": "hi"}])).version == after.classifier.version


@pytest.mark.parametrize(("model", "name"), [("local", "local"), ("simple", "gpt-6-luna"), ("complex", "gpt-6-astra")])
def test_who_is_asked_in_doubt_is_a_model_or_a_tier_s_first(tmp_path: Path, model: str, name: str) -> None:
    """With the bounds that are stated, and the shipped ones else; off, nobody is."""
    asked = loaded(tmp_path, f"{GOOD}classifier: {{judge: {{enabled: true, model: {model}, near: 0.2}}}}\n")
    off = loaded(tmp_path, f"{GOOD}classifier: {{judge: {{model: {model}}}}}\n")

    found = asked.classifier.advisor
    assert found is not None
    assert (found.deployment.name, found.near, found.deadline_s) == (name, 0.2, 0.3)
    assert (found.share, found.budget) == (Decimal("0.1"), Budget(5 * 10**9, "day"))
    assert off.classifier.advisor is None


def test_a_model_that_cannot_be_asked_is_a_warning(tmp_path: Path) -> None:
    """Its provider has no key: nobody is asked, and it is said."""
    address = "base_url: http://127.0.0.1:8000/v1"
    text = changed(address, f"{address}\n    api_key: ${{HOUSE}}")

    settings = loaded(tmp_path, f"{text}classifier: {{judge: {{enabled: true, model: local}}}}\n")

    assert settings.classifier.advisor is None
    assert any("classifier.judge.model has no effect: no provider of local" in each for each in settings.warnings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shadows: {enabled: true, plans: [open]}", "classifier.labels.enabled is false"),
        ("labels: {enabled: true}, shadows: {enabled: true}", "it names neither plans nor customers"),
        ("labels: {enabled: true}, shadows: {enabled: true, plans: [open], compare: model}", "classifier.judge is off"),
    ],
)
def test_samples_that_teach_nothing_are_a_warning(tmp_path: Path, text: str, said: str) -> None:
    """Nothing to keep them in, nobody to sample, nobody to compare."""
    settings = loaded(tmp_path, f"{GOOD}classifier: {{{text}}}\n")

    assert said in " ".join(settings.warnings)
    assert (settings.classifier.shadows is None) is ("compare" not in text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("classifier: {judge: {enabled: true, model: gpt-7}}", "gpt-7"),
        ("classifier: {shadows: {plans: [gold]}}", "gold"),
        ("classifier: {labels: {prompts: {plans: [gold]}}}", "gold"),
        ("classifier: {judge: {deadline: 0s}}", "classifier.judge.deadline"),
        ("routing: {target: {}}", "routing.target: says nothing: state quality or share"),
        (
            "routing: {thresholds: {medium: 0.3, complex: 0.1, classifier: t}}",
            "complex: is below medium",
        ),
        ("routing: {thresholds: {medium: 0.3, complex: 1.1, classifier: t}}", "less than or equal to 1"),
        ("routing: {thresholds: {medium: 0.3, complex: 0.4}}", "routing.thresholds.classifier"),
        ("classifier: {weights: none.json}", "none.json cannot be read"),
        ("classifier: {weights: penstock.yaml}", "classifier.weights"),
    ],
)
def test_a_classifier_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Cut points in the wrong order, a target that says nothing, weights that are missing or something else."""
    assert said in refused(tmp_path, GOOD + text + "\n")


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [("250ms", 0.25), ("30s", 30), ("30m", 30 * 60), ("1.5h", 1.5 * 3600), ("30d", 30 * 86_400)],
)
def test_durations(text: str, duration_s: float) -> None:
    """Each unit is read, and written back as something that reads the same."""
    assert units.seconds(text) == duration_s
    assert units.seconds(units.duration_text(duration_s)) == duration_s


def test_sizes() -> None:
    """Binary units; a bare whole number is bytes."""
    assert units.size_bytes("256MiB") == 256 * 2**20
    assert units.size_bytes(5) == 5
    assert units.size_text(256 * 2**20) == "256MiB"


@pytest.mark.parametrize("text", ["0x10", "1:30", "010", "1e3", ".inf", ".nan", "9" * 25, "."])
def test_what_nobody_means_as_a_number_stays_text(text: str) -> None:
    """YAML 1.1 has more numbers than people know."""
    assert units.exact(text) == text


def test_numbers_are_never_floats() -> None:
    """Whole or decimal, as it was written."""
    assert units.exact("100_000") == 100_000
    assert units.exact("0.10") == Decimal("0.10")
    assert str(units.exact("0.10")) == "0.10"


@pytest.mark.parametrize("found", [schema(), plans_schema()], ids=["settings", "plans"])
def test_every_key_is_described_for_editors(found: dict[str, Any]) -> None:
    """A key says what it means itself, or the section that it opens does."""
    sections = [found, *found["$defs"].values()]

    for section in sections:
        assert section["description"]
        for name, key in section.get("properties", {}).items():
            reference = key.get("$ref", "").removeprefix("#/$defs/")
            told = found["$defs"][reference] if reference else key
            assert told.get("description"), name


OTHERS = GOOD.replace(
    "    dialect: openai\n    base_url: http://127.0.0.1:8000/v1", "    dialect: litellm\n    base_url: litellm"
)


def test_litellm_needs_its_library(tmp_path: Path) -> None:
    """Without it the provider is disabled, with one sentence that says what to do."""
    settings = loaded(tmp_path, OTHERS)

    assert not settings.providers["house"].enabled
    (warning,) = (each for each in settings.warnings if "LiteLLM" in each)
    assert "provider house is disabled: LiteLLM is not installed: pip install 'penstock[litellm]'" in warning


def test_litellm_knows_its_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The word `litellm` leaves them to it, and is none to any other dialect."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "fakes")
    house = loaded(tmp_path, OTHERS).providers["house"]

    assert (house.enabled, house.base_url) == (True, "")
    with pytest.raises(SettingsError, match="must be an http:// or https:// address"):
        loaded(tmp_path, OTHERS.replace("dialect: litellm", "dialect: openai"))


def test_a_model_serves_what_it_says_or_its_price_does(tmp_path: Path) -> None:
    """Without a price for output it embeds, and charges simple."""
    added = "  embedding: {provider: openai, model: text-embedding-3-small}\n"
    added += "  base: {provider: house, free: true, serves: [completions, chat]}\n"

    found = loaded(tmp_path, changed("tiers:\n", f"{added}tiers:\n")).deployments

    assert {name: set(each.serves) for name, each in found.items() if each.serves != {"chat"}} == {
        "embedding": {"embeddings"},
        "base": {"chat", "completions"},
    }
    assert (found["embedding"].tier, found["base"].tier) == ("simple", "complex")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("local: {provider: house,", "local: {provider: house, serves: [],", "serves"),
        ("local: {provider: house,", "local: {provider: house, serves: [speech],", "serves"),
        ("simple: [gpt-6-luna]", "simple: [text-embedding-3-small]", "serves no chat"),
        ("gpt-6-luna: {provider: openai}", "gpt-6-luna: {provider: openai, fallbacks: [text-embedding-3-small]}",
         "serves nothing that gpt-6-luna does"),
        ("dialect: openai\n", "dialect: anthropic\n", "none of"),
        ("dialect: openai\n", "dialect: gemini\n", "OpenAI's"),
    ],
)  # fmt: skip
def test_what_a_model_cannot_serve_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    """An API that has no such thing, a tier of a model that does not chat, a stand-in for something else."""
    added = "  text-embedding-3-small: {provider: openai}\ntiers:\n"
    served = "[completions]" if "gemini" in new else "[embeddings]"
    text = changed("tiers:\n", added)
    if "dialect" in new:
        text = changed("free: true,", f"free: true, serves: {served},", text)

    with pytest.raises(SettingsError) as raised:
        loaded(tmp_path, changed(old, new, text))

    assert words in str(raised.value)
