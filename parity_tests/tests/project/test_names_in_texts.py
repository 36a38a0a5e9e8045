"""Modules that code, comments and pages name are there, and the map of CONTRIBUTING.md is true."""

import ast
import re
from pathlib import Path

import pytest

from parity_tests.tests import ROOT

FOLDERS = ("focal_jax", "focal_torch", "parity_tests", "examples", "benchmarks", "docs")
# Not the first part of a name that is put together.
NAME = re.compile(r"\b(?:parity_tests|benchmarks)(?:\.\w*[^\W_]\b)+(?!{)")
FILE = re.compile(r"\b(?:parity_tests|benchmarks|examples)/[\w/]+\.py\b")
# A file that is written.
OTHERS = {"benchmarks.png"}
TEXTS = [
    *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("Makefile", "pyproject.toml", ".ci/run")),
]


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
    names = [name for name in NAME.findall(text) if name not in OTHERS and not is_there(name)]
    return names + [file for file in FILE.findall(text) if not (ROOT / file).is_file()]


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
MAP = [
    (name, file)
    for files, name in ROW.findall((ROOT / "CONTRIBUTING.md").read_text())
    for file in re.findall(r"`([^`]+)`", files)
]


def test_the_map_has_many_places() -> None:
    assert len(MAP) >= 30


@pytest.mark.parametrize(("name", "file"), MAP)
def test_what_the_map_names_is_defined_there(name: str, file: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = [
        target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
    ]
    targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    assert name in defined | {target.id for target in targets if isinstance(target, ast.Name)}
