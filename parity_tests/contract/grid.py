"""The points of the tests. They leave the textbook: every γ, both saturations, targets at and next
to the ends."""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np

from .exact import Draws, decade
from .problems import Problem
from .tolerances import DTYPES

GAMMAS = (0.0, 0.1, 0.5, 1.0, 1.5, 2.0, 2.7, 5.0)
ALPHAS = (None, 0.0, 0.25, 1.0)
TARGETS = (0.0, 1e-6, 0.3, 0.5, 1.0)
MAGNITUDES = tuple(decade(half / 2) for half in range(-8, 9))
LOGITS = (*(-m for m in reversed(MAGNITUDES)), -17.0, -1.5, 0.0, 0.7, 17.0, 80.0, *MAGNITUDES)
INFINITE = (-np.inf, np.inf)

Named = dict[str, Callable[[], Problem]]


def rounded(points: np.ndarray, dtype: str) -> np.ndarray:
    """The points as numbers of the dtype, so that port and oracle see the same."""
    return points.astype(DTYPES[dtype]).astype(np.float64)


def sigmoid_soft(dtype: str, soft_targets: str, alpha: float | None) -> Problem:
    """All variables at once, γ and targets as arrays."""
    alphas = () if alpha is None else (alpha,)
    rows = [
        (z, y, *alphas, gamma, 0.75) for z, y, gamma in itertools.product(LOGITS, TARGETS, GAMMAS)
    ]
    names = ("logits", "targets", *(("alpha",) if alphas else ()), "gamma", "weight")
    constants = {"soft_targets": soft_targets} | ({} if alphas else {"alpha": None})
    return Problem(
        "sigmoid_focal_loss", dtype, names, rounded(np.array(rows), dtype), constants=constants
    )


def sigmoid_hard(dtype: str, gamma: float, alpha: float | None) -> Problem:
    """Only logits vary, over the grid and 300 random ones; γ and α are numbers, known when
    tracing."""
    random = Draws(0).bell(300) * np.repeat((1, 5, 20), 100)
    rows = list(itertools.product((*LOGITS, *random.tolist()), (0, 1)))
    points = rounded(np.array([[z] for z, _ in rows]), dtype)
    ids = np.array([y for _, y in rows])
    return Problem(
        "sigmoid_focal_loss", dtype, ("logits",), points, ids, {"gamma": gamma, "alpha": alpha}
    )


def softmax_logits(dtype: str, classes: int) -> np.ndarray:
    """Rows from all but equal to saturated logits, each class ahead and behind, with ties and large
    offsets."""
    draws = Draws(classes)
    rows = [
        draws.bell(classes) * scale
        for scale in (1e-3, 0.1, 1.0, 3.0, 10.0, 30.0, 80.0)
        for _ in range(4)
    ]
    for margin in (-1e4, -100.0, -60.0, -17.0, 17.0, 20.0, 60.0, 100.0, 1e4):
        rows.append(np.append(draws.bell(classes - 1), margin))
    rows += [np.zeros(classes), np.full(classes, 3.0), draws.bell(classes) + 1000.0]
    return rounded(np.array(rows), dtype)


def softmax_hard(dtype: str, classes: int, gamma: float) -> Problem:
    """Only logits vary; every class is the target once."""
    rows = softmax_logits(dtype, classes)
    points, ids = np.repeat(rows, classes, axis=0), np.tile(np.arange(classes), len(rows))
    names = tuple(f"logits{c}" for c in range(classes))
    return Problem("softmax_focal_loss", dtype, names, points, ids, {"gamma": gamma})


def softmax_soft(dtype: str, classes: int) -> Problem:
    """All variables at once: logits, class probabilities, α per class, γ and weight."""
    rows = softmax_logits(dtype, classes)
    draws = Draws(classes + 1)
    points = []
    for row, gamma in zip(rows, itertools.cycle(GAMMAS)):
        one_hot, drawn = np.eye(classes)[draws.integers(0, classes)], draws.simplex(1, classes)[0]
        for y in (one_hot, np.full(classes, 1 / classes), drawn):
            points.append(np.concatenate([row, y, draws.uniform(0.1, 2.0, classes), [gamma, 0.7]]))
    names = [f"{stem}{c}" for stem in ("logits", "targets", "alpha") for c in range(classes)]
    return Problem(
        "softmax_focal_loss", dtype, (*names, "gamma", "weight"), rounded(np.array(points), dtype)
    )


def named_sigmoid_hard(dtype: str) -> Named:
    pairs = zip(GAMMAS, itertools.cycle(ALPHAS), strict=False)
    return {
        f"gamma={gamma} alpha={alpha}": partial(sigmoid_hard, dtype, gamma, alpha)
        for gamma, alpha in pairs
    }


def named_sigmoid_soft(dtype: str, soft_targets: str) -> Named:
    return {f"alpha={alpha}": partial(sigmoid_soft, dtype, soft_targets, alpha) for alpha in ALPHAS}


def named_softmax_hard(dtype: str) -> Named:
    pairs = [
        (gamma, classes) for gamma in GAMMAS for classes in ((1, 2, 5) if gamma == 2 else (2, 3))
    ]
    return {
        f"gamma={gamma} classes={classes}": partial(softmax_hard, dtype, classes, gamma)
        for gamma, classes in pairs
    }


def named_softmax_soft(dtype: str) -> Named:
    return {f"classes={classes}": partial(softmax_soft, dtype, classes) for classes in (1, 2, 3)}
