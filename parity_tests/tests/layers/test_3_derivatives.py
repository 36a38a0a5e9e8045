"""Layer 3, derivatives in logits, targets, α, γ and weight: a failure here is a wrong or unstable
gradient."""

import pytest

from parity_tests.contract.examine import examine
from parity_tests.contract.port import Port
from parity_tests.contract.suite import golden_vectors, solved
from parity_tests.contract.tolerances import GRADIENT, HESSIAN
from parity_tests.tests.parametrize import (
    both_packages,
    each_function_of_logits,
    each_problem_of_each_port,
)


@each_problem_of_each_port
def test_first_derivatives_are_the_oracles(name: str, port: Port) -> None:
    examine(solved(name), port, GRADIENT)


@each_problem_of_each_port
def test_second_derivatives_are_the_oracles(name: str, port: Port) -> None:
    examine(solved(name), port, HESSIAN)


@pytest.mark.not_quick
@both_packages
@pytest.mark.parametrize(
    ("dtype", "order"),
    [
        ("float32", GRADIENT),
        ("float64", GRADIENT),
        pytest.param("float32", HESSIAN, marks=pytest.mark.slow),
        ("float64", HESSIAN),
    ],
)
@each_function_of_logits
def test_derivatives_are_those_of_the_golden_vectors(
    function: str, order: int, dtype: str, port: Port
) -> None:
    for problem in golden_vectors(function, dtype):
        examine(problem, port, order)
