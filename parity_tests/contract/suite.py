"""The problems that every implementation has to solve, by name, with the truth computed once per
process."""

from collections.abc import Callable
from functools import cache
from itertools import product

from . import golden
from .examine import Solved
from .problems import Problem
from .records import RECORDS

FULL = ("float32", "float64")


def _problems() -> dict[str, Callable[[], Problem]]:
    problems: dict[str, Callable[[], Problem]] = {}
    for record in RECORDS.values():
        for (label, grid), dtype in product(record.grids.items(), FULL):
            for name, problem in grid(dtype).items():
                problems[f"{label} {dtype} {name}"] = problem
    return problems


PROBLEMS = _problems()


def kind(name: str) -> str:
    """The loss, its targets and the dtype of a problem, as in "softmax, ids float32"."""
    return " ".join(name.split()[:3])


@cache
def solved(name: str) -> Solved:
    return Solved.of(PROBLEMS[name]())


@cache
def golden_vectors(function: str, dtype: str) -> list[Solved]:
    return [Solved(*pair) for pair in golden.read(function, dtype)]
