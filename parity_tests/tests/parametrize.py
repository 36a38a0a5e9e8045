"""Decorators that give a test every problem, port, package or dtype of the suite."""

from itertools import product
from typing import Any

import pytest

from parity_tests.contract.family_records import EVERY
from parity_tests.contract.suite import FULL, PROBLEMS
from parity_tests.ports.packages import EAGER_JAX, JAX, PORTS, TORCH

each_port = pytest.mark.parametrize("port", PORTS, ids=lambda port: port.name.replace(" ", "-"))
# JAX without jit does the same in float64 as in float32, and compiles every operation by itself.
_CASES = [
    pytest.param(name, port, id=f"{name}-{port.name.replace(' ', '-')}")
    for name, port in product(PROBLEMS, PORTS)
    if port is not EAGER_JAX or "float32" in name
]
each_problem_of_each_port = pytest.mark.parametrize(("name", "port"), _CASES)
both_packages = pytest.mark.parametrize("port", [JAX, TORCH], ids=("jax", "torch"))
# The vectors of a linear layer are batches, and have tests of their own.
each_function_of_logits = pytest.mark.parametrize(
    "function", [record.name for record in EVERY.values() if not record.of_logits]
)
each_vector_file = pytest.mark.parametrize("dtype", FULL)


def slow(value: Any) -> Any:
    """A parameter whose test is one of the slow tier."""
    return pytest.param(value, marks=pytest.mark.slow)
