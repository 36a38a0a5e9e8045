"""Modules that code, comments and pages name are there, and the map of CONTRIBUTING.md is true."""

import ast
import re
from pathlib import Path

import pytest

from parity_tests.tests import ROOT

from .imports import python_files

# Not the first part of a name that is put together.
NAME = re.compile(r"\b(?:focal_jax|focal_torch|parity_tests|benchmarks)(?:\.\w*[^\W_]\b)+(?!{)")
FILE = re.compile(r"\b(?:focal_jax|focal_torch|parity_tests|benchmarks|examples)/[\w/]+\.py\b")
# Looks like a module, and is a file that is written.
OTHERS = {"benchmarks.png"}
TEXTS = [*python_files(), *sorted((ROOT / "docs").rglob("*.py"))]
TEXTS += [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TEXTS += [ROOT / name for name in ("Makefile", "pyproject.toml", ".ci/run")]


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    path = ROOT / parts[0]
    for part in parts[1:]:
        if path.joinpath(f"{part}.py").is_file():
            return True
        if not path.joinpath(part).is_dir():
            return re.search(rf"\b{part}\b", (path / "__init__.py").read_text()) is not None
        path = path / part
    return True


def gone(text: str) -> list[str]:
    names = set(NAME.findall(text)) - OTHERS
    files = set(FILE.findall(text))
    missing = [name for name in names if not is_there(name)]
    missing += [file for file in files if not (ROOT / file).is_file()]
    return missing


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_that_texts_name_are_there(path: Path) -> None:
    """Also in programs that are written as strings, and in comments and pages."""
    assert gone(path.read_text()) == []


def test_a_module_that_is_gone_would_be_found() -> None:
    # Put together, so that this file is a text like any other.
    for name in ("parity_tests." + "exact", "benchmarks/" + "aot_cases.py"):
        assert gone(f"from {name} import Draws") == [name]
    assert gone("parity_tests.truth.oracle.certified and benchmarks.aot") == []


# What is changed, the files, and a name in each.
ROW = re.compile(r"^\| [^|]+ \| ((?:`[\w/]+\.py`(?:, )?)+) \| `(\w+)` \|$", re.M)


def places() -> list[tuple[str, str]]:
    """Each name of the map with each of its files."""
    pairs: list[tuple[str, str]] = []
    for files, name in ROW.findall((ROOT / "CONTRIBUTING.md").read_text()):
        pairs += [(name, file) for file in re.findall(r"`([^`]+)`", files)]
    return pairs


def test_the_map_has_many_places() -> None:
    assert len(places()) >= 30


@pytest.mark.parametrize(("name", "file"), places())
def test_what_the_map_names_is_defined_there(name: str, file: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert name in {defined for node in tree.body for defined in definitions(node)}


def definitions(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign():
            return [target.id for target in node.targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []
