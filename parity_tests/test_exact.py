"""Inputs have the same bits on every processor: what makes them may call little."""

import ast
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

import numpy as np
import pytest

from examples import caravan, large_vocabulary, words
from examples.calibration.data import PROBLEMS
from examples.detection import recipe

from . import exact, exact_calls, golden, grid, make_vectors
from .checker import heat, ladders
from .checker.check import LAYERS, layer
from .checker.contract import RECORDS
from .checker.evidence import Evidence
from .checker.frameworks import load
from .checker.python_port import PythonPort
from .checker.subject import Plan, PortError
from .problems import Problem

ROOT = Path(__file__).parents[1]
SOURCES = {path: (ROOT / path).read_text() for path in exact_calls.ALLOWED}
FILES = [path for folder in exact_calls.FOLDERS for path in ROOT.joinpath(folder).rglob("*.py")]
OTHERS = sorted(str(path.relative_to(ROOT)) for path in FILES)


@pytest.mark.parametrize("path", exact_calls.ALLOWED)
def test_what_makes_inputs_calls_only_what_is_rounded_once(path: str) -> None:
    assert exact_calls.not_allowed(SOURCES[path], path) == []


@pytest.mark.parametrize("path", exact_calls.ALLOWED)
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
    for number in range(len(exact_calls.places(ast.parse(SOURCES[path]), path))):
        assert exact_calls.not_allowed(with_fault(path, number, fault), path)


def with_fault(path: str, number: int, fault: str) -> str:
    """The source with a wrong call in one of its places."""
    tree = ast.parse(f"import math\n{SOURCES[path]}")
    place = exact_calls.places(tree, path)[number]
    if isinstance(place, ast.FunctionDef | ast.Module):
        place.body += ast.parse(f"POINTS = {fault}").body
    else:
        assert place.value is not None
        place.value = ast.Tuple([place.value, ast.parse(fault, mode="eval").body], ast.Load())
    return ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("checker/ladders.py", "EASY = np.arange(0, 90.01, 0.125)", "EASY = np.exp(np.arange(9))"),
        ("checker/ladders.py", "[200.0, 1000.0, 1e4]", "np.exp([5.0, 7.0, 9.0])"),
        ("checker/audit_facts.py", "arange(0, 90.01, 0.125)", "arange(0, 90.01, 0.1)"),
        ("checker/sweep_blocks.py", "np.uint32(block << 23)", "np.exp(block)"),
        ("halves.py", "np.arange(2**16, dtype=np.uint16)", "np.exp(np.arange(2**16))"),
        ("versions/losses.py", "DRAWS.bell((ROWS, SIZE))", "np.exp(DRAWS.bell((ROWS, SIZE)))"),
        ("linear_layer.py", "IDS = DRAWS.integers(0, CLASSES, ROWS)", "IDS = np.exp(range(9))"),
        ("split.py", "np.array(1.75)", "np.exp(0.5)"),
    ],
)
def test_a_wrong_grid_is_found(path: str, old: str, new: str) -> None:
    path = f"parity_tests/{path}"
    assert SOURCES[path].count(old) == 1
    assert len(exact_calls.not_allowed(SOURCES[path].replace(old, new), path)) == 1


def test_a_second_assignment_is_held_to_the_list_too() -> None:
    path = "parity_tests/checker/ladders.py"
    for line in ("EASY = np.exp(EASY)", "EASY *= np.exp(1)", "EASY: np.ndarray = np.exp(EASY)"):
        assert len(exact_calls.not_allowed(f"{SOURCES[path]}\n{line}", path)) == 1
    assert not exact_calls.not_allowed(f"{SOURCES[path]}\nOTHER = np.exp(EASY)", path)


def test_a_name_that_the_file_does_not_have_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "parity_tests/checker/ladders.py"
    monkeypatch.setitem(exact_calls.ALLOWED, path, "EASY GONE _ask")
    with pytest.raises(ValueError, match=r"ladders\.py.*got \['GONE'\]"):
        exact_calls.not_allowed(SOURCES[path], path)


@pytest.mark.parametrize("path", OTHERS)
def test_nothing_else_draws_inputs(path: str) -> None:
    found = exact_calls.denied((ROOT / path).read_text())
    known = set(exact_calls.EXCEPTIONS.get(path, {}))
    assert found == known, "use parity_tests.exact, or give a reason"


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
    assert exact_calls.EXCEPTIONS.keys() <= set(OTHERS)
    for reasons in exact_calls.EXCEPTIONS.values():
        assert all(len(reason.split()) > 3 for reason in reasons.values())


class Asked:
    """A port that notes what it is asked, and answers nothing."""

    title, orders = "asked", (0,)

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def takes(self, argument: str) -> bool:
        return True

    def answer(self, problem: Problem, order: int) -> np.ndarray:
        self.arrays += parts(problem)
        raise PortError("it answers nothing")

    def __call__(self, **arguments: Any) -> np.ndarray:
        self.arrays += [x for _, x in sorted(arguments.items()) if isinstance(x, np.ndarray)]
        raise PortError("it answers nothing")


def parts(problem: Problem) -> list[np.ndarray]:
    return [problem.points] if problem.ids is None else [problem.points, problem.ids]


def grids() -> Iterator[np.ndarray]:
    for record in RECORDS.values():
        for make in record.grids.values():
            for problems in map(make, record.dtypes):
                for problem in problems.values():
                    yield from parts(problem())


def vectors() -> Iterator[np.ndarray]:
    for group in make_vectors.problems().values():
        for problem in group:
            yield from parts(problem)
            yield make_vectors.chosen(len(problem.points), make_vectors.SAMPLES // len(group))


def questions() -> Iterator[np.ndarray]:
    """What the checker asks: in each layer, for its heat maps, and where it looks for a reason."""
    for record in RECORDS.values():
        names = {argument.name: argument.name for argument in record.arguments}
        for dtype in record.dtypes:
            for as_p in (False, True)[: 1 if record.classes else 2]:
                asked, plan = Asked(), Plan(record, dtype, probabilities=as_p)
                port = PythonPort("asked", asked, load("numpy"), plan, names)
                for name in LAYERS:
                    layer(port, plan, name)
                list(ladders.diagnose(Evidence(port, plan)))
                heat.maps(asked, plan)
                yield from asked.arrays


def trainings() -> Iterator[np.ndarray]:
    """What the examples start from: data, batches and weights."""
    data = caravan.dataset()
    yield from (*data, caravan.batches(len(data.train_y)), *caravan.initial_weights().values())
    for problem in PROBLEMS:
        yield from (array for part in problem.split(0) for array in part)
        yield from (problem.batches(300, 0), *problem.initial_weights(0).values())
    yield from words.sample(np.arange(1000), 4, (20, 30), 0)
    yield from large_vocabulary.initial_weights(1000, large_vocabulary.QUICK).values()


def detectors() -> Iterator[np.ndarray]:
    small = replace(recipe.RECIPE, train=16, test=16)
    for part in ("train", "test"):
        made = recipe.dataset(part, small, 0)
        yield from (made.images, *made.targets, *made.scenes.boxes, *made.scenes.labels)
    yield from (recipe.batches(small, 0), *recipe.initial_weights(0).values())


KINDS = (grids, vectors, questions, trainings, detectors)


def fingerprint() -> dict[str, str]:
    return {kind.__name__: hashed(kind()) for kind in KINDS}


def hashed(arrays: Iterator[np.ndarray]) -> str:
    """How many numbers there are, and a hash of all of them."""
    bits, count = hashlib.sha256(), 0
    for array in arrays:
        bits.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        count += array.size
    return f"{count} {bits.hexdigest()}"


PROGRAM = """
import json
from parity_tests import exact_calls, test_exact
print(json.dumps([sorted(exact_calls.extensions()), test_exact.fingerprint()]))
"""


def settings() -> list[list[str]]:
    """What numpy is told to do without: nothing, the highest extension it has here, and all."""
    have = exact_calls.extensions()
    distinct = dict.fromkeys(((), tuple(have[-1:]), tuple(have)))
    return [list(without) for without in distinct]


@pytest.mark.parametrize(
    ("have", "expected"),
    [
        ([], [[]]),
        (["AVX2"], [[], ["AVX2"]]),
        (["AVX2", "AVX512F"], [[], ["AVX512F"], ["AVX2", "AVX512F"]]),
    ],
)
def test_settings_are_distinct(
    have: list[str],
    expected: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exact_calls, "extensions", lambda: have)
    assert settings() == expected


X86_64 = platform.machine() in ("x86_64", "AMD64")


@pytest.mark.skipif(not X86_64, reason="elsewhere numpy may use nothing beyond what it needs")
def test_there_is_another_setting() -> None:
    assert len(settings()) > 1, "NPY_DISABLE_CPU_FEATURES would be tested with nothing to disable"


def test_numpy_makes_the_same_inputs_without_the_extensions_of_the_processor() -> None:
    expected = fingerprint()
    assert all(int(text.split()[0]) > 10_000 for text in expected.values())
    for without in settings():
        left, found = json.loads(ended(["-c", PROGRAM], without))
        assert not set(left) & set(without), "numpy does without them"
        assert found == expected, without


def ended(program: list[str], without: list[str]) -> str:
    """What a process prints whose numpy does without these extensions."""
    env = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(without), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", *program]
    done = subprocess.run(command, env=env, cwd=ROOT, stdout=PIPE, text=True, timeout=300)
    assert done.returncode == 0, without
    return done.stdout


def test_golden_vectors_are_the_same_without_them() -> None:
    """Byte by byte, with the manifest; test_oracle.py has the same with all of them."""
    for without in settings()[1:]:
        printed = ended(["-m", "parity_tests.make_vectors", "--check"], without)
        assert "are what the oracle says" in printed


def test_what_cancels_to_zero_has_its_scale_in_the_golden_vectors() -> None:
    """The slope in targets at the logit 0 is f(0) − f(0), of which an FMA leaves a rounding."""
    found = 0
    for problem, jets in golden.read("sigmoid_focal_loss", "float32"):
        if problem.constants == {"soft_targets": "mixture", "alpha": None}:
            for point, jet in zip(problem.points.tolist(), jets, strict=True):
                if point[0] == 0:
                    found += 1
                    assert jet["targets",].value == 0 < jet["targets",].scale
    assert found


def test_one_bit_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {kind.__name__: hashed(kind()) for kind in (grids, vectors)}
    moved = float(np.nextafter(grid.LOGITS[-1], 0))
    monkeypatch.setattr(grid, "LOGITS", (*grid.LOGITS[:-1], moved))
    after = {kind.__name__: hashed(kind()) for kind in (grids, vectors)}
    assert all(before[name] != after[name] for name in before)


def test_sums_have_no_order() -> None:
    draws = exact.Draws(0)
    a, b = draws.integers(-99, 100, (30, 40)), draws.integers(0, 1 << 30, (40, 50))
    assert (exact.product(a, b) == (a[:, :, None] * b).sum(1)).all()
    assert exact.total(b) == sum(b.ravel().tolist())


@pytest.mark.parametrize("largest", [1 << 50, 0.5])
def test_sums_that_are_rounded_are_refused(largest: float) -> None:
    with pytest.raises(ValueError, match="expected integers and sums to 2\\^53"):
        exact.product(np.ones((2, 9), np.int64), np.full((9, 2), largest))


def test_a_sum_of_floats_is_refused() -> None:
    with pytest.raises(TypeError, match="expected integers"):
        exact.total(np.ones(3))
