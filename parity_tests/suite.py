"""The problems that every implementation has to solve, by name, with the truth computed once per process."""

import itertools
from collections.abc import Callable
from functools import cache, partial

import pytest

from . import golden, grid
from .compare import require
from .jets import Jet
from .ports import JAX, PORTS, TORCH, Port
from .problems import Problem

FULL = ("float32", "float64")


def _problems() -> dict[str, Callable[[], Problem]]:
    problems: dict[str, Callable[[], Problem]] = {}
    for dtype in FULL:
        for gamma, alpha in zip(grid.GAMMAS, itertools.cycle(grid.ALPHAS), strict=False):
            name = f"sigmoid hard {dtype} gamma={gamma} alpha={alpha}"
            problems[name] = partial(grid.sigmoid_hard, dtype, gamma, alpha)
            for classes in (1, 2, 5) if gamma == 2 else (2, 3):
                name = f"softmax hard {dtype} gamma={gamma} classes={classes}"
                problems[name] = partial(grid.softmax_hard, dtype, classes, gamma)
        for rule in ("interpolate", "mixture"):
            for alpha in grid.ALPHAS:
                name = f"sigmoid {rule} {dtype} alpha={alpha}"
                problems[name] = partial(grid.sigmoid_soft, dtype, rule, alpha)
        for classes in (1, 2, 3):
            problems[f"softmax soft {dtype} classes={classes}"] = partial(grid.softmax_soft, dtype, classes)
    return problems


PROBLEMS = _problems()
each_problem = pytest.mark.parametrize("name", PROBLEMS)
each_port = pytest.mark.parametrize("port", PORTS, ids=lambda port: port.name.replace(" ", "-"))
both_packages = pytest.mark.parametrize("port", [JAX, TORCH], ids=("jax", "torch"))
each_vector_file = pytest.mark.parametrize("dtype", FULL)


@cache
def solved(name: str) -> tuple[Problem, list[Jet]]:
    problem = PROBLEMS[name]()
    return problem, [problem.truth(row) for row in range(len(problem.points))]


@cache
def golden_vectors(function: str, dtype: str) -> list[tuple[Problem, list[Jet]]]:
    return golden.read(function, dtype)


def examine(problem: Problem, truths: list[Jet], port: Port, order: int) -> float:
    """Raise unless all derivatives of this order are within their tolerance; return the worst error in eps."""
    return require(problem.entries(port, order, truths), problem.dtype)
