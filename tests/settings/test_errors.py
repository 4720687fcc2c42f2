"""What is wrong is said with its file, its line, its path, and what would be right."""

from pathlib import Path

import pytest

from margin.costbook import SHIPPED
from proxy.settings import SettingsError, load
from tests.settings.writing import ENVIRON, GOOD, KEY, changed, loaded, refused

REFUSED = {
    "unknown model": (
        changed("simple: [gpt-6-luna]", "simple: [gpt-6-lunna]"),
        (
            'penstock.yaml:13: tiers.simple[0]: "gpt-6-lunna" is not a model; '
            'did you mean "gpt-6-luna"? models are: gpt-6-luna, gpt-6.1-sol, gpt-6-astra, local'
        ),
    ),
    "unknown key": (
        changed("server: {data_dir: ./books}", "server: {prot: 1}"),
        (
            'penstock.yaml:1: server.prot: "prot" is not a key here; did you mean "port"? '
            "keys are: host, port, metrics_port, workers"
        ),
    ),
    "unknown key of a model": (
        changed("credits: 0.5", "credit: 0.5"),
        'penstock.yaml:11: models.local.credit: "credit" is not a key here; did you mean "credits"?',
    ),
    "unknown tier": (
        changed("  simple: [", "  simpel: ["),
        (
            'penstock.yaml:13: tiers.simpel: "simpel" is not a key here; did you mean "simple"? '
            "keys are: simple, medium, complex"
        ),
    ),
    "unknown section": (
        GOOD + "rooting: {}\n",
        'penstock.yaml:17: rooting: "rooting" is not a key here; did you mean "routing"?',
    ),
    "unknown provider": (
        changed("provider: house", "provider: hous"),
        (
            'penstock.yaml:11: models.local.provider: "hous" is not a provider; '
            'did you mean "house"? providers are: openai, house'
        ),
    ),
    "unknown dialect": (
        changed("    dialect: openai", "    dialect: opnai"),
        (
            'penstock.yaml:5: providers.house.dialect: "opnai" is not a dialect; '
            'did you mean "openai"? dialects are: openai, anthropic'
        ),
    ),
    "answers kept by no rule": (
        GOOD + "routing: {rules: [{name: faq}]}\ncaching: {responses: {rules: {fak: {ttl: 1d}}}}\n",
        'penstock.yaml:18: caching.responses.rules.fak: "fak" is not a rule; did you mean "faq"? rules are: faq',
    ),
    "an answer store without an address": (
        GOOD + "caching: {responses: {store: {kind: redis}}}\n",
        "penstock.yaml:17: caching.responses.store: needs where Redis is, as url: redis://, rediss://, unix://",
    ),
    "an answer store at no Redis": (
        GOOD + "caching: {responses: {store: {kind: redis, url: http://localhost}}}\n",
        "penstock.yaml:17: caching.responses.store.url: needs where Redis is, as url: redis://, rediss://, unix://",
    ),
    "unknown choice": (
        GOOD + "routing: {mode: enforec}\n",
        (
            'penstock.yaml:17: routing.mode: "enforec" is not a value here; '
            'did you mean "enforce"? values are: enforce, observe'
        ),
    ),
    "missing section": (
        GOOD.split("tiers:", maxsplit=1)[0],
        "penstock.yaml:1: tiers: is missing",
    ),
    "missing key": (
        changed("    dialect: openai\n", ""),
        "penstock.yaml:4: providers.house.dialect: is missing",
    ),
    "no mapping": (
        changed("local: {provider: house, free: true, credits: 0.5}", "local: house"),
        "penstock.yaml:11: models.local: must be a mapping of `key: value`",
    ),
    "no list": (
        changed("medium: [gpt-6.1-sol]", "medium: gpt-6.1-sol"),
        "penstock.yaml:14: tiers.medium: must be a list",
    ),
    "no text": (
        changed("aliases: {gpt-4o: auto}", "aliases: {gpt-4o: 4.1}"),
        "penstock.yaml:16: aliases.gpt-4o: must be text; if it is, put it in quotes",
    ),
    "no number": (
        GOOD + "routing: {margin_floor: half}\n",
        "penstock.yaml:17: routing.margin_floor: must be a plain decimal number, such as 0.05",
    ),
    "no whole number": (
        changed("{data_dir: ./books}", "{workers: 1.5}"),
        "penstock.yaml:1: server.workers: must be a whole number",
    ),
    "out of range": (
        changed("{data_dir: ./books}", "{port: 70000}"),
        "penstock.yaml:1: server.port: must be less than or equal to 65535",
    ),
    "duration without unit": (
        GOOD + "routing: {sessions: {idle: 30}}\n",
        "penstock.yaml:17: routing.sessions.idle: must be a duration with its unit",
    ),
    "size": (
        GOOD + "caching: {responses: {max_bytes: 256Mb}}\n",
        "penstock.yaml:17: caching.responses.max_bytes: must be a size with its unit",
    ),
    "same ports": (
        changed("{data_dir: ./books}", "{port: 9464}"),
        "penstock.yaml:1: server.metrics_port: is the same as server.port",
    ),
    "negative price": (
        changed("free: true", "price: {input: -0.1, output: 1}"),
        "penstock.yaml:11: models.local.price.input: must be greater than or equal to 0",
    ),
    "no price": (
        changed("free: true, ", ""),
        (
            "penstock.yaml:11: models.local: has no price: the cost book does not know "
            '"local" of house; state price: {input: …, output: …} or free: true'
        ),
    ),
    "price and free": (
        changed("free: true", "free: true, price: {input: 1}"),
        "penstock.yaml:11: models.local.price: contradicts free: true",
    ),
    "no output price in a tier": (
        changed("free: true", "price: {input: 1}").replace("[gpt-6-luna]", "[local]"),
        "penstock.yaml:11: models.local.price: needs output, as the tier simple lists it",
    ),
    "too many decimals of a credit": (
        changed("credits: 0.5", "credits: 0.0005"),
        "penstock.yaml:11: models.local.credits: must have no more than 3 decimal places",
    ),
    "listed twice": (
        changed("[gpt-6-luna]", "[gpt-6-luna, gpt-6-luna]"),
        'penstock.yaml:13: tiers.simple[1]: "gpt-6-luna" is listed twice',
    ),
    "alias to nothing": (
        changed("{gpt-4o: auto}", "{gpt-4o: gpt-6-lun}"),
        'penstock.yaml:16: aliases.gpt-4o: "gpt-6-lun" is not a model; did you mean "gpt-6-luna"?',
    ),
    "alias to no tier": (
        changed("{gpt-4o: auto}", "{gpt-4o: 'auto:simpel'}"),
        '"auto:simpel" is not a model; did you mean "auto:simple"?',
    ),
    "alias of a model": (
        changed("{gpt-4o: auto}", "{local: auto}"),
        'penstock.yaml:16: aliases.local: "local" is the name of a model already',
    ),
    "baseline": (
        GOOD + "routing: {baseline: fronteer}\n",
        'penstock.yaml:17: routing.baseline: "fronteer" is not a baseline; did you mean "frontier"?',
    ),
    "store": (
        GOOD + "store: {ledger: 'postgresql://db'}\n",
        "penstock.yaml:17: store.ledger: postgresql is not built yet; built are: sqlite",
    ),
    "no address": (
        changed("http://127.0.0.1:8000/v1", "api.openai.com"),
        "penstock.yaml:6: providers.house.base_url: must be an http:// or https:// address",
    ),
    "key in an address": (
        changed("http://127.0.0.1:8000/v1", "http://me:word@host/v1"),
        "penstock.yaml:6: providers.house.base_url: must end with its path; a key belongs under",
    ),
    "sandbox on no plan": (
        GOOD + "sandbox:\n  customers:\n    acme: {plan: opne}\n",
        'penstock.yaml:19: sandbox.customers.acme.plan: "opne" is not a plan; did you mean "open"?',
    ),
    "bad name": (
        changed("local: {", '"lo cal": {'),
        "models.lo cal: must be a name: up to 128 letters, digits",
    ),
    "duplicate key": (
        changed("  gpt-6.1-sol: {", "  gpt-6-luna: {"),
        "penstock.yaml:9: models.gpt-6-luna: is written twice; first on line 8",
    ),
    "tab": (
        changed("    dialect: openai", "\tdialect: openai"),
        "penstock.yaml:5: YAML is indented with spaces, and there is a tab here",
    ),
    "syntax": (
        changed("simple: [gpt-6-luna]", "simple: [gpt-6-luna"),
        "penstock.yaml:14: not YAML: ",
    ),
    "undefined alias": (
        changed("[gpt-6-luna]", "[*luna]"),
        "penstock.yaml:13: a word that begins with * refers to an anchor",
    ),
    "foreign tag": (
        changed("./books", "!!python/name:os.system x"),
        "penstock.yaml:1: server.data_dir: YAML tags (a word after !) are refused",
    ),
    "no mapping at all": ("[]\n", "penstock.yaml:1: must be a mapping"),
    "unset variable": (
        changed("./books", "${BOOKS}"),
        "penstock.yaml:1: server.data_dir: the environment variable BOOKS is unset",
    ),
    "unset variable within": (
        changed("127.0.0.1:8000", "${HOUSE}:8000"),
        "penstock.yaml:6: providers.house.base_url: environment: HOUSE is unset",
    ),
    "malformed reference": (
        changed("./books", "'${1X}'"),
        "penstock.yaml:1: server.data_dir: a reference to the environment is written ${NAME}",
    ),
    "reference in a key": (
        changed("  house:", '  "${HOUSE}":'),
        "penstock.yaml:4: providers: a key must be plain text, without ${…}",
    ),
    "plans file missing": (
        GOOD + "plans: sell.yaml\n",
        "penstock.yaml:17: plans: sell.yaml cannot be read: No such file or directory",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_each_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    """The message has the file, the line, the path, and the nearest thing that is right."""
    said = refused(tmp_path, text)

    assert message in said


PLANS = """\
default: open
plans:
  open: {}
  starter:
    fee: {amount: 199, per: month}
    credits: {mode: entitlement, included: 500, enforce: hard}
    target_margin: 0.6
"""

PLANS_REFUSED = {
    "included credits that are bought": (
        changed("mode: entitlement", "mode: prepaid", PLANS),
        "plans.yaml:6: plans.starter.credits.included: contradicts mode prepaid",
    ),
    "overage that is refused": (
        changed("enforce: hard", "enforce: hard, overage: 0.4", PLANS),
        "plans.yaml:6: plans.starter.credits.overage: contradicts enforce hard",
    ),
    "price of what is included": (
        changed("enforce: hard", "price: 0.05", PLANS),
        "plans.yaml:6: plans.starter.credits.price: needs mode prepaid",
    ),
    "negative fee": (
        changed("199", "-199", PLANS),
        "plans.yaml:5: plans.starter.fee.amount: must be greater than or equal to 0",
    ),
    "default of nothing": (
        changed("default: open", "default: opne", PLANS),
        'plans.yaml:1: default: "opne" is not a plan; did you mean "open"? plans are: open, starter',
    ),
    "impossible target": (
        changed("0.6", "60", PLANS),
        "plans.yaml:7: plans.starter.target_margin: must be less than or equal to 1",
    ),
    "unknown term": (
        changed("included", "inclouded", PLANS),
        'plans.yaml:6: plans.starter.credits.inclouded: "inclouded" is not a key here; did you mean "included"?',
    ),
}


@pytest.mark.parametrize(("plans", "message"), PLANS_REFUSED.values(), ids=PLANS_REFUSED.keys())
def test_each_contradiction_of_a_plan_is_named(tmp_path: Path, plans: str, message: str) -> None:
    """A plan that contradicts itself is refused where it does."""
    said = refused(tmp_path, GOOD, plans=plans)

    assert message in said


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Two mistakes are two lines, in the order of the file."""
    text = changed("[gpt-6-luna]", "[luna]", changed("free: true, ", ""))

    said = refused(tmp_path, text).splitlines()

    assert [line.split(": ")[0] for line in said] == ["penstock.yaml:11", "penstock.yaml:13"]


def test_the_stages_tell_together(tmp_path: Path) -> None:
    """A misspelt key hides neither an unknown model further down nor what is wrong with a plan or the prices."""
    text = changed("{data_dir: ./books}", "{prot: 1, port: x}", changed("[gpt-6-luna]", "[gpt-6-lunna]"))
    text += "prices: prices.json\n"
    tmp_path.joinpath("prices.json").write_text("{}", encoding="utf-8")

    said = refused(tmp_path, text, plans=changed("included", "inclouded", PLANS))

    paths = [line.split(": ")[:2] for line in said.splitlines()]
    assert paths == [
        ["penstock.yaml:1", "server.port"],
        ["penstock.yaml:1", "server.prot"],
        ["penstock.yaml:13", "tiers.simple[0]"],
        ["penstock.yaml:17", "prices"],
        ["plans.yaml:6", "plans.starter.credits.inclouded"],
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (changed("free: true", "free: flase"), "models.local.free"),
        (changed("local: {provider: house, free: true, credits: 0.5}", "local: house"), "models.local"),
        (changed("medium: [gpt-6.1-sol]", "medium: gpt-6.1-sol"), "tiers.medium"),
        (changed("simple: [gpt-6-luna]", "simple: [5]", GOOD.partition("  medium")[0]), "tiers.simple[0]"),
        (
            changed("free: true", "price: {input: 1, output: x}").replace("[gpt-6-luna]", "[local]"),
            "models.local.price",
        ),
        (changed("free: true", "model: '${X}'"), "models.local.model"),
        (changed("  house:", '  "${HOUSE}":'), "providers"),
    ],
)
def test_a_mistake_is_told_without_its_consequences(tmp_path: Path, text: str, path: str) -> None:
    """What only seems wrong because something else is, is not wrong."""
    (said,) = refused(tmp_path, text).splitlines()

    assert f": {path}" in said


def test_a_broken_sell_book_makes_no_customer_wrong(tmp_path: Path) -> None:
    """Whether its plan exists cannot be known."""
    text = GOOD + "sandbox: {customers: {acme: {plan: starter}}}\n"

    (said,) = refused(tmp_path, text, plans="default: open\nplans: 5\n").splitlines()

    assert said == "plans.yaml:2: plans: must be a mapping of `key: value`"


def test_a_file_with_a_slip_in_its_name(tmp_path: Path) -> None:
    """The nearest file beside it is named."""
    tmp_path.joinpath("prices.json").write_text("{}", encoding="utf-8")

    said = refused(tmp_path, GOOD + "plans: plan.yaml\nprices: price.json\n", plans=PLANS)

    assert (
        'penstock.yaml:17: plans: plan.yaml cannot be read: No such file or directory; did you mean "plans.yaml"?'
        in said
    )
    assert (
        'penstock.yaml:18: prices: price.json cannot be read: No such file or directory; did you mean "prices' in said
    )


def test_a_slip_in_a_price_names_its_entry(tmp_path: Path) -> None:
    """File and entry are named, beside the line that names the file."""
    book = SHIPPED.read_text("utf-8")
    start = book.index('"gpt-6-luna"')
    written = book[:start] + book[start:].replace('"input"', '"imput"', 1)
    tmp_path.joinpath("prices.json").write_text(written, encoding="utf-8")

    (said,) = refused(tmp_path, GOOD + "prices: prices.json\n").splitlines()

    assert said.startswith("penstock.yaml:17: prices: prices.json: ")
    assert "openai/gpt-6-luna: " in said
    assert "imput" in said


@pytest.mark.parametrize("name", ["\\0", "x" * 300, ".", "penstock.yaml/x"])
def test_a_name_that_no_file_has(tmp_path: Path, name: str) -> None:
    """Whatever the system says against it, it is a refusal."""
    assert "penstock.yaml:17: prices: " in refused(tmp_path, GOOD + f'prices: "{name}"\n')
    assert "cannot be read: " in refused(tmp_path, GOOD + f'plans: "{name}"\n')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("server:\n\tport: 1\n", 2),
        ("server:\n  \tport: 1\n", 2),
        ("server:\n  port:\t1\n", 2),
        ("server: {port: 1,\n\thost: x}\n", 2),
        ("server: # x\n  port: 1\t# y\n", 2),
    ],
)
def test_a_tab_is_named_wherever_it_stands(tmp_path: Path, text: str, line: int) -> None:
    """Nobody sees one, so it is said with its line."""
    assert refused(tmp_path, text) == f"penstock.yaml:{line}: YAML is indented with spaces, and there is a tab here"


def test_what_began_further_up_is_named(tmp_path: Path) -> None:
    """A bracket that is not closed is noticed only later."""
    said = refused(tmp_path, changed("simple: [gpt-6-luna]", "simple: [gpt-6-luna"))

    assert said.startswith("penstock.yaml:14: not YAML: ")
    assert said.endswith(" (it began on line 13)")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named, and the reason is the system's."""
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read: No such file"):
        load(tmp_path / "none.yaml", environ={})


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    """The line of the first bad byte is named."""
    path = tmp_path / "penstock.yaml"
    path.write_bytes(b"server: {}\n# \xff\n")

    with pytest.raises(SettingsError, match=r"penstock\.yaml:2: is not UTF-8 text"):
        load(path, environ={})


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    """Neither deep brackets nor an anchor that holds itself exhausts the stack."""
    deep = refused(tmp_path, "[" * 100_000)
    looped = refused(tmp_path, "server: &a [*a]\n")

    assert "nests deeper than 32 levels" in deep
    assert "more than 32 levels" in looped


def test_a_value_from_the_environment_is_not_repeated(tmp_path: Path) -> None:
    """A wrong word that a variable held may be a secret, so the variable is named instead."""
    text = changed("[gpt-6-luna]", "['${OPENAI_API_KEY}']")

    said = refused(tmp_path, text)

    assert "tiers.simple[0]: the value of OPENAI_API_KEY is not a model" in said
    assert KEY not in said


@pytest.mark.parametrize("key", ["has a space", "tab\tinside", "ключ"])
def test_a_key_that_no_header_can_hold(tmp_path: Path, key: str) -> None:
    """It is refused without being shown."""
    said = refused(tmp_path, GOOD, environ={"OPENAI_API_KEY": key})

    assert "penstock.yaml:3: providers.openai.api_key: must be printable ASCII" in said
    assert key not in said


def test_errors_carry_their_problems(tmp_path: Path) -> None:
    """A program can read file, line, path and message apart."""
    text = changed("{data_dir: ./books}", "{port: x}")

    with pytest.raises(SettingsError) as raised:
        loaded(tmp_path, text, ENVIRON)

    (problem,) = raised.value.problems
    assert problem.line == 1
    assert problem.path == "server.port"
    assert problem.message == "must be a whole number, such as 8"
    assert raised.value.__context__ is None
