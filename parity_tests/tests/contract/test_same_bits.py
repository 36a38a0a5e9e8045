"""Inputs have the same bits on every processor: they are hashed without what numpy uses of this
one."""

import hashlib
import itertools
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

from examples import large_vocabulary, schedule
from examples.calibration.data import PROBLEMS
from examples.detection import network, recipe
from examples.segmentation import recipe as strokes
from examples.training import caravan
from examples.vocabulary import words
from parity_tests.checker.diagnosis import tails
from parity_tests.checker.diagnosis.evidence import Evidence
from parity_tests.checker.layers.check import LAYERS, layer
from parity_tests.checker.report import heat
from parity_tests.contract import grid, make_vectors
from parity_tests.contract.family_records import EVERY
from parity_tests.contract.problems import Problem
from parity_tests.contract.records import RECORDS
from parity_tests.ports.frameworks.load import load
from parity_tests.ports.linear import kind_of
from parity_tests.ports.subject import Plan, PortError
from parity_tests.tests import ROOT

from . import exact_calls


class Recorder:
    """A port that keeps its inputs, and answers nothing."""

    title = "recorder"
    orders = (0,)

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def takes(self, argument: str) -> bool:
        return True

    def answer(self, problem: Problem, order: int) -> np.ndarray:
        self.arrays += parts(problem)
        raise PortError("it answers nothing")

    def __call__(self, **arguments: Any) -> np.ndarray:
        for name in sorted(arguments):
            if isinstance(arguments[name], np.ndarray):
                self.arrays.append(arguments[name])
        raise PortError("it answers nothing")


def parts(problem: Problem) -> list[np.ndarray]:
    if problem.ids is None:
        return [problem.points]
    return [problem.points, problem.ids]


def grids() -> Iterator[np.ndarray]:
    for record in EVERY.values():
        for make, dtype in itertools.product(record.grids.values(), record.dtypes):
            for problem in make(dtype).values():
                yield from parts(problem())


def vectors() -> Iterator[np.ndarray]:
    for name, group in make_vectors.problems().items():
        samples = make_vectors.samples_each(name.removesuffix(".jsonl"), group)
        for problem in group:
            yield from parts(problem)
            yield make_vectors.chosen(len(problem.points), samples)


def questions() -> Iterator[np.ndarray]:
    """Inputs of the checker: of each layer, its heat maps, and its search for a reason."""
    for record in RECORDS.values():
        for dtype in record.dtypes:
            yield from questions_of(Plan(record, dtype))
            # A port of probabilities has one class.
            if not record.classes:
                yield from questions_of(Plan(record, dtype, probabilities=True))


def questions_of(plan: Plan) -> list[np.ndarray]:
    names = {argument.name: argument.name for argument in plan.record.arguments}
    recorder = Recorder()
    port = kind_of(plan.record)("recorder", recorder, load("numpy"), plan, names)
    for name in LAYERS:
        layer(port, plan, name)
    list(tails.diagnose(Evidence(port, plan), LAYERS))
    heat.maps(recorder, plan)
    return recorder.arrays


def trainings() -> Iterator[np.ndarray]:
    """What the examples start from: data, batches and weights."""
    data = caravan.dataset()
    yield from data
    yield caravan.batches(len(data.train_y))
    yield from caravan.initial_weights().values()
    for problem in PROBLEMS:
        for part in problem.split(0):
            yield from part
        yield problem.batches(300, 0)
        yield from problem.initial_weights(0).values()
    yield from words.sample(np.arange(1000), 4, (20, 30), 0)
    yield from large_vocabulary.initial_weights(1000, large_vocabulary.QUICK).values()


def detectors() -> Iterator[np.ndarray]:
    small = replace(recipe.RECIPE, train=16, test=16)
    for part in ("train", "test"):
        data = recipe.dataset(part, small, 0)
        yield data.images
        yield from data.targets
        yield from (*data.scenes.boxes, *data.scenes.labels)
    yield schedule.batches(small, 0)
    yield recipe.signs(small, 0)
    yield from network.initial_weights(recipe.RECIPE, 0).values()


def segmenters() -> Iterator[np.ndarray]:
    small = replace(strokes.RECIPE, train=16, validation=16, test=16)
    for part in ("train", "validation", "test"):
        data = strokes.dataset(part, small, 0)
        yield data.images
        yield data.scenes.strokes
    yield from strokes.initial_weights(0, -4.0).values()


KINDS = (grids, vectors, questions, trainings, detectors, segmenters)


def fingerprint() -> dict[str, str]:
    return {kind.__name__: hashed(kind()) for kind in KINDS}


def hashed(arrays: Iterator[np.ndarray]) -> str:
    """How many numbers there are, and a hash of all of them."""
    bits = hashlib.sha256()
    count = 0
    for array in arrays:
        bits.update(f"{array.dtype} {array.shape}".encode())
        bits.update(np.ascontiguousarray(array).tobytes())
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
    every: list[list[str]] = []
    for without in ([], have[-1:], have):
        if without not in every:
            every.append(without)
    return every


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
    for text in expected.values():
        count, _ = text.split()
        assert int(count) > 10_000
    # The first setting is that of this process.
    for without in settings()[1:]:
        left, others = json.loads(output_of(["-c", PROGRAM], without))
        assert not set(left) & set(without), "numpy does without them"
        assert others == expected, without


def output_of(program: list[str], without: list[str]) -> str:
    """What a process prints whose numpy does without these extensions."""
    disabled = " ".join(without)
    env = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", *program]
    done = subprocess.run(command, env=env, cwd=ROOT, stdout=PIPE, text=True, timeout=300)
    assert done.returncode == 0, without
    return done.stdout


@pytest.mark.slow
def test_golden_vectors_are_the_same_without_them() -> None:
    """Byte by byte, with the manifest; test_oracle.py has the same with all of them, as here where
    numpy has none."""
    for without in settings()[1:] or [[]]:
        output = output_of(["-m", "parity_tests.contract.make_vectors", "--check"], without)
        assert "are what the oracle says" in output


def test_one_bit_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = (hashed(grids()), hashed(vectors()))
    *others, last = grid.LOGITS
    moved = float(np.nextafter(last, 0))
    monkeypatch.setattr(grid, "LOGITS", (*others, moved))
    assert hashed(grids()) != before[0]
    assert hashed(vectors()) != before[1]
