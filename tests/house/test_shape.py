"""The shape of the code: how long, how deep, which names, and which door each outside library has.

The limits are what the style asks for, not what happens to be there. A test here fails with the places, so that the
message is the list of what to do.
"""

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("proxy", "classifiers", "margin", "simulator")

BODY_LINES_MEDIAN = 8
BODY_LINES_P95 = 35
BODY_LINES_MAX = 70
FILE_LINES_MAX = 400
NESTING_MAX = 4
BROAD_EXCEPTS_PER_1000_LINES = 1

FORBIDDEN_PARTS = {"manager", "handler", "helper", "helpers", "util", "utils", "common", "misc", "data"}
ALLOWED_NAMES = {"data_received"}
"""Names that are not ours to choose: asyncio's protocols call them."""
ALLOWED_ENDINGS = ("data_dir",)
"""A folder of data is what it is; `metadata` is one word and is not touched."""

DOORS = {
    "fastapi": ("proxy.app", "proxy.api"),
    "starlette": ("proxy.app", "proxy.api"),
    "httpx": ("proxy.upstream",),
    "prometheus_client": ("proxy.telemetry",),
    "sqlite3": ("margin.ledger", "proxy.keeper.directory", "proxy.keeper.labels", "proxy.caching.stores.disk"),
    "redis": ("proxy.caching.stores.redis",),
    "yaml": ("proxy.settings",),
    "pydantic": ("proxy.settings", "proxy.api.bodies"),
    "pydantic_core": ("proxy.settings",),
    "uvicorn": ("simulator",),
    "uvloop": ("proxy.app", "proxy.cli.serve", "simulator"),
    "litellm": ("proxy.upstream.borrowed",),
    "httptools": ("proxy.upstream", "proxy.server", "simulator"),
    "jsonschema": ("proxy.routing.schemas",),
    "referencing": ("proxy.routing.schemas",),
    "re2": ("proxy.settings.patterns",),
    "click": ("proxy.cli", "simulator"),
    "rich": ("proxy.cli",),
}
"""Which modules may import an outside library: one that is replaced is replaced in one place."""

NEVER_IMPORTED = {"pickle", "marshal", "shelve", "dill", "jinja2", "requests"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "yaml.load", "os.system", "os.popen"}

NESTS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


@dataclass(frozen=True, slots=True)
class Module:
    """One of our files, read once."""

    path: Path
    name: str
    lines: list[str]
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        """Say where a node stands, as an editor understands it."""
        return f"{self.path.relative_to(ROOT)}:{node.lineno}"


@dataclass(frozen=True, slots=True)
class Function:
    """A function and what it is measured by. `body_lines` leave the docstring out."""

    where: str
    body_lines: int
    nesting: int


def _module(path: Path) -> Module:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text("utf-8")
    return Module(path, name, text.splitlines(), ast.parse(text))


MODULES = [_module(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _function(module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
    return Function(f"{module.at(node)} {node.name}", lines, max((_depth(each) for each in body), default=0))


def _depth(node: ast.AST) -> int:
    """Return how many blocks stand inside each other. An `elif` stands beside its `if`; a nested function counts."""
    if isinstance(node, ast.If):
        inside = [_depth(each) for each in node.body]
        is_elif = len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
        beside = [_depth(each) - is_elif for each in node.orelse]
        return 1 + max(inside + beside, default=0)
    deepest = max((_depth(each) for each in ast.iter_child_nodes(node)), default=0)
    return deepest + isinstance(node, NESTS)


FUNCTIONS = [
    _function(module, node)
    for module in MODULES
    for node in ast.walk(module.tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
]


def places(found: list[str]) -> str:
    """Return what an assertion says: every place, one a line."""
    return "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "nesting"),
    [
        ("x = 1", 0),
        ("for x in y:\n  if x:\n    pass", 2),
        ("if a:\n  pass\nelif b:\n  pass\nelif c:\n  pass", 1),
        ("if a:\n  pass\nelse:\n  if b:\n    pass\n  c()", 2),
        ("with a:\n  try:\n    pass\n  except B:\n    while c:\n      pass", 3),
    ],
)
def test_depth_is_counted_as_a_reader_sees_it(source, nesting):
    """Blocks inside blocks count; an `elif` stands beside its `if`."""
    assert max(_depth(each) for each in ast.parse(source).body) == nesting


def test_there_is_something_to_measure():
    """The walk finds the packages: hundreds of functions, none of the rooms empty."""
    assert len(FUNCTIONS) > 500
    assert {module.name.partition(".")[0] for module in MODULES} == set(PACKAGES)


def test_functions_are_short():
    """Half of all bodies have at most 8 lines, and 95 in 100 at most 35."""
    lines = sorted(function.body_lines for function in FUNCTIONS)

    assert statistics.median(lines) <= BODY_LINES_MEDIAN
    assert lines[int(len(lines) * 0.95)] <= BODY_LINES_P95


def test_no_function_is_very_long():
    """No body has more than 70 lines."""
    long = [f"{each.where}: {each.body_lines} lines" for each in FUNCTIONS if each.body_lines > BODY_LINES_MAX]

    assert not long, places(long)


def test_no_function_is_deep():
    """At most four blocks stand inside each other."""
    deep = [f"{each.where}: {each.nesting} deep" for each in FUNCTIONS if each.nesting > NESTING_MAX]

    assert not deep, places(deep)


def test_files_are_short():
    """No file has more than 400 lines."""
    long = [f"{each.name}: {len(each.lines)} lines" for each in MODULES if len(each.lines) > FILE_LINES_MAX]

    assert not long, places(long)


def _broad(module: Module) -> list[ast.AST]:
    """Return handlers that catch everything, and contexts that suppress it."""
    return [node for node in ast.walk(module.tree) if _catches_all(node)]


def _catches_all(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(_is_broad(each) for each in node.args)
    return isinstance(node, ast.ExceptHandler) and _is_broad(node.type)


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(each) for each in caught.elts)
    return caught is None or ast.unparse(caught) in {"Exception", "BaseException"}


def test_a_broad_except_says_why():
    """Whoever catches everything has a comment on that line or the next."""
    silent = [
        module.at(node)
        for module in MODULES
        for node in _broad(module)
        if not any("#" in line for line in module.lines[node.lineno - 1 : node.lineno + 1])
    ]

    assert not silent, places(silent)


def test_broad_excepts_are_rare():
    """At most one in a thousand lines."""
    found = [module.at(node) for module in MODULES for node in _broad(module)]
    lines = sum(len(module.lines) for module in MODULES)

    assert len(found) * 1000 <= lines * BROAD_EXCEPTS_PER_1000_LINES, places(found)


def test_nothing_is_rebound_globally():
    """No `global` statement: state belongs to a value that is passed."""
    found = [each.at(node) for each in MODULES for node in ast.walk(each.tree) if isinstance(node, ast.Global)]

    assert not found, places(found)


def _parts(name: str) -> set[str]:
    """Split a name in either case into its words."""
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def _named(module: Module) -> Iterator[tuple[str, str]]:
    """Yield every name that this module gives: its own, its classes', its functions'."""
    yield module.path.stem, str(module.path.relative_to(ROOT))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, module.at(node)


def test_names_say_what_a_thing_is():
    """No module, class or function is called after nothing in particular."""
    vague = [
        f"{where} {name}"
        for module in MODULES
        for name, where in _named(module)
        if name not in ALLOWED_NAMES and not name.endswith(ALLOWED_ENDINGS) and _parts(name) & FORBIDDEN_PARTS
    ]

    assert not vague, places(vague)


def _imported(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield every module that is imported, wherever the import stands."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module), node


def _stands_in(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


@pytest.mark.parametrize("library", sorted(DOORS))
def test_a_library_has_one_door(library):
    """Only the rooms named for it import it."""
    outside = [
        module.at(node)
        for module in MODULES
        for name, node in _imported(module)
        if _stands_in(name, (library,)) and not _stands_in(module.name, DOORS[library])
    ]

    assert not outside, places(outside)


def test_nothing_dangerous_is_imported_or_called():
    """No pickles, no templates, no evaluated text, no shell."""
    imported = [
        f"{module.at(node)} imports {name}"
        for module in MODULES
        for name, node in _imported(module)
        if name.partition(".")[0] in NEVER_IMPORTED
    ]
    called = [
        f"{module.at(node)} calls {ast.unparse(node.func)}"
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in NEVER_CALLED
    ]

    assert not imported + called, places(imported + called)


WATCH = """
import importlib, os, sys, threading

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FORBIDDEN = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir", "os.remove",
             "os.rename", "os.putenv", "os.fork", "os.posix_spawn", "sqlite3.connect", "signal.pthread_kill"}

def watch(event, args):
    if event in FORBIDDEN or (event == "open" and isinstance(args[2], int) and args[2] & WRITES):
        raise RuntimeError(f"{event} {args} at import")

sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
assert threading.active_count() == 1, threading.enumerate()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def _import_in_a_process(*names: str) -> set[str]:
    """Import modules in a fresh interpreter that may not write, connect or start anything; return what it loaded."""
    command = [sys.executable, "-B", "-c", WATCH, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_no_module_does_work_at_import():
    """All modules load without a file written, a name resolved, a process or a thread started, or a variable set."""
    loaded = _import_in_a_process(*(module.name for module in MODULES))

    assert set(PACKAGES) <= loaded


def test_the_hot_path_s_process_stays_light():
    """A worker loads no provider's SDK, no tokenizer and no simulator."""
    loaded = _import_in_a_process("proxy.app")

    assert loaded & {"litellm", "openai", "tiktoken", "requests", "simulator"} == set()
