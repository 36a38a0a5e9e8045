"""Inputs have the same bits on every processor: they are hashed without what numpy uses of this
one."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from subprocess import PIPE
from typing import Any

import numpy as np
import pytest

from examples import caravan, large_vocabulary, words
from examples.calibration.data import PROBLEMS
from examples.detection import recipe
from parity_tests.checker.diagnosis import tails
from parity_tests.checker.diagnosis.evidence import Evidence
from parity_tests.checker.layers.check import LAYERS, layer
from parity_tests.checker.report import heat
from parity_tests.contract import grid, make_vectors
from parity_tests.contract.problems import Problem
from parity_tests.contract.records import RECORDS
from parity_tests.ports.frameworks import load
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import Plan, PortError
from parity_tests.tests import ROOT

from . import exact_calls


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
                list(tails.diagnose(Evidence(port, plan)))
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
from parity_tests.tests.contract import exact_calls, test_same_bits
print(json.dumps([sorted(exact_calls.extensions()), test_same_bits.fingerprint()]))
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


# The tests below go through the extensions that numpy can do without. Builds for x86-64 have some;
# those for other processors may have none, and then there is nothing to compare.
@pytest.mark.skipif(not X86_64, reason="elsewhere numpy may use nothing beyond what it needs")
def test_there_is_another_setting() -> None:
    assert len(settings()) > 1, "NPY_DISABLE_CPU_FEATURES would be tested with nothing to disable"


def test_numpy_makes_the_same_inputs_without_the_extensions_of_the_processor() -> None:
    expected = fingerprint()
    assert all(int(text.split()[0]) > 10_000 for text in expected.values())
    # The first setting is that of this process.
    for without in settings()[1:]:
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


@pytest.mark.slow
def test_golden_vectors_are_the_same_without_them() -> None:
    """Byte by byte, with the manifest; test_oracle.py has the same with all of them, as here where
    numpy has none."""
    for without in settings()[1:] or [[]]:
        printed = ended(["-m", "parity_tests.contract.make_vectors", "--check"], without)
        assert "are what the oracle says" in printed


def test_one_bit_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {kind.__name__: hashed(kind()) for kind in (grids, vectors)}
    moved = float(np.nextafter(grid.LOGITS[-1], 0))
    monkeypatch.setattr(grid, "LOGITS", (*grid.LOGITS[:-1], moved))
    after = {kind.__name__: hashed(kind()) for kind in (grids, vectors)}
    assert all(before[name] != after[name] for name in before)
