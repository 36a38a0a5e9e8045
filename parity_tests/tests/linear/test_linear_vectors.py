"""The golden vectors of a linear layer: both packages have them, and answers to them are scored."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import focal_jax
import focal_torch
from parity_tests.checker.cli import main
from parity_tests.checker.layers.build import Options, build
from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import LINEAR
from parity_tests.contract.suite import golden_vectors
from parity_tests.contract.tolerances import DTYPES, FLOOR, allowed
from parity_tests.ports.linear import Inputs, LinearPort
from parity_tests.ports.subject import GRADIENT, VALUE


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ({"loss": 0.5}, 1),
        ({"kernel0": 0.5, "bias2": 0.5}, 1),
        # It is not in the vectors, where what is left out is 0.
        ({"kernel0 kernel0": 0.5}, 2),
        ({"logits": 0.5}, 2),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else "",
)
def test_answers_to_the_vectors_are_scored(
    results: dict[str, float], code: int, tmp_path: Path
) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text(json.dumps({"id": f"{LINEAR}_float32/0", "results": results}))
    assert main(["score", str(file)]) == code


PAIRS = [pytest.param(focal_torch, dtype, id=f"torch-{dtype}") for dtype in DTYPES]
PAIRS.append(pytest.param(focal_jax, "float32", id="jax-float32"))
for dtype in ("float64", "bfloat16", "float16"):
    # Each setting is another program to compile.
    name = f"jax-{dtype}"
    PAIRS.append(pytest.param(focal_jax, dtype, id=name, marks=pytest.mark.slow))


@pytest.mark.parametrize(("package", "dtype"), PAIRS)
def test_the_golden_vectors_of_a_linear_layer(package: Any, dtype: str) -> None:
    port = build(Options(package.linear_softmax_focal_loss, LINEAR), dtype)
    assert isinstance(port, LinearPort)
    worst = 0.0
    for solved in golden_vectors(LINEAR, dtype):
        problem = solved.problem
        for place, truth in enumerate(solved.truths):
            for order in (VALUE, GRADIENT):
                answer = answers(port, problem, place, order)
                keys = [(name,) for name in problem.names] if order else [()]
                for key, x in zip(keys, answer.tolist(), strict=True):
                    limit = allowed(LINEAR, key, 2.0, dtype)
                    error = error_in_eps(x, truth[key], dtype, FLOOR[dtype][order])
                    assert error <= limit, (problem.constants, key, x, truth[key])
                    worst = max(worst, error)
    assert worst > 0


def answers(port: LinearPort, problem: Any, place: int, order: int) -> np.ndarray:
    typed = DTYPES[problem.dtype]
    sample = {name: np.array(x, typed) for name, x in problem.sample(place).items()}
    bias = sample["bias"]
    kernel = sample["kernel"].reshape(-1, len(bias))
    features = sample["features"].reshape(-1, len(kernel))
    arguments: dict[str, Any] = {}
    for name, x in problem.constants.items():
        arguments[name] = np.array(x) if isinstance(x, list) else x
        if name in ("alpha", "weight") and isinstance(x, list):
            arguments[name] = arguments[name].astype(typed)
    one = np.ones((), typed)
    answer = port.in_all(Inputs(features, kernel, bias), arguments, order, one)
    return np.atleast_1d(answer).astype(float)
