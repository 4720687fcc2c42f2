"""`penstock prices` as an operator uses it: look up, compare, import, pin; and what it says of a slip."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from margin.costbook import SHIPPED
from proxy.cli import main

FIXTURES = Path(__file__).parents[1] / "margin" / "fixtures"
GENAI, LITELLM = FIXTURES / "genai_prices.json", FIXTURES / "litellm.json"
DAY = "2026-11-20"

CONFIG = """
providers:
  openai: {dialect: openai, base_url: "https://api.openai.com/v1", api_key: k}
  mistral: {dialect: openai, base_url: "https://api.mistral.ai/v1", api_key: k}
models:
  gpt-6-luna: {provider: openai}
  big: {provider: mistral, model: mistral-large-4}
  house: {provider: openai, model: ft:x, price: {input: 1, output: 2}}
tiers: {simple: [gpt-6-luna], complex: [house]}
"""


@pytest.fixture
def config(tmp_path):
    """Return a configuration that names no price file."""
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIG)
    return path


def prices(config, *words, code=0):
    """Run a command and return what it printed on stdout and on stderr."""
    done = CliRunner().invoke(main, ["prices", *map(str, words), "--config", str(config)])
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


def prices_json(config, *words, code=0):
    """Run a command with --json and return its document."""
    return json.loads(prices(config, *words, "--json", code=code)[0])


# --- show


def test_show_has_the_card_the_validity_and_an_example(config):
    """gpt-6-luna: 0.10 in and 0.50 out, so 1,000 in and 500 out are 350,000 nano-dollars; a batch is half."""
    found = prices_json(config, "show", "gpt-6-luna", "--at", DAY)
    (model,) = found["models"]
    rows = {(row["service_tier"], row["above"]): row for row in model["prices"]}

    assert found["at"] == DAY
    assert (model["provider"], model["from"], model["to"], model["pinned"]) == ("openai", None, None, False)
    assert model["source"].startswith("genai-prices 0.2.3")
    assert rows["standard", 0]["rates"]["output"] == 0.5
    assert rows["standard", 0]["example_nusd"] == 1_000 * 100 + 500 * 500
    assert rows["batch", 0]["example_nusd"] == (1_000 * 100 + 500 * 500) // 2
    assert rows["standard", 272_000]["rates"]["input"] == 0.2
    assert rows["standard", 0]["card"].startswith("card_")


def test_show_on_two_days_of_a_price_that_doubles(config):
    """The last day of November and the first of December."""
    before = prices_json(config, "show", "gemini-4-argon", "--at", "2026-11-30")["models"][0]
    after = prices_json(config, "show", "gemini-4-argon", "--at", "2026-12-01")["models"][0]

    assert before["to"] == after["from"] == "2026-12-01"
    assert before["prices"][0]["example_nusd"] == 1_000 * 2_000 + 500 * 10_000
    assert after["prices"][0]["example_nusd"] == 2 * before["prices"][0]["example_nusd"]


def test_show_as_a_table(config):
    """Hours are named, no price is cut off, and the example is in dollars."""
    out, _ = prices(config, "show", "deepseek-v4-flash", "--at", DAY)

    assert "deepseek/deepseek-v4-flash on 2026-11-20: valid from 2026-09-10" in out
    assert "01:00-04:00, 06:00-10:00 UTC" in out
    assert "$0.0009" in out
    assert "…" not in out


def test_show_follows_a_name_of_the_configuration(config):
    """`big` is Mistral's mistral-large-4."""
    (model,) = prices_json(config, "show", "big", "--at", DAY)["models"]

    assert (model["provider"], model["model"]) == ("mistral", "mistral-large-4")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "gpt-6-lunna"), 'knows no "gpt-6-lunna"; did you mean gpt-6-luna'),
        (("show", "gpt-6-luna", "--at", "2026-13-01"), "2026-13-01 is no day; write it like 2026-12-01"),
        (("show", "gpt-6-luna", "--provider", "opnai"), "opnai is no provider of the cost book (did you mean openai?)"),
        (("show", "gpt-6-luna", "--provider", "mistral"), 'knows no "gpt-6-luna" of mistral'),
        (("diff", "--against", "litelm"), "litelm: cannot be read: No such file or directory (did you mean litellm?)"),
        (("import", "--from", "litellm", "--data", GENAI), "found the data of genai-prices; the data of litellm"),
        (("import", "--from", "litellm", "--data", "none.json"), "none.json: cannot be read: No such file"),
        (("pin", "gpt-6-luna", "--remove"), "openai/gpt-6-luna: is not pinned"),
    ],
)
def test_a_slip_is_one_sentence(config, words, message):
    """Exit 2, nothing on stdout, nothing written."""
    out, err = prices(config, *words, code=2)

    assert message in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert out == ""
    assert [path.name for path in config.parent.iterdir()] == ["penstock.yaml"]


def test_a_typo_in_the_price_file_is_found(config):
    """The file, the entry, what was found and what was meant; also by `penstock check`."""
    config.write_text(CONFIG + "prices: prices.json\n")
    broken = SHIPPED.read_text().replace('"cache_read"', '"cache_raed"', 1)
    config.with_name("prices.json").write_text(broken)

    _, err = prices(config, "show", "gpt-6-luna", code=2)
    checked = CliRunner().invoke(main, ["check", "--config", str(config)])

    expected = "prices.json: anthropic/claude-fable-5: found cache_raed (did you mean cache_read?); allowed are from"
    assert expected in err
    assert checked.exit_code == 2
    assert expected in checked.stderr


# --- import


def test_an_import_writes_beside_the_configuration_and_changes_nothing_yet(config):
    """What counts stays what counted until the YAML says otherwise."""
    before = prices(config, "show", "mistral-large-4", "--at", DAY)

    out, _ = prices(config, "import", "--from", "litellm", "--data", LITELLM, "--from-date", DAY)

    assert f"Nothing takes effect until {config} says `prices: prices.json`." in out
    assert prices(config, "show", "mistral-large-4", "--at", DAY) == before
    config.write_text(CONFIG + "prices: prices.json\n")
    row = prices_json(config, "show", "mistral-large-4", "--at", DAY)["models"][0]
    assert row["prices"][0]["rates"]["input"] == 0.68
    assert row["source"].startswith("litellm (litellm.json, sha256 ")
    old = prices_json(config, "show", "mistral-large-4", "--at", "2026-11-19")["models"][0]
    assert old["prices"][0]["rates"]["input"] == 0.7


def test_every_change_of_an_import_is_reported(config):
    """With before, after, and the day; a second time there is nothing to report."""
    words = ("import", "--from", "litellm", "--data", LITELLM, "--from-date", DAY)

    first = prices_json(config, *words)
    second = prices_json(config, *words)
    large = next(change for change in first["changes"] if change["model"] == "mistral-large-4")

    assert (first["written"], first["in_effect"], large["from"]) == (True, False, DAY)
    assert {"bucket": "input", "service_tier": "standard", "above": 0, "hours": None, "before": 0.7, "after": 0.68} in (
        large["prices"]
    )
    assert second["changes"] == second["new"] == second["conflicts"] == []
    assert not second["written"]


def test_a_dry_run_writes_nothing(config):
    """It says what would change."""
    found = prices_json(config, "import", "--from", "litellm", "--data", LITELLM, "--dry-run")

    assert found["changes"]
    assert not found["written"]
    assert not config.with_name("prices.json").exists()


def test_entries_of_the_same_day_are_not_overwritten(config):
    """Exit 2, the file as it was; --replace is the way, and it says so."""
    path = config.with_name("prices.json")
    prices(config, "import", "--from", "litellm", "--data", LITELLM, "--from-date", DAY)
    before = path.read_text()
    words = ("import", "--from", "genai-prices", "--data", GENAI, "--from-date", DAY)

    out, err = prices(config, *words, code=2)

    assert "conflicts" in out
    assert "nothing was written" in err
    assert "--replace puts those of genai-prices in their place" in err
    assert path.read_text() == before
    prices(config, *words, "--replace")
    assert path.read_text() != before


def test_what_is_no_price_file_is_not_overwritten(config):
    """A slip in --out costs nothing."""
    out = config.with_name("notes.txt")
    out.write_text("my notes")

    _, err = prices(config, "import", "--from", "litellm", "--data", LITELLM, "--out", out, code=2)

    assert "notes.txt: not JSON" in err
    assert out.read_text() == "my notes"


def test_a_folder_that_cannot_be_written_is_one_sentence(config):
    """It is not there at all."""
    out = config.parent / "missing" / "prices.json"

    _, err = prices(config, "import", "--from", "litellm", "--data", LITELLM, "--out", out, code=2)

    assert "prices.json: cannot be written: No such file or directory" in err


def test_an_import_repairs_a_configuration_that_has_no_price_for_a_model(config):
    """`penstock check` refuses it, so the price commands must not need it to be good."""
    config.write_text(CONFIG.replace("mistral-large-4", "new-model") + "prices: prices.json\n")
    listed = json.loads(LITELLM.read_text())
    fresh = config.with_name("fresh.json")
    fresh.write_text(json.dumps({"mistral/new-model": listed["mistral/mistral-large-4"]}))
    env = {"OPENAI_API_KEY": "k"}

    assert CliRunner().invoke(main, ["check", "--config", str(config)], env=env).exit_code == 2
    out, _ = prices(config, "import", "--from", "litellm", "--data", fresh)
    assert f"{config} names it" in out
    assert CliRunner().invoke(main, ["check", "--config", str(config)], env=env).exit_code == 0


@pytest.mark.parametrize("name", ["genai-prices", "litellm"])
def test_a_source_that_is_not_installed(config, name, monkeypatch):
    """One sentence: what to install, or which option to give."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setitem(sys.modules, "litellm", None)

    _, err = prices(config, "import", "--from", name, code=2)
    _, nothing = prices(config, "diff", code=2)

    assert f"error: {name} is not installed: `pip install {name}==" in err
    assert "--data FILE" in err
    assert "there is nothing to compare with" in nothing


def test_an_installed_litellm_is_opened_and_never_imported(config, tmp_path, monkeypatch):
    """Importing it takes seconds and reaches for the network; its map is a file that lies in it."""
    package = tmp_path / "site" / "litellm"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text("raise AssertionError('it was imported')")
    package.joinpath("model_prices_and_context_window_backup.json").write_bytes(LITELLM.read_bytes())
    about = package.with_name("litellm-1.2.3.dist-info")
    about.mkdir()
    about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: litellm\nVersion: 1.2.3\n")
    monkeypatch.syspath_prepend(package.parent)

    found = prices_json(config, "import", "--from", "litellm", "--dry-run")

    assert found["source"].startswith("litellm 1.2.3, ")
    assert found["changes"]


# --- diff


def test_diff_names_both_prices_and_the_ratio(config):
    """Mistral Large 4 is in no tier: exit 0."""
    found = prices_json(config, "diff", "--against", LITELLM, "--at", DAY)
    rows = [row for row in found["differences"] if row["model"] == "mistral-large-4" and row["bucket"] == "input"]

    assert found["ok"]
    assert [side["name"] for side in found["sides"]] == ["book", "litellm"]
    assert rows[0]["prices"] == {"book": 0.7, "litellm": 0.68}
    assert round(rows[0]["ratio"], 4) == round(0.7 / 0.68, 4)
    assert not rows[0]["in_tiers"]
    assert {"provider": "deepseek", "model": "deepseek-chat", "side": "litellm"} in found["absent"]


def test_diff_says_no_when_a_model_in_a_tier_differs(config):
    """Exit 1; a model whose price the configuration states is not the cost book's business."""
    config.write_text(CONFIG.replace("[gpt-6-luna]", "[big]"))

    out, _ = prices(config, "diff", "--against", LITELLM, "--at", DAY, code=1)

    assert "mistral/mistral-large-4 (in a tier)" in out
    assert "more than 1 % apart: mistral/mistral-large-4. Nothing was changed." in out


def test_diff_of_both_sources_and_the_book(config):
    """Three columns, and the changes ahead that only genai-prices and the book know."""
    before = sorted(config.parent.iterdir())
    out, _ = prices(config, "diff", "--against", GENAI, "--against", LITELLM, "--at", DAY)

    (heading,) = [line for line in out.splitlines() if line.startswith("differ on")]
    assert heading.split()[-4:] == ["book", "genai-prices", "litellm", "ratio"]
    assert "google/gemini-4-argon from 2026-12-01" in out
    assert any(line.split() == ["input", "2", "→", "4", "2", "→", "4", "-"] for line in out.splitlines())
    assert sorted(config.parent.iterdir()) == before


def test_diff_against_another_price_file(config):
    """Such as one that is about to be named: the shipped book against itself differs nowhere."""
    found = prices_json(config, "diff", "--against", SHIPPED, "--all")

    assert found["differences"] == found["unlisted"] == found["absent"] == []


# --- pin


def test_a_pin_outlives_an_import(config):
    """The pinned price stays, and the import says what it left alone."""
    config.write_text(CONFIG + "prices: prices.json\n")
    pinned = prices_json(config, "pin", "mistral-large-4", "--at", "2026-11-01")

    made = prices_json(config, "import", "--from", "litellm", "--data", LITELLM)
    (model,) = prices_json(config, "show", "mistral-large-4")["models"]

    assert pinned["price"]["pinned"] is True
    assert (pinned["from"], pinned["price"]["input"]) == ("2026-11-01", "0.7")
    assert pinned["source"].startswith("genai-prices 0.2.3")
    assert [change["model"] for change in made["pinned"]] == ["mistral-large-4"]
    assert (model["pinned"], model["prices"][0]["rates"]["input"]) == (True, 0.7)


def test_a_pin_can_be_removed(config):
    """A pinned promotion ends with it: Gemini 4 Argon doubles on the first of December after all."""
    config.write_text(CONFIG + "prices: prices.json\n")

    def input_rate():
        return prices_json(config, "show", "gemini-4-argon", "--at", "2026-12-01")["models"][0]["prices"][0]["rates"][
            "input"
        ]

    prices(config, "pin", "gemini-4-argon", "--at", DAY)
    while_pinned = input_rate()
    out, _ = prices(config, "pin", "gemini-4-argon", "--remove")

    assert while_pinned == 2
    assert input_rate() == 4
    assert "google/gemini-4-argon is no longer pinned." in out
