"""What the recipes say of bad arguments."""

import re
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import focal_jax
from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX
from parity_tests.tests.arguments import argument
from parity_tests.tests.parametrize import both_packages


class BadCall(NamedTuple):
    recipe: str
    first: Any
    settings: dict[str, Any]
    error: type[Exception]
    message: str


ERRORS: list[BadCall] = []


def bad(
    recipe: str, first: Any, message: str, error: type[Exception] = ValueError, **settings: Any
) -> None:
    ERRORS.append(BadCall(recipe, first, settings, error, message))


NO_BIAS = "pi=...): expected a number in (0, 1), got 1.0. 0 and 1 have no finite bias."
bad("prior_bias", 1.0, NO_BIAS)
bad("prior_bias", np.array([0.5, 0.0]), "pi=...): expected values in (0, 1), got 0.0 at (1,).")
bad("prior_bias", "a", "pi=...): expected a number in (0, 1), got str.", TypeError)
COUNTS = np.array([3, 1])
NO_COUNT = "counts=...): expected values finite and at least 0"
bad("alpha_from_counts", np.array([3, -1]), NO_COUNT)
bad("alpha_from_counts", np.array([3, np.inf]), NO_COUNT)
bad("alpha_from_counts", np.ones((2, 2)), "counts=...): expected shape (C,)")
bad("alpha_from_counts", COUNTS, "beta=...): expected a number in [0, 1], got 1.5", beta=1.5)
P_T = np.array([0.5])
NEGATIVE = "below=...): expected a number finite and at least 0"
bad("gamma_flsd", np.array([1.5]), "p_t=...): expected values in [0, 1], got 1.5 at (0,).")
bad("gamma_flsd", P_T, NEGATIVE, below=-1.0)
ROWS, ROW = np.zeros((2, 3)), np.zeros(2)
NO_FLOATS = "logits=...): expected floating-point numbers, got int64"
bad("posterior_from_focal", ROWS, "axis=...): expected an axis of logits", axis=2)
bad("posterior_from_focal", ROW, "gamma=...): expected a number finite and at", gamma=-1.0)
bad("posterior_from_focal", np.zeros(2, int), NO_FLOATS, TypeError)
BETWEEN = np.array([0.5, 3.5])
NO_BIN = "values=...): expected values in [0, 3], got 3.5 at (1,). The last bin is C − 1"
NO_INTEGER = "classes=...): expected an integer, got float"
bad("two_hot", BETWEEN, NO_BIN, classes=4)
bad("two_hot", -BETWEEN, "values=...): expected values in [0, 3], got -0.5 at (0,).", classes=4)
bad("two_hot", BETWEEN, "classes=...): expected at least 1, got 0.", classes=0)
bad("two_hot", BETWEEN, NO_INTEGER, TypeError, classes=4.0)
bad("two_hot", np.array([1]), "values=...): expected floating-point", TypeError, classes=4)


@both_packages
@pytest.mark.parametrize(("name", "first", "settings", "error", "message"), ERRORS)
def test_errors(
    port: Port, name: str, first: Any, settings: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(f"{name}({message}")):
        getattr(port.module, name)(argument(port, first), **settings)


def test_numpy_arrays_are_arrays_in_jax() -> None:
    # A type checker would have it an Array, which is what it becomes.
    half: Any = np.array([0.5])
    bias = focal_jax.prior_bias(half)
    assert isinstance(bias, jax.Array)
    assert JAX.numpy(bias) == 0
