"""The points of the tests. They leave the textbook: every γ, both saturations, targets at and next
to the ends."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .exact import Draws, decade
from .problems import LINEAR, Problem, rounded

GAMMAS = (0.0, 0.1, 0.5, 1.0, 1.5, 2.0, 2.7, 5.0)
ALPHAS = (None, 0.0, 0.25, 1.0)
TARGETS = (0.0, 1e-6, 0.3, 0.5, 1.0)
MAGNITUDES = tuple(decade(half / 2) for half in range(-8, 9))
NEGATIVE = tuple(-magnitude for magnitude in reversed(MAGNITUDES))
LOGITS = (*NEGATIVE, -17.0, -1.5, 0.0, 0.7, 17.0, 80.0, *MAGNITUDES)
INFINITE = (-np.inf, np.inf)

# A linear layer with fewer features than classes, and batches that one setting each is asked for.
ROWS, DEPTH, CLASSES = 4, 2, 3
BATCHES = 3
LINEAR_SETTINGS: tuple[dict[str, Any], ...] = (
    {"gamma": 2.0},
    {"gamma": 0.0, "ignore_index": -100},
    {"gamma": 0.5, "label_smoothing": 0.125},
    {"gamma": 5.0, "alpha": [0.5, 2.0, 0.25]},
    {"gamma": 1.5, "where": [True, False, True, True], "weight": [0.5, 2.0, 1.0, 0.0]},
    {"gamma": 2.0, "softcap": 4.0},
    {"gamma": 1.0, "reduction": "sum"},
    {"gamma": 2.0, "ignore_index": 1, "label_smoothing": 0.25, "alpha": [2.0, 1.0, 0.5]},
    {"gamma": 2.0, "z_loss": 0.25},
    {"gamma": 0.5, "z_loss": 0.5, "softcap": 4.0, "where": [True, True, False, True]},
)

Named = dict[str, Callable[[], Problem]]


def sigmoid_soft(dtype: str, soft_targets: str, alpha: float | None) -> Problem:
    """All variables at once, γ and targets as arrays."""
    rows = list(itertools.product(LOGITS, TARGETS, GAMMAS))
    z, y, gamma = np.array(rows).T
    weight = np.full(len(z), 0.75)
    if alpha is None:
        arguments = {"logits": z, "targets": y, "gamma": gamma, "weight": weight}
        return Problem.sigmoid(dtype, arguments, soft_targets=soft_targets, alpha=None)
    alphas = np.full(len(z), alpha)
    arguments = {"logits": z, "targets": y, "alpha": alphas, "gamma": gamma, "weight": weight}
    return Problem.sigmoid(dtype, arguments, soft_targets=soft_targets)


def sigmoid_hard(dtype: str, gamma: float, alpha: float | None) -> Problem:
    """Only logits vary, over the grid and 300 random ones; γ and α are numbers, known when
    tracing."""
    random = Draws(0).bell(300) * np.repeat((1, 5, 20), 100)
    each = np.concatenate([LOGITS, random])
    logits = np.repeat(each, 2)
    ids = np.tile((0, 1), len(each))
    return Problem.sigmoid(dtype, {"logits": logits}, ids, gamma=gamma, alpha=alpha)


def softmax_logits(dtype: str, classes: int) -> np.ndarray:
    """Rows from all but equal to saturated logits, each class ahead and behind, with ties and large
    offsets."""
    draws = Draws(classes)
    scales = np.repeat((1e-3, 0.1, 1.0, 3.0, 10.0, 30.0, 80.0), 4)
    rows = [draws.bell(classes) * scale for scale in scales.tolist()]
    for margin in (-1e4, -100.0, -60.0, -17.0, 17.0, 20.0, 60.0, 100.0, 1e4):
        rows.append(np.append(draws.bell(classes - 1), margin))
    rows += [np.zeros(classes), np.full(classes, 3.0), draws.bell(classes) + 1000.0]
    return rounded(np.array(rows), dtype)


def softmax_hard(dtype: str, classes: int, gamma: float) -> Problem:
    """Only logits vary; every class is the target once."""
    rows = softmax_logits(dtype, classes)
    logits = np.repeat(rows, classes, axis=0)
    ids = np.tile(np.arange(classes), len(rows))
    return Problem.softmax(dtype, {"logits": logits}, ids, gamma=gamma)


def softmax_soft(dtype: str, classes: int) -> Problem:
    """All variables at once: logits, class probabilities, α per class, γ and weight."""
    rows = softmax_logits(dtype, classes)
    draws = Draws(classes + 1)
    targets, alphas = [], []
    for _ in rows:
        one_hot = np.eye(classes)[draws.integers(0, classes)]
        drawn = draws.simplex(1, classes)[0]
        targets += [one_hot, np.full(classes, 1 / classes), drawn]
        alphas.append(draws.uniform(0.1, 2.0, (3, classes)))
    gammas = np.resize(GAMMAS, len(rows))
    arguments = {
        "logits": np.repeat(rows, 3, axis=0),
        "targets": np.array(targets),
        "alpha": np.concatenate(alphas),
        "gamma": np.repeat(gammas, 3),
        "weight": np.full(len(targets), 0.7),
    }
    return Problem.softmax(dtype, arguments)


def linear(dtype: str) -> list[Problem]:
    """Batches of a linear layer, each array flat: row by row, and the kernel as (D, C)."""
    draws = Draws(17)
    problems: list[Problem] = []
    for settings in LINEAR_SETTINGS:
        arguments = {
            "features": draws.bell((BATCHES, ROWS * DEPTH)) * 2,
            "kernel": draws.bell((BATCHES, DEPTH * CLASSES)),
            "bias": draws.bell((BATCHES, CLASSES)),
        }
        targets = draws.integers(0, CLASSES, ROWS).tolist()
        if settings.get("ignore_index", 0) < 0:
            targets[1] = settings["ignore_index"]
        constants = {"targets": targets, "reduction": "mean"} | settings
        problems.append(Problem.of(LINEAR, dtype, arguments, constants=constants))
    return problems


def named_sigmoid_hard(dtype: str) -> Named:
    problems: Named = {}
    for gamma, alpha in zip(GAMMAS, itertools.cycle(ALPHAS), strict=False):
        problems[f"gamma={gamma} alpha={alpha}"] = partial(sigmoid_hard, dtype, gamma, alpha)
    return problems


def named_sigmoid_soft(dtype: str, soft_targets: str) -> Named:
    return {f"alpha={alpha}": partial(sigmoid_soft, dtype, soft_targets, alpha) for alpha in ALPHAS}


def named_softmax_hard(dtype: str) -> Named:
    problems: Named = {}
    for gamma in GAMMAS:
        for classes in (1, 2, 5) if gamma == 2 else (2, 3):
            name = f"gamma={gamma} classes={classes}"
            problems[name] = partial(softmax_hard, dtype, classes, gamma)
    return problems


def named_softmax_soft(dtype: str) -> Named:
    return {f"classes={classes}": partial(softmax_soft, dtype, classes) for classes in (1, 2, 3)}
