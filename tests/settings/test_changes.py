"""What is in effect, what lies between two configurations, and on which files they depend."""

import json
from pathlib import Path

import pytest

from margin.costbook import SHIPPED
from proxy.settings import Changed, Entry, Settings, difference, effective, files, fixed_changes
from tests.settings.writing import ENVIRON, GOOD, KEY, changed, loaded

PLANS = "default: vip\nplans:\n  vip:\n    fee: {amount: 5}\n"


def entry(settings: Settings, path: str) -> Entry:
    """Return the entry of a path, which occurs once."""
    (found,) = [each for each in effective(settings) if each.path == path]
    return found


def test_every_value_has_its_origin(tmp_path: Path) -> None:
    """Written, supplied, overriding or default: the value as YAML writes it, and where it is from."""
    text = changed("free: true", "price: {input: 0.20, output: 1.00}")

    settings = loaded(tmp_path, text, {**ENVIRON, "PORT": "9001"}, plans=PLANS)

    file = f"{tmp_path}/penstock.yaml"
    assert entry(settings, "server.port") == Entry("server.port", 9001, "environment PORT")
    assert entry(settings, "server.data_dir") == Entry("server.data_dir", "./books", f"{file}:1")
    assert entry(settings, "tiers.simple") == Entry("tiers.simple", ["gpt-6-luna"], f"{file}:13")
    assert entry(settings, "models.local.price.input") == Entry("models.local.price.input", "0.2", f"{file}:11")
    assert entry(settings, "caching.responses.ttl") == Entry("caching.responses.ttl", "1h", "default")
    assert entry(settings, "plans") == Entry("plans", "plans.yaml", "default")
    assert entry(settings, "plans.default") == Entry("plans.default", "vip", f"{tmp_path}/plans.yaml:1")
    assert entry(settings, "plans.vip.fee.amount") == Entry("plans.vip.fee.amount", "5", f"{tmp_path}/plans.yaml:4")
    assert entry(settings, "prices.version") == Entry("prices.version", settings.costbook.version, "default")


def test_the_order_is_the_file_s(tmp_path: Path) -> None:
    """Sections stand as written, what is not written follows, and the plans follow their file's name."""
    text = GOOD + "plans: plans.yaml\nrouting: {mode: observe}\n"

    paths = [each.path for each in effective(loaded(tmp_path, text, plans=PLANS))]

    sections = list(dict.fromkeys(path.partition(".")[0] for path in paths))
    written = ["server", "providers", "models", "tiers", "aliases", "plans", "routing", "classifier"]
    more = ["caching", "idempotency", "conversations", "limits", "webhooks", "overheads", "payment_fees", "alerts"]
    assert sections == [*written, *more, "prices", "store", "sandbox"]
    assert paths[paths.index("plans") + 1] == "plans.default"
    assert paths.index("routing.mode") < paths.index("routing.baseline")
    assert len(set(paths)) == len(paths)


def test_without_a_sell_book_the_built_in_plan_is_shown(tmp_path: Path) -> None:
    """It applies, so it is in effect."""
    settings = loaded(tmp_path)

    assert entry(settings, "plans.open.credits.schedule.complex").value == "10"
    assert entry(settings, "plans.default").origin == "default"


def test_a_default_inside_a_reference_is_the_file_s(tmp_path: Path) -> None:
    """The environment is named where it supplies the value, or should have."""
    text = changed("./books", "${BOOKS:-./here}")

    plain = loaded(tmp_path, text, {})
    given = loaded(tmp_path, text, {"BOOKS": "/srv"})

    assert entry(plain, "server.data_dir").origin == f"{tmp_path}/penstock.yaml:1"
    assert entry(given, "server.data_dir").origin == "environment BOOKS"
    assert entry(plain, "providers.openai.api_key") == Entry(
        "providers.openai.api_key", None, "environment OPENAI_API_KEY"
    )


def test_what_is_in_effect_is_json_without_secrets(tmp_path: Path) -> None:
    """A key is shown as three dots, wherever it was written."""
    literal = loaded(tmp_path, changed("${OPENAI_API_KEY}", KEY))

    shown = json.dumps([[each.path, each.value, each.origin] for each in effective(literal)], ensure_ascii=False)

    assert KEY not in shown
    assert '["providers.openai.api_key", "•••", ' in shown


def test_a_configuration_does_not_differ_from_itself(tmp_path: Path) -> None:
    """Comments, order and lines are no difference."""
    old = loaded(tmp_path)

    new = loaded(tmp_path, "# a line more\n" + changed("credits: 0.5", "credits: 0.50"))

    assert difference(old, new) == ()
    assert fixed_changes(old, new) == ()


def test_a_difference_names_each_value(tmp_path: Path) -> None:
    """Changed, added and removed values by path, sorted; what is absent is nothing."""
    old = loaded(tmp_path, plans="plans: {open: {}}\n")
    text = changed("[gpt-6-luna]", "[local, gpt-6-luna]", changed("aliases: {gpt-4o: auto}", "aliases: {fast: auto}"))

    new = loaded(tmp_path, text, plans="plans: {open: {fee: {amount: 5}}}\n")

    assert difference(old, new) == (
        Changed("aliases.fast", None, "auto"),
        Changed("aliases.gpt-4o", "auto", None),
        Changed("plans.open.fee.amount", None, "5"),
        Changed("plans.open.fee.per", None, "month"),
        Changed("tiers.simple", ["gpt-6-luna"], ["local", "gpt-6-luna"]),
    )
    assert fixed_changes(old, new) == ()


def test_a_changed_secret_is_listed_and_not_shown(tmp_path: Path) -> None:
    """Two keys look alike, and yet one took the other's place."""
    old = loaded(tmp_path)

    other = loaded(tmp_path, GOOD, {"OPENAI_API_KEY": "sk-another"})
    none = loaded(tmp_path, GOOD, {})

    path = "providers.openai.api_key"
    assert difference(old, other) == (Changed(path, "•••", "•••"),)
    assert difference(old, none) == (Changed(path, "•••", None),)


def test_other_prices_are_a_difference(tmp_path: Path) -> None:
    """The file's name is the same, its content is not."""
    prices = tmp_path / "prices.json"
    book = json.loads(SHIPPED.read_text("utf-8"))
    prices.write_text(json.dumps(book), "utf-8")
    old = loaded(tmp_path, GOOD + "prices: prices.json\n")
    book["models"] = [each for each in book["models"] if each["model"] != "gpt-4o-mini"]
    prices.write_text(json.dumps(book), "utf-8")

    new = loaded(tmp_path, GOOD + "prices: prices.json\n")

    assert difference(old, new) == (Changed("prices.version", old.costbook.version, new.costbook.version),)
    assert entry(new, "prices.version").origin == str(prices)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("host: 0.0.0.0", "server.host changed from 127.0.0.1 to 0.0.0.0, which takes a restart"),
        ("port: 8081", "server.port changed from 8080 to 8081, which takes a restart"),
        ("metrics_port: 0", "server.metrics_port changed from 9464 to 0, which takes a restart"),
        ("workers: 2", "server.workers changed from 1 to 2, which takes a restart"),
        ("sync: always", "server.sync changed from interval to always, which takes a restart"),
    ],
)
def test_what_takes_a_restart(tmp_path: Path, server: str, said: str) -> None:
    """Ports, processes and the journals' promise stay what they were at the start."""
    old = loaded(tmp_path)

    new = loaded(tmp_path, changed("{data_dir: ./books}", f"{{data_dir: ./books, {server}}}"))

    assert fixed_changes(old, new) == (said,)


def test_another_folder_takes_a_restart(tmp_path: Path) -> None:
    """The same folder written otherwise does not."""
    old = loaded(tmp_path)

    same = loaded(tmp_path, changed("./books", f"{Path.cwd()}/books"))
    other = loaded(tmp_path, changed("./books", "/srv"))

    assert fixed_changes(old, same) == ()
    assert fixed_changes(old, other) == (
        f"server.data_dir changed from {Path.cwd()}/books to /srv, which takes a restart",
    )


def test_the_simulator_takes_a_restart(tmp_path: Path) -> None:
    """It is started and stopped with the server; a second provider may share it."""
    address = "http://127.0.0.1:8000/v1"
    real, simulated = loaded(tmp_path), loaded(tmp_path, changed(address, "simulator"))
    more = "  more: {dialect: openai, base_url: simulator}\nmodels:"

    added = loaded(tmp_path, changed("models:", more))
    shared = loaded(tmp_path, changed("models:", more, changed(address, "simulator")))

    assert fixed_changes(real, simulated) == ("provider house moved to the simulator, which takes a restart",)
    assert fixed_changes(simulated, real) == ("provider house moved from the simulator, which takes a restart",)
    assert fixed_changes(real, added) == ("provider more moved to the simulator, which takes a restart",)
    assert fixed_changes(simulated, shared) == ()


def test_files(tmp_path: Path) -> None:
    """The YAML, its plans and its prices, whether they are there or not."""
    path = tmp_path / "penstock.yaml"

    path.write_text("providers: {}\n", "utf-8")
    assert files(path) == (path, tmp_path / "plans.yaml")
    path.write_text("plans: ${SELL}\nprices: /etc/prices.json\n", "utf-8")
    assert files(path, {"SELL": "sell.yaml"}) == (path, tmp_path / "sell.yaml", Path("/etc/prices.json"))
    path.write_text("plans: null\n", "utf-8")
    assert files(path) == (path,)


@pytest.mark.parametrize("content", [b"", b"[]", b"plans: [", b"\xff", b"plans: [1]\nprices: 5\n", b'plans: "\\0"\n'])
def test_files_of_what_is_broken(tmp_path: Path, content: bytes) -> None:
    """The YAML is always one of them, and nothing is raised."""
    path = tmp_path / "penstock.yaml"

    assert files(path) == (path,)
    path.write_bytes(content)
    assert files(path)[0] == path


def test_a_new_secret_of_alerts_is_taken_on(tmp_path: Path) -> None:
    """It is shown nowhere, and is another version all the same, so that a reload has it."""
    hook = "{url: https://example.com/alerts, secret: whsec_YW4gZXhhbXBsZSwgYW5kIHNvIG5vIHNlY3JldA==}"
    text = GOOD + f"alerts: {{webhook: {hook}}}\n"
    before = loaded(tmp_path, text)

    after = loaded(tmp_path, text.replace("whsec_YW4g", "whsec_QW4g"))

    assert after.version != before.version
    assert [(each.path, each.after) for each in difference(before, after)] == [("alerts.webhook.secret", "•••")]
    assert "an example" not in repr(before.alerts)
