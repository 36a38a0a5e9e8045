"""The points of varifocal, heatmap, asymmetric and quality focal losses.

Of each pair of axes every combination is in a grid, or in the next one with the same label; of
three axes it would be too many.
"""

import itertools
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from .exact import log
from .grid import GAMMAS, LOGITS, Named
from .problems import ASYMMETRIC, HEATMAP, SIGMOID, VARIFOCAL, Problem

TARGETS = (0.0, 1e-6, 0.3, 0.5, 0.9, 0.999, 1.0)
SOFT = TARGETS[1:-1]
ALPHAS = (0.0, 0.25, 0.75, 1.0)
BETAS = (0.0, 0.5, 1.0, 4.0)
SHIFTS = (0.0, 0.05, 0.2)
# A peak that every target below 1 misses, and one that the targets have themselves.
PEAKS = (1.0, 0.5)
BOTH = (False, True)
WEIGHT = 0.75
# How far a logit is from that of a target or of the shift, in shares of it: closer than this
# float32 would have no digits of the difference of the probabilities.
STEPS = (-1 / 4, -1 / 64, 1 / 64, 1 / 4)

Row = tuple[float, ...]


def logit(p: float) -> float:
    return log(p) - log(1 - p)


def around(p: float) -> list[float]:
    """Logits on both sides of that of p, which is 0 for one half."""
    middle = logit(p)
    if not middle:
        return list(STEPS)
    return [middle + middle * step for step in STEPS]


def turn(values: Iterable[float], *places: int) -> float:
    """The value of a row at these places of other axes: it takes its turn along each of them."""
    every = list(values)
    return every[sum(places) % len(every)]


def quality(dtype: str, balanced: bool) -> Problem:
    """Each logit with each target, and each γ where p is close to the target, or equal to it."""
    pairs = itertools.product(enumerate(LOGITS), enumerate(TARGETS))
    rows: list[Row] = [(z, y, turn(GAMMAS, i, j, balanced)) for (i, z), (j, y) in pairs]
    for y in SOFT:
        rows += [(z, y, gamma) for z, gamma in itertools.product(around(y), GAMMAS)]
    rows += [(0.0, 0.5, gamma) for gamma in GAMMAS]
    arguments = _arguments(rows, ("logits", "targets", "gamma"))
    constants: dict[str, Any] = {"soft_targets": "quality"}
    return _problem(SIGMOID, dtype, arguments, balanced, constants)


def varifocal(dtype: str, iou_weighted: bool, constant_modulator: bool, balanced: bool) -> Problem:
    """Each logit with each target; γ and α are those of the negatives, and take their turns."""
    rows: list[Row] = []
    for (i, z), (j, y) in itertools.product(enumerate(LOGITS), enumerate(TARGETS)):
        rows.append((z, y, turn(GAMMAS, i, j)))
        if not y:
            # Four γ more: with the other modulator each logit has the rest.
            more = range(1, len(GAMMAS), 2)
            rows += [(z, y, turn(GAMMAS, i, k, constant_modulator)) for k in more]
    arguments = _arguments(rows, ("logits", "targets", "gamma"))
    constants: dict[str, Any] = {
        "iou_weighted": iou_weighted,
        "constant_modulator": constant_modulator,
    }
    return _problem(VARIFOCAL, dtype, arguments, balanced, constants)


def heatmap(dtype: str, peak: float, balanced: bool) -> Problem:
    rows: list[Row] = []
    for (i, z), (j, y) in itertools.product(enumerate(LOGITS), enumerate(TARGETS)):
        rows.append((z, y, turn(GAMMAS, i, j, balanced), turn(BETAS, i // 2, j)))
    # γ and β with each other, and with targets whose falloff is far from 1.
    rows += [(0.7, y, *powers) for y in SOFT for powers in itertools.product(GAMMAS, BETAS)]
    arguments = _arguments(rows, ("logits", "targets", "gamma", "beta"))
    return _problem(HEATMAP, dtype, arguments, balanced, {"peak": peak})


def asymmetric(dtype: str, shift: float, constant_modulator: bool, balanced: bool) -> Problem:
    rows: list[Row] = []
    for (i, z), (j, y) in itertools.product(enumerate(LOGITS), enumerate(TARGETS)):
        positive = turn(GAMMAS, i // len(GAMMAS), i, 3 * j, constant_modulator)
        rows.append((z, y, positive, turn(GAMMAS, i, j, constant_modulator)))
    if shift:
        edge = itertools.product(around(shift), (0.0, 0.5), GAMMAS)
        rows += [(z, y, 1.0, gamma) for z, y, gamma in edge]
    arguments = _arguments(rows, ("logits", "targets", "gamma_positive", "gamma_negative"))
    constants: dict[str, Any] = {"shift": shift, "constant_modulator": constant_modulator}
    return _problem(ASYMMETRIC, dtype, arguments, balanced, constants)


def _arguments(rows: list[Row], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    columns = np.array(rows).T
    return dict(zip(names, columns, strict=True))


def _problem(
    function: str,
    dtype: str,
    arguments: dict[str, np.ndarray],
    balanced: bool,
    constants: dict[str, Any],
) -> Problem:
    """With all α in turn, or without one."""
    count = len(arguments["logits"])
    if balanced:
        # Each for as many rows as have no period in common with other axes.
        arguments = arguments | {"alpha": np.resize(np.repeat(ALPHAS, 5), count)}
    else:
        constants = constants | {"alpha": None}
    arguments = arguments | {"weight": np.full(count, WEIGHT)}
    return Problem.of(function, dtype, arguments, constants=constants)


def _alpha(balanced: bool) -> str:
    return "alpha=each" if balanced else "alpha=None"


def named_quality(dtype: str) -> Named:
    return {_alpha(balanced): partial(quality, dtype, balanced) for balanced in BOTH}


def named_varifocal(dtype: str) -> Named:
    """α is of the negatives alone, and needs no pairs with the weight of the positives."""
    problems: Named = {}
    for iou_weighted, constant in itertools.product(BOTH, BOTH):
        balanced = iou_weighted != constant
        name = f"iou_weighted={iou_weighted} constant_modulator={constant}"
        problems[name] = partial(varifocal, dtype, iou_weighted, constant, balanced)
    return problems


def named_heatmap(dtype: str) -> Named:
    problems: Named = {}
    for peak, balanced in itertools.product(PEAKS, BOTH):
        problems[f"peak={peak} {_alpha(balanced)}"] = partial(heatmap, dtype, peak, balanced)
    return problems


def named_asymmetric(dtype: str) -> Named:
    problems: Named = {}
    for number, (shift, constant) in enumerate(itertools.product(SHIFTS, BOTH)):
        # Each shift and each modulator has both: the order is that of the product.
        balanced = number in (0, 3, 4)
        name = f"shift={shift} constant_modulator={constant}"
        problems[name] = partial(asymmetric, dtype, shift, constant, balanced)
    return problems
