"""The golden vectors of what surrounds the loss: both packages have their numbers, and
wrong recipes have not."""

from typing import Any

import numpy as np
import pytest
import torch

import focal_torch
from parity_tests.contract import golden
from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import FLOOR, RECIPE, RECIPES
from parity_tests.ports.packages import TORCH
from parity_tests.tests.parametrize import both_packages
from parity_tests.truth.jets import Jet, Term, column

from .recipe_calls import each_dtype, recipe_of

# The names of what follows the first argument, where it is not γ.
FURTHER = {
    "alpha_from_counts": ["beta"],
    "gamma_flsd": ["threshold", "below", "above"],
    "two_hot": ["classes"],
}


def answers(port: Port, recipe: str, values: dict[str, float], dtype: str) -> np.ndarray:
    """What a package says of one sample of the vectors: numbered arguments are an array, in the
    dtype."""
    many: list[float] = []
    rest: list[float] = []
    for name, x in values.items():
        to = many if name[-1].isdigit() else rest
        to.append(x)
    first = many or rest.pop(0)
    names = FURTHER.get(recipe, ["gamma"])
    settings: dict[str, Any] = dict(zip(names, rest, strict=False))
    if many and recipe == "posterior_from_focal":
        settings["axis"] = 0
    if "classes" in settings:
        settings["classes"] = int(settings["classes"])
    results = recipe_of(port, recipe, np.array(first, dtype), **settings)
    return np.atleast_1d(results).astype(float)


def terms_of(recipe: str, jet: Jet, count: int) -> list[Term]:
    """Those of bins that have nothing are not in the vectors."""
    if recipe != "two_hot":
        return list(jet.values())
    return [jet[(column("targets", k),)] for k in range(count)]


@both_packages
@each_dtype
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_golden_vectors(port: Port, recipe: str, dtype: str) -> None:
    for problem, jets in golden.read(recipe, dtype):
        for point, jet in zip(problem.points.tolist(), jets, strict=True):
            values = dict(zip(problem.names, point, strict=True))
            results = answers(port, recipe, values, dtype)
            terms = terms_of(recipe, jet, len(results))
            for result, term in zip(results.tolist(), terms, strict=True):
                message = f"{recipe}({values}) in {dtype}: {result} for {term.value}"
                if not term.scale:
                    assert result == 0, message
                    continue
                error = error_in_eps(result, term, dtype, FLOOR[dtype][0])
                assert error <= RECIPE, message


def wrong_prior_bias(pi: np.ndarray) -> np.ndarray:
    return np.log(pi)


def wrong_alpha_from_counts(counts: np.ndarray, beta: float) -> np.ndarray:
    return 1 / counts / np.sum(1 / counts)


def wrong_gamma_flsd(p_t: np.ndarray, threshold: float, below: float, above: float) -> np.ndarray:
    return np.where(p_t <= threshold, below, above)


def wrong_two_hot(values: np.ndarray, classes: int) -> np.ndarray:
    """The last bin has half of what is there, as where targets are clamped below it."""
    bins = np.arange(classes)
    return np.maximum(0, 1 - np.abs(np.minimum(values, classes - 1.5) - bins))


def wrong_posterior(z: np.ndarray, gamma: float, axis: int | None = None) -> np.ndarray:
    return 1 / (1 + np.exp(-z)) if axis is None else z


@pytest.mark.parametrize(
    ("recipe", "wrong"),
    [
        ("prior_bias", wrong_prior_bias),
        ("alpha_from_counts", wrong_alpha_from_counts),
        ("gamma_flsd", wrong_gamma_flsd),
        ("posterior_from_focal", wrong_posterior),
        ("two_hot", wrong_two_hot),
    ],
)
def test_the_golden_vectors_reject_what_is_wrong(
    recipe: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(x: torch.Tensor, **settings: Any) -> torch.Tensor:
        return torch.as_tensor(wrong(np.asarray(x), **settings))

    monkeypatch.setattr(focal_torch, recipe, replaced)
    with pytest.raises(AssertionError, match=recipe):
        test_the_golden_vectors(TORCH, recipe, "float64")
