"""Inputs have the same bits on every processor: what makes them may call little."""

import ast

import numpy as np
import pytest

from parity_tests.contract import exact
from parity_tests.tests import ROOT

from . import exact_calls, exact_files

SOURCES = {path: (ROOT / path).read_text() for path in exact_files.ALLOWED}
FILES = [path for folder in exact_files.FOLDERS for path in ROOT.joinpath(folder).rglob("*.py")]
OTHERS = sorted(str(path.relative_to(ROOT)) for path in FILES)


@pytest.mark.parametrize("path", exact_files.ALLOWED)
def test_what_makes_inputs_calls_only_what_is_rounded_once(path: str) -> None:
    assert exact_calls.not_allowed(SOURCES[path], path) == []


@pytest.mark.parametrize("path", exact_files.ALLOWED)
@pytest.mark.parametrize(
    "fault",
    [
        "np.exp(points)",
        "10.0 ** points",
        "2 ** 0.5",
        "pow(10.0, 0.5)",
        "math.exp(1)",
        "np.random.default_rng(0).normal(size=3)",
        "np.linspace(0, 1, 7)",
        "np.arange(0, 1, 0.1)",
        "np.add.reduce(points)",
        "points.mean()",
        "points @ points",
    ],
)
def test_a_call_that_differs_between_processors_would_be_found(path: str, fault: str) -> None:
    count = len(exact_calls.places(ast.parse(SOURCES[path]), path))
    for number in range(count):
        source = with_fault(path, number, fault)
        assert exact_calls.not_allowed(source, path)


def with_fault(path: str, number: int, fault: str) -> str:
    """The source with a wrong call in one of its places."""
    tree = ast.parse(f"import math\n{SOURCES[path]}")
    place = exact_calls.places(tree, path)[number]
    if isinstance(place, ast.FunctionDef | ast.Module):
        place.body += ast.parse(f"POINTS = {fault}").body
    else:
        assert place.value is not None
        call = ast.parse(fault, mode="eval").body
        place.value = ast.Tuple([place.value, call], ast.Load())
    return ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (
            "checker/diagnosis/climb.py",
            "EASY = np.arange(0, 90.01, 0.125)",
            "EASY = np.exp(np.arange(9))",
        ),
        ("checker/diagnosis/climb.py", "[1000.0, 3000.0, 1e4]", "np.exp([5.0, 7.0, 9.0])"),
        ("checker/audit/facts.py", "arange(0, 90.01, 0.125)", "arange(0, 90.01, 0.1)"),
        ("checker/sweep/blocks.py", "np.uint32(block << 23)", "np.exp(block)"),
        (
            "contract/half_precision.py",
            "np.arange(2**16, dtype=np.uint16)",
            "np.exp(np.arange(2**16))",
        ),
        ("versions/losses.py", "DRAWS.bell((ROWS, SIZE))", "np.exp(DRAWS.bell((ROWS, SIZE)))"),
        (
            "tests/linear/linear_layer.py",
            "IDS = DRAWS.integers(0, CLASSES, ROWS)",
            "IDS = np.exp(range(9))",
        ),
        ("tests/sharding/split.py", "np.array(1.75)", "np.exp(0.5)"),
    ],
)
def test_a_wrong_grid_is_found(path: str, old: str, new: str) -> None:
    path = f"parity_tests/{path}"
    assert SOURCES[path].count(old) == 1
    changed = SOURCES[path].replace(old, new)
    assert len(exact_calls.not_allowed(changed, path)) == 1


def test_a_second_assignment_is_held_to_the_list_too() -> None:
    path = "parity_tests/checker/diagnosis/climb.py"
    for line in ("EASY = np.exp(EASY)", "EASY *= np.exp(1)", "EASY: np.ndarray = np.exp(EASY)"):
        source = f"{SOURCES[path]}\n{line}"
        assert len(exact_calls.not_allowed(source, path)) == 1
    another_name = f"{SOURCES[path]}\nOTHER = np.exp(EASY)"
    assert not exact_calls.not_allowed(another_name, path)


def test_a_name_that_the_file_does_not_have_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "parity_tests/checker/diagnosis/climb.py"
    monkeypatch.setitem(exact_files.ALLOWED, path, "EASY GONE far")
    with pytest.raises(ValueError, match=r"climb\.py.*got \['GONE'\]"):
        exact_calls.not_allowed(SOURCES[path], path)


@pytest.mark.parametrize("path", OTHERS)
def test_nothing_else_draws_inputs(path: str) -> None:
    calls = exact_calls.denied((ROOT / path).read_text())
    known = set(exact_files.EXCEPTIONS.get(path, {}))
    assert calls == known, "use parity_tests.contract.exact, or give a reason"


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nrng = np.random.default_rng(0)",
        "import numpy\nmake = numpy.random.default_rng",
        "from numpy.random import default_rng",
        "import numpy as np\nx = np.geomspace(1, 2, 3)",
        "from numpy import linspace as spaced",
        "import jax\nx = jax.random.normal(jax.random.key(0))",
        "from jax import random",
        "import jax.numpy as jnp\nx = jnp.logspace(1, 2)",
        "import torch\nx = torch.randn(3)",
        "import torch\nx = torch.empty(3).normal_()",
        "import random",
        "from flax import nnx\nx = nnx.Rngs(0)",
        'PROGRAM = """\nimport torch\nx = torch.rand(3)\n"""',
    ],
)
def test_random_numbers_elsewhere_would_be_found(source: str) -> None:
    assert exact_calls.denied(source)


def test_every_exception_is_of_a_file_that_exists_and_has_its_reason() -> None:
    assert exact_files.EXCEPTIONS.keys() <= set(OTHERS)
    for reasons in exact_files.EXCEPTIONS.values():
        for reason in reasons.values():
            assert len(reason.split()) > 3


def test_sums_have_no_order() -> None:
    draws = exact.Draws(0)
    a = draws.integers(-99, 100, (30, 40))
    b = draws.integers(0, 1 << 30, (40, 50))
    products = (a[:, :, None] * b).sum(1)
    assert np.array_equal(exact.product(a, b), products)
    assert exact.total(b) == sum(b.ravel().tolist())


@pytest.mark.parametrize("largest", [1 << 50, 0.5])
def test_sums_that_are_rounded_are_refused(largest: float) -> None:
    ones = np.ones((2, 9), np.int64)
    large = np.full((9, 2), largest)
    with pytest.raises(ValueError, match="expected integers and sums to 2\\^53"):
        exact.product(ones, large)


def test_a_sum_of_floats_is_refused() -> None:
    with pytest.raises(TypeError, match="expected integers"):
        exact.total(np.ones(3))
