"""A folder for each floor, and imports go down only."""

import pytest

from parity_tests.tests import ROOT

from .floors import FLOORS, drawing, edges, imports_going_up
from .imports import MODULES

# The tests may import everything.
TESTS = "parity_tests.tests"


def has_a_floor(module: str) -> bool:
    return module != "parity_tests" and not f"{module}.".startswith(f"{TESTS}.")


CODE = [module for module in MODULES if has_a_floor(module)]


@pytest.mark.parametrize("module", CODE)
def test_imports_go_down(module: str) -> None:
    assert imports_going_up(module, MODULES[module].read_text()) == []


def test_no_floor_stands_on_a_later_one() -> None:
    order = list(FLOORS)
    for name, allowed in FLOORS.items():
        for below in allowed:
            assert order.index(below) < order.index(name)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("focal_jax.losses", "from parity_tests.truth import oracle"),
        ("focal_torch.losses", "import focal_jax"),
        ("focal_jax._base.arrays", "from .._core.focal import focal"),
        ("focal_torch._core.focal", "from ..losses import sigmoid_focal_loss"),
        ("parity_tests.truth.oracle", "from parity_tests.contract.grid import GAMMAS"),
        ("parity_tests.contract.grid", "from ..ports import packages"),
        ("parity_tests.ports.python", "from parity_tests.checker.layers.judge import Row"),
        ("parity_tests.checker.layers.judge", "from .. import cli"),
        ("parity_tests.checker.cli", "from parity_tests.tests import ROOT"),
        ("benchmarks.cases", "import examples.weights"),
    ],
)
def test_an_import_that_goes_up_would_be_found(module: str, line: str) -> None:
    assert len(imports_going_up(module, f"def f():\n    {line}\n")) == 1


def test_the_picture_is_that_of_the_imports() -> None:
    assert (ROOT / "docs" / "floors.svg").read_text() == drawing()


def test_the_picture_has_every_floor_and_import() -> None:
    picture = drawing()
    assert picture.count("<text") == len(FLOORS)
    assert "parity_tests.truth" in edges()["parity_tests.contract"]
    assert picture.count("<path") >= len(FLOORS)
