"""The problems that every implementation has to solve, by name, with the truth computed once per
process."""

from collections.abc import Callable
from functools import cache
from itertools import product

from . import golden
from .examine import Solved
from .family_records import EVERY
from .problems import Problem

FULL = ("float32", "float64")


def _problems() -> dict[str, Callable[[], Problem]]:
    problems: dict[str, Callable[[], Problem]] = {}
    for record in EVERY.values():
        for (label, grid), dtype in product(record.grids.items(), FULL):
            for name, problem in grid(dtype).items():
                problems[f"{label} {dtype} {name}"] = problem
    return problems


PROBLEMS = _problems()

# The small grid: the fewest classes, and of each kind of problem one, in float64 where it has few
# variables.
SMALL_GRID = {
    "sigmoid, hard float32 gamma=0.5 alpha=0.25",
    "sigmoid, hard float32 gamma=2.0 alpha=0.0",
    "sigmoid, hard float64 gamma=0.5 alpha=0.25",
    "sigmoid, soft float32 alpha=0.25",
    "sigmoid, mixture float32 alpha=0.25",
    "sigmoid, quality float32 alpha=each",
    "varifocal, soft float32 iou_weighted=True constant_modulator=False",
    "heatmap, soft float32 peak=1.0 alpha=None",
    "asymmetric, soft float32 shift=0.05 constant_modulator=False",
    "softmax, ids float32 gamma=0.5 classes=3",
    "softmax, ids float32 gamma=2.0 classes=2",
    "softmax, ids float64 gamma=2.0 classes=2",
    "softmax, soft float32 classes=2",
}


def kind(name: str) -> str:
    """The loss, its targets and the dtype of a problem, as in "softmax, ids float32"."""
    return " ".join(name.split()[:3])


@cache
def solved(name: str) -> Solved:
    return Solved.of(PROBLEMS[name]())


@cache
def golden_vectors(function: str, dtype: str) -> list[Solved]:
    return [Solved(*pair) for pair in golden.read(function, dtype)]
