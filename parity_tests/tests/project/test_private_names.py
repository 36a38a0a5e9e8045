"""Names of a framework that are not public are reached in one file of a package, which does without
them as well: test_versions.py."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import focal_jax
import focal_torch

PACKAGES = [Path(inspect.getfile(package)).parent for package in (focal_jax, focal_torch)]
FILES = [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]
# What typing.NamedTuple has, which is public in spite of its name.
OF_NAMED_TUPLES = ("_asdict", "_fields", "_replace")
BY_NAME = ("delattr", "getattr", "hasattr", "import_module", "setattr")


def is_private(name: str) -> bool:
    """Whether a part of a dotted name begins with one underscore."""
    if name in OF_NAMED_TUPLES:
        return False
    return re.search(r"(?:^|\.)_(?!_)", name) is not None


def private_names(code: str) -> list[str]:
    """The private names of other modules and objects that a piece of Python reaches for, by its
    syntax."""
    nodes = list(ast.walk(ast.parse(code)))
    ours = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    names = [name for node in nodes for name in names_of_others(node)]
    return [name for name in names if is_private(name) and name not in ours]


def names_of_others(node: ast.AST) -> list[str]:
    """What a node imports, or takes out of a module or an object."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(module), level=0):
            return [f"{module}.{alias.name}" for alias in node.names]
        case ast.Attribute(value=ast.Name(id="self")):
            return []
        case ast.Attribute():
            return [node.attr]
        case ast.Call(func=ast.Name(id=name)) if name in BY_NAME:
            constants = [x.value for x in node.args if isinstance(x, ast.Constant)]
            return [value for value in constants if isinstance(value, str)]
        case _:
            return []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_private_names_are_reached_in_one_file(path: Path) -> None:
    names = private_names(path.read_text())
    # The folders of the packages are private to others, and not to each other.
    names = [name for name in names if not name.startswith(("_base", "_core"))]
    assert not names or path.match("focal_torch/_base/versions.py")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("torch._C.f()", "_C"),
        ("import torch._dynamo", "torch._dynamo"),
        ("import torch.a._b.c as d", "torch.a._b.c"),
        ("from torch._C import f", "torch._C.f"),
        ("from jax import _src", "jax._src"),
        ("from jax.core import Tracer, _f", "jax.core._f"),
        ("def f(x):\n    return [x()._y for _ in x]", "_y"),
        ("getattr(torch, '_C')", "_C"),
        ("import_module('torch._C')", "torch._C"),
        ("_x._replace(y=1)._z", "_z"),
    ],
)
def test_the_test_above_would_notice(code: str, name: str) -> None:
    assert private_names(code) == [name]


@pytest.mark.parametrize(
    "code",
    [
        "self._x",
        "x.__name__",
        "from .a import _b",
        "_f(_x)",
        "def _f(x):\n    x._f()",
        "x._replace(a=1)",
        "getattr(torch, 'C')",
    ],
)
def test_names_of_our_own_are_allowed(code: str) -> None:
    assert private_names(code) == []
