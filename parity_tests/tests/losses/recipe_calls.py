"""A recipe of a port, called with numpy arrays, and how near its results have to be."""

from typing import Any

import numpy as np
import pytest

from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS

# A logarithm or a quotient is off by a unit each, and there are not more than four of them.
ROUNDINGS = 4.0
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def recipe_of(port: Port, recipe: str, first: Any, *args: Any, **settings: Any) -> np.ndarray:
    function = getattr(port.module, recipe)
    return port.numpy(function(port.array(first), *args, **settings))


def require(results: Any, truth: np.ndarray, dtype: str, units: Any = ROUNDINGS) -> None:
    results = np.asarray(results, float)
    tiny = np.finfo(dtype).tiny
    size = np.abs(truth)
    relative = np.abs(results - truth) / size / EPS[dtype]
    # What is smaller than any normal number may be 0.
    error = np.where(size < tiny, np.abs(results) > tiny, relative)
    worst = np.max(error / units)
    assert worst <= 1, worst
