"""Decorators that give a test every problem, port, package or dtype of the suite."""

from typing import Any

import pytest

from parity_tests.contract.family_records import EVERY
from parity_tests.contract.suite import FULL, PROBLEMS
from parity_tests.ports.packages import JAX, PORTS, TORCH

each_problem = pytest.mark.parametrize("name", PROBLEMS)
each_port = pytest.mark.parametrize("port", PORTS, ids=lambda port: port.name.replace(" ", "-"))
both_packages = pytest.mark.parametrize("port", [JAX, TORCH], ids=("jax", "torch"))
# The vectors of a linear layer are batches, and have tests of their own.
each_function_of_logits = pytest.mark.parametrize(
    "function", [record.name for record in EVERY.values() if not record.of_logits]
)
each_vector_file = pytest.mark.parametrize("dtype", FULL)


def slow(value: Any) -> Any:
    """A parameter whose test is one of the slow tier."""
    return pytest.param(value, marks=pytest.mark.slow)
