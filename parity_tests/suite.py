"""The problems that every implementation has to solve, by name, with the truth computed once per process."""

from collections.abc import Callable
from functools import cache

from . import golden
from .checker.contract import RECORDS
from .compare import require
from .jets import Jet
from .ports import Port
from .problems import Problem

FULL = ("float32", "float64")


def _problems() -> dict[str, Callable[[], Problem]]:
    return {
        f"{label} {dtype} {name}": problem
        for record in RECORDS.values()
        for label, grid in record.grids.items()
        for dtype in FULL
        for name, problem in grid(dtype).items()
    }


PROBLEMS = _problems()


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
