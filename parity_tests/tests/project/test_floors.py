"""A folder for each floor, and imports go down only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from parity_tests.tests import ROOT

PACKAGES = ("focal_jax", "focal_torch")
BELOW_THE_CHECKER = ("parity_tests.truth", "parity_tests.contract", "parity_tests.ports")
# Each floor, and those above it in this list that it may import. The longest name that fits is a
# module's floor.
FLOORS: dict[str, tuple[str, ...]] = {
    "focal_jax": (),
    "focal_torch": (),
    "parity_tests.truth": (),
    "parity_tests.contract": ("parity_tests.truth",),
    "parity_tests.ports": (*PACKAGES, "parity_tests.contract"),
    "parity_tests.checker.layers": BELOW_THE_CHECKER,
    "parity_tests.checker.diagnosis": (*BELOW_THE_CHECKER, "parity_tests.checker.layers"),
    "parity_tests.checker.report": (*BELOW_THE_CHECKER, "parity_tests.checker.layers"),
    "parity_tests.checker.audit": (
        *BELOW_THE_CHECKER,
        *("parity_tests.checker.layers", "parity_tests.checker.diagnosis"),
    ),
    "parity_tests.checker.sweep": BELOW_THE_CHECKER,
    "parity_tests.checker": (
        *("parity_tests.ports", "parity_tests.checker.layers"),
        *("parity_tests.checker.diagnosis", "parity_tests.checker.report"),
    ),
    "parity_tests.wrong_ports": ("parity_tests.truth", "parity_tests.contract"),
    "parity_tests.versions": (*PACKAGES, "parity_tests.contract"),
    "parity_tests.pages": (
        "parity_tests.contract",
        "parity_tests.ports",
        "parity_tests.checker.audit",
    ),
    "benchmarks": (
        *PACKAGES,
        "parity_tests.contract",
        "parity_tests.ports",
        "parity_tests.checker.audit",
    ),
    "examples": (*PACKAGES, "parity_tests.contract", "benchmarks"),
}
FOLDERS = (*PACKAGES, "parity_tests", "examples", "benchmarks")
# The tests may import everything.
TESTS = "parity_tests.tests"
MOST_FILES = 20


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_of(path): path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))
}


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


CODE = [
    module
    for module in MODULES
    if module not in ("parity_tests", TESTS) and not module.startswith(f"{TESTS}.")
]


@pytest.mark.parametrize("module", CODE)
def test_imports_go_down(module: str) -> None:
    assert wrong(module, MODULES[module].read_text()) == []


def test_no_floor_stands_on_a_later_one() -> None:
    order = list(FLOORS)
    assert all(
        order.index(below) < order.index(name)
        for name, allowed in FLOORS.items()
        for below in allowed
    )


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


def test_no_folder_has_too_many_files() -> None:
    folders = {path.parent for path in MODULES.values()}
    many = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in many.items() if count > MOST_FILES} == {}
