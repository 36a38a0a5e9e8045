"""The seeded samples at which recipes are compared with their oracle."""

import numpy as np

from .exact import Draws
from .problems import Arguments, Problem

GAMMAS = (0, 0.5, 1, 2, 5)
SCALES = np.resize([0.1, 1.0, 8.0, 30.0], 40)


def samples(dtype: str) -> dict[str, list[Problem]]:
    """Recipe -> seeded samples in the numbers that the dtype has."""
    draws = Draws(0)
    # Each recipe goes on with the random numbers where the one before it stopped.
    recipes = {
        "prior_bias": [_priors(draws)],
        "alpha_from_counts": [_counts(draws)],
        "gamma_flsd": [_confidences(draws)],
        "posterior_from_focal": [_logits(draws), _rows(draws)],
        "two_hot": [_between_bins(draws, classes) for classes in (2, 6)],
    }
    problems: dict[str, list[Problem]] = {}
    for recipe, group in recipes.items():
        problems[recipe] = [Problem.of(recipe, dtype, arguments) for arguments in group]
    return problems


def _priors(draws: Draws) -> Arguments:
    tail = draws.decades(-7, -1, 12)
    ends = np.array([1e-30, 0.01, 0.4999, 0.5001])
    middle = draws.uniform(0.1, 0.9, 12)
    return {"pi": np.concatenate([ends, tail, 1 - tail, middle])}


def _counts(draws: Draws) -> Arguments:
    counts = np.floor(draws.decades(0, 7, (40, 4)))
    betas = np.resize([0.0, 0.5, 0.99, 0.9999, 1.0], 40)
    return {"counts": counts, "beta": betas}


def _confidences(draws: Draws) -> Arguments:
    p_t = np.concatenate([[0.0, 0.2, 1.0], draws.uniform(0, 1, 13)])
    return {
        "p_t": p_t,
        "threshold": np.resize([0.2, 0.2, 0.5], 16),
        "below": np.resize([5.0, 5.0, 2.7], 16),
        "above": np.resize([3.0, 3.0, 0.1], 16),
    }


def _logits(draws: Draws) -> Arguments:
    return {"logits": draws.bell(40) * SCALES, "gamma": draws.choice(GAMMAS, 40)}


def _between_bins(draws: Draws, classes: int) -> Arguments:
    """The bins themselves, and what is between them."""
    bins = np.arange(classes, dtype=float)
    values = np.concatenate([bins, draws.uniform(0, classes - 1, 8)])
    return {"values": values, "classes": np.full(len(values), classes)}


def _rows(draws: Draws) -> Arguments:
    """Logits of three classes."""
    return {"logits": draws.bell((40, 3)) * SCALES[:, None], "gamma": draws.choice(GAMMAS, 40)}
