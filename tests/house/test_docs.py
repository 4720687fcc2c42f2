"""The documents keep to the product: their YAML loads, their commands exist, their links and lists are right."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from proxy.api.routes import NOT_SERVED
from proxy.cli import main as penstock
from proxy.settings import load
from proxy.telemetry import metrics
from tests.house import configuration_tables

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
METRICS_PAGE = ROOT / "docs" / "metrics.md"
ENVIRON = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY"), "sk-not-a-key")

SHELLS = {"sh", "console"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return a page's fenced blocks."""
    text = page.read_text("utf-8")
    return [Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in FENCE.finditer(text)]


BLOCKS = [block for page in PAGES for block in blocks(page)]
YAML_BLOCKS = [block for block in BLOCKS if block.language == "yaml"]


def commands(block: Block) -> Iterator[str]:
    """Yield the command lines of a shell block, without prompt, comment and continuation marks."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    yield from (line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


def words(command: str, program: str) -> list[str] | None:
    """Return what follows `program` in one command of a pipeline, or None when it does not run it."""
    for part in re.split(r"\s(?:\||&&|;)\s|\s[<>]\s", command):
        found = [word for word in shlex.split(part, comments=True) if not re.fullmatch(r"[A-Z_]+=.*", word)]
        if found and Path(found[0]).name == program:
            return found[1:]
    return None


def run_of(program: str) -> list[tuple[Block, list[str]]]:
    """Return every use of a program in the pages' shell blocks."""
    shown = [(block, command) for block in BLOCKS if block.language in SHELLS for command in commands(block)]
    return [(block, found) for block, command in shown if (found := words(command, program)) is not None]


def _sections(text: str) -> dict[str, str]:
    """Split YAML into its top-level sections."""
    starts = list(re.finditer(r"^(\w+):", text, re.MULTILINE))
    ends = [found.start() for found in starts[1:]] + [len(text)]
    return {found[1]: text[found.start() : end] for found, end in zip(starts, ends, strict=True)}


def _is_sell_book(sections: dict[str, str]) -> bool:
    return re.match(r"plans:\s*(#.*)?\n", sections.get("plans", "")) is not None


def _written(folder: Path, text: str) -> Path:
    """Write a block as a whole configuration: what a fragment leaves out is the sandbox's."""
    sections = _sections(text)
    whole = _sections((ROOT / "configs" / "sandbox.yaml").read_text("utf-8"))
    needed = {name: whole[name] for name in ("providers", "models", "tiers")}
    if _is_sell_book(sections):
        (folder / "plans.yaml").write_text(text, "utf-8")
        sections = {}
    if not needed.keys() & sections.keys():
        sections = needed | sections
    path = folder / "penstock.yaml"
    path.write_text("".join(sections.values()), "utf-8")
    return path


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_every_yaml_block_is_good(block, tmp_path, monkeypatch):
    """Each loads as `penstock check` loads it, by itself or on top of the sandbox, and has nothing to warn of."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "fakes")  # an extra that is not installed here: LiteLLM
    path = _written(tmp_path, block.text)

    settings = load(path, environ=ENVIRON)

    assert settings.servable
    assert settings.warnings == ()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_file_is_good(path, tmp_path):
    """Each file in configs/ is a configuration that loads, or a sell book that one loads with."""
    text = path.read_text("utf-8")

    settings = load(_written(tmp_path, text) if _is_sell_book(_sections(text)) else path, environ=ENVIRON)

    assert settings.servable
    assert settings.warnings == ()


def test_commands_are_shown():
    """The walk finds them: the README shows both programs."""
    assert [block for block, _ in run_of("penstock") if block.page == README]
    assert [block for block, _ in run_of("make") if block.page == README]


@pytest.mark.parametrize(("block", "args"), run_of("penstock"), ids=lambda each: str(each) if each else "")
def test_every_penstock_command_exists(block, args):
    """Its group, its name and its options parse; nothing is run."""
    command: click.Command = penstock
    while isinstance(command, click.Group):
        name, *args = args
        assert name in command.commands, f"{block}: there is no command {name}"
        command = command.commands[name]

    command.make_context(name, list(args))


@pytest.mark.parametrize(("block", "args"), run_of("make"), ids=lambda each: str(each) if each else "")
def test_every_make_target_exists(block, args):
    """Make knows what it would do."""
    done = subprocess.run(["make", "--dry-run", *args], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{block}: {done.stderr}"


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == "sh"], ids=str)
def test_every_shell_block_is_shell(block):
    """Bash can read it; what it does is run in `test_readme.py` where it can be."""
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    """A link to a file of ours names one that is there."""
    text = FENCE.sub("", page.read_text("utf-8"))
    links = [link.partition("#")[0] for link in LINK.findall(text) if not re.match(r"https?:|mailto:|#", link)]

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_lists_what_is_not_served():
    """Every endpoint that answers 501 is listed, and no other."""
    section = README.read_text("utf-8").partition("## Not there yet")[2].partition("\n## ")[0]
    listed = re.search(r"answer a typed 501:(.*?)\.\n", section, re.DOTALL)

    assert listed is not None
    assert re.findall(r"`(/v1/[\w/]+)`", listed[1]) == list(NOT_SERVED)


def test_every_metric_is_listed():
    """The names in the page's table are the names that are exported."""
    books = metrics.Books(lambda *_: [], lambda: {"granted": 0, "expired": 0}, _gauges, lambda: "requested", list, dict)
    exported = re.findall(r"^# TYPE (\S+)", metrics.Metrics(books).render().decode(), re.MULTILINE)

    listed = re.findall(r"^\| `(penstock_\w+)", METRICS_PAGE.read_text("utf-8"), re.MULTILINE)

    assert sorted(listed) == sorted(exported)


def _gauges() -> dict[str, float]:
    return dict.fromkeys(metrics._GAUGES, 0.0)


def test_the_tables_of_the_configuration_are_those_of_the_code():
    """Every key, its default and its meaning; `python -m tests.house.configuration_tables` renews them."""
    page = configuration_tables.PAGE.read_text("utf-8")

    assert page == configuration_tables.filled(page)


UNUSED: dict[str, str] = {}
"""Keys that are read and do nothing yet, and how code that used one would look."""


def test_keys_without_effect_are_listed():
    """The page names exactly the keys that nothing but the settings knows; whoever builds one takes it off the list."""
    page = configuration_tables.PAGE.read_text("utf-8").partition("without effect yet")[2]
    rooms = [path for path in (ROOT / "proxy").rglob("*.py") if "settings" not in path.parts]
    source = "\n".join(path.read_text("utf-8") for path in rooms)

    assert re.findall(r"^- `([\w.]+)`", page, re.MULTILINE) == list(UNUSED)
    assert [key for key, use in UNUSED.items() if re.search(use, source)] == []


def test_no_page_names_this_machine():
    """Documents are for everyone: no path of the machine they were written on."""
    homes = re.compile(r"/(?:work|tmp|root|home)/")

    assert [str(page.relative_to(ROOT)) for page in PAGES if homes.search(page.read_text("utf-8"))] == []


def test_commands_that_are_missing_are_missing():
    """A command that is built is taken off the README's list."""
    listed = re.search(r"These commands do not exist yet: (.*?)\.\n", README.read_text("utf-8"), re.DOTALL)

    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) & set(penstock.commands) == set()
