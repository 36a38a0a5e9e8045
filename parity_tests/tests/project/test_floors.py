"""A folder for each floor, and imports go down only."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from parity_tests.tests import ROOT

PACKAGES = ("focal_jax", "focal_torch")
# Each floor, and those above it in this list that it may import. The longest name that fits is a module's floor.
FLOORS: dict[str, tuple[str, ...]] = {
    "focal_jax": (),
    "focal_torch": (),
    "parity_tests.truth": (),
    "parity_tests.contract": ("parity_tests.truth",),
    "parity_tests.ports": (*PACKAGES, "parity_tests.contract"),
    "parity_tests.checker.layers": ("parity_tests.truth", "parity_tests.contract", "parity_tests.ports"),
    "parity_tests.checker.diagnosis": (
        *("parity_tests.truth", "parity_tests.contract", "parity_tests.ports"),
        "parity_tests.checker.layers",
    ),
    "parity_tests.checker.report": (
        *("parity_tests.truth", "parity_tests.contract", "parity_tests.ports"),
        "parity_tests.checker.layers",
    ),
    "parity_tests.checker.audit": (
        *("parity_tests.truth", "parity_tests.contract", "parity_tests.ports"),
        *("parity_tests.checker.layers", "parity_tests.checker.diagnosis"),
    ),
    "parity_tests.checker.sweep": ("parity_tests.truth", "parity_tests.contract", "parity_tests.ports"),
    "parity_tests.checker": (
        *("parity_tests.ports", "parity_tests.checker.layers"),
        *("parity_tests.checker.diagnosis", "parity_tests.checker.report"),
    ),
    "parity_tests.wrong_ports": ("parity_tests.truth", "parity_tests.contract"),
    "parity_tests.versions": (*PACKAGES, "parity_tests.contract"),
    "parity_tests.pages": ("parity_tests.contract", "parity_tests.ports", "parity_tests.checker.audit"),
    "benchmarks": (*PACKAGES, "parity_tests.contract", "parity_tests.ports", "parity_tests.checker.audit"),
    "examples": (*PACKAGES, "parity_tests.contract", "benchmarks"),
}
FOLDERS = (*PACKAGES, "parity_tests", "examples", "benchmarks")
# The tests may import everything.
TESTS = "parity_tests.tests"
MOST_FILES = 20


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))}


def floor(module: str) -> str:
    fitting = [name for name in FLOORS if f"{module}.".startswith(f"{name}.")]
    return max(fitting, key=len, default=module)


def imported(module: str, source: str) -> Iterator[str]:
    """The modules of this repository that a module imports, anywhere in it."""
    is_package = MODULES.get(module, Path()).name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) + 1 - node.level] if node.level else []
            home = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{home}.{name.name}" for name in node.names]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in FOLDERS)


def wrong(module: str, source: str) -> list[str]:
    """What a module imports that it may not."""
    mine = floor(module)
    others = [name for name in imported(module, source) if floor(name) != mine]
    return [name for name in others if floor(name) not in FLOORS[mine]]


CODE = [module for module in MODULES if module not in ("parity_tests", TESTS) and not module.startswith(f"{TESTS}.")]


@pytest.mark.parametrize("module", CODE)
def test_imports_go_down(module: str) -> None:
    assert wrong(module, MODULES[module].read_text()) == []


def test_no_floor_stands_on_a_later_one() -> None:
    order = list(FLOORS)
    assert all(order.index(below) < order.index(name) for name, allowed in FLOORS.items() for below in allowed)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("focal_jax.losses", "from parity_tests.truth import oracle"),
        ("focal_torch.losses", "import focal_jax"),
        ("parity_tests.truth.oracle", "from parity_tests.contract.grid import GAMMAS"),
        ("parity_tests.contract.grid", "from ..ports import packages"),
        ("parity_tests.ports.python", "from parity_tests.checker.layers.judge import Row"),
        ("parity_tests.checker.layers.judge", "from .. import cli"),
        ("parity_tests.checker.cli", "from parity_tests.tests import ROOT"),
        ("benchmarks.cases", "import examples.weights"),
    ],
)
def test_an_import_that_goes_up_would_be_found(module: str, line: str) -> None:
    assert len(wrong(module, f"def f():\n    {line}\n")) == 1


# Not the first part of a name that is put together.
NAME = re.compile(r"\b(?:parity_tests|benchmarks)(?:\.\w*[^\W_]\b)+(?!{)")
FILE = re.compile(r"\b(?:parity_tests|benchmarks|examples)/[\w/]+\.py\b")
# A file that is written.
OTHERS = {"benchmarks.png"}
TEXTS = [
    *(path for folder in (*FOLDERS, "docs") for path in sorted((ROOT / folder).rglob("*.py"))),
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
    if path.name != "test_floors.py":
        assert gone(path.read_text()) == []


def test_a_module_that_is_gone_would_be_found() -> None:
    assert gone('"from parity_tests.exact import Draws"') == ["parity_tests.exact"]
    assert gone("`benchmarks/aot_cases.py`") == ["benchmarks/aot_cases.py"]
    assert gone("parity_tests.truth.oracle.certified and benchmarks.aot") == []


# What is changed, the files, and a name in each.
ROW = re.compile(r"^\| ([^|]+) \| ((?:`[\w/]+\.py`(?:, )?)+) \| `(\w+)` \|$", re.M)
MAP = [
    (name, file)
    for _, files, name in ROW.findall((ROOT / "CONTRIBUTING.md").read_text())
    for file in re.findall(r"`([^`]+)`", files)
]


def test_the_map_has_many_places() -> None:
    assert len(MAP) >= 30


@pytest.mark.parametrize(("name", "file"), MAP)
def test_what_the_map_names_is_defined_there(name: str, file: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    assert name in defined | {target.id for target in targets if isinstance(target, ast.Name)}


def test_no_folder_has_too_many_files() -> None:
    folders = {path.parent for path in MODULES.values()}
    many = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in many.items() if count > MOST_FILES} == {}
