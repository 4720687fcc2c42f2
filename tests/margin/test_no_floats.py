"""No float touches money: every module of the books is read for ways one could creep in."""

import ast
from pathlib import Path

import pytest

import margin

ROOT = Path(margin.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))


def _is_text(node):
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _paths(tree):
    """Return the names that a module annotates as paths: arguments, variables and fields."""
    annotated = [node for node in ast.walk(tree) if isinstance(node, ast.arg | ast.AnnAssign)]
    named = [node for node in annotated if node.annotation is not None]
    return {
        node.arg if isinstance(node, ast.arg) else ast.unparse(node.target).rpartition(".")[2]
        for node in named
        if ast.unparse(node.annotation) in {"Path", "Path | None"}
    }


def _joins_paths(node, paths):
    """Tell a path's `/` from a division: a text beside it, or a name annotated as a path."""
    left = node.left
    if _is_text(left) or _is_text(node.right):
        return True
    if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Div):
        return _joins_paths(left, paths)
    name = left.attr if isinstance(left, ast.Attribute) else getattr(left, "id", None)
    return name in paths


def _complaint(node, paths):
    """Say what is wrong with a node, or nothing."""
    match node:
        case ast.Constant(value=float() | complex()):
            return f"the literal {node.value}"
        case ast.BinOp(op=ast.Div()):
            return None if _joins_paths(node, paths) else "a division with /"
        case ast.AugAssign(op=ast.Div()):
            return "a division with /="
        case ast.Call(func=ast.Name(id="float")):
            return "a call of float"
        case ast.BoolOp(op=ast.Or(), values=values):
            zeros = [v for v in values if isinstance(v, ast.Constant) and v.value == 0]
            return "`or 0`" if any(type(v.value) is int for v in zeros) else None
    return None


def _complaints(source):
    tree = ast.parse(source)
    paths = _paths(tree)
    found = ((node, _complaint(node, paths)) for node in ast.walk(tree))
    return [f"line {node.lineno}: {complaint}" for node, complaint in found if complaint]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_of_the_books_has_no_float(module):
    """Neither a float, nor what makes one, nor what hides an unknown as zero."""
    assert _complaints(module.read_text()) == []


@pytest.mark.parametrize(
    "source",
    ["x = 0.1", "x = 1e9", "x = a / b", "x /= 2", "x = float(y)", "x = y or 0", "x = y or z or 0"],
)
def test_the_walk_finds_what_it_looks_for(source):
    """Each forbidden form is seen."""
    assert len(_complaints(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "x = a // b",
        "x = folder / 'file'",
        "def f(folder: Path): return folder / name / other",
        "class A:\n    folder: Path\n    def f(self): return self.folder / name",
        "x = y or 1",
        "x = y or False",
        "x: float",
    ],
)
def test_the_walk_lets_the_rest_pass(source):
    """What looks alike is not flagged: paths are joined with the sign of division."""
    assert _complaints(source) == []
