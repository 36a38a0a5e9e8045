"""While JAX looks for NaN, those that a mask leaves out are no errors, whatever they are in: eager
and compiled, in value and gradient."""

from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

import focal_jax
import focal_jax.losses
from parity_tests.contract.exact import Draws

N, H, C, D = 3, 2, 3, 4
DRAWS = Draws(0)
SCORES, FEATURES, KERNEL = DRAWS.bell((N, H, C)), DRAWS.bell((N, H, D)), DRAWS.bell((D, C))
IDS, BITS = DRAWS.integers(0, C, (N, H)), DRAWS.integers(0, 2, (N, H, C))
# Of two rows of each sample: a mask that repeats them, and one that does not.
SAMPLES = np.array([[True], [False], [True]])
ROWS = np.array([[True, True], [False, True], [True, False]])
SIGMOID, SOFTMAX = focal_jax.sigmoid_focal_loss, focal_jax.softmax_focal_loss


class Case(NamedTuple):
    """A loss, its first array, all others, and those that may be NaN where they are left out."""

    loss: Callable[..., Array]
    first: np.ndarray
    targets: np.ndarray
    others: dict[str, np.ndarray]
    settings: dict[str, Any]


HALVES, WEIGHT, GAMMA = np.full((N, H, C), 0.5), np.full((N, H), 1.5), np.full((N, H, 1), 1.5)
PER_LOGIT = {"weight": np.full((N, H, C), 1.5), "gamma": HALVES, "alpha": HALVES}
CASES = {
    "sigmoid": Case(SIGMOID, SCORES, BITS, PER_LOGIT, {}),
    "sigmoid soft": Case(SIGMOID, SCORES, HALVES, PER_LOGIT, {}),
    "mixture": Case(SIGMOID, SCORES, HALVES, PER_LOGIT, {"soft_targets": "mixture"}),
    "softmax": Case(SOFTMAX, SCORES, IDS, {"weight": WEIGHT, "gamma": GAMMA}, {}),
    "softmax smooth": Case(SOFTMAX, SCORES, IDS, {"gamma": HALVES}, {"label_smoothing": 0.1}),
    "softmax soft": Case(SOFTMAX, SCORES, HALVES, {"weight": WEIGHT, "gamma": GAMMA}, {}),
    "linear": Case(
        lambda x, t, **options: focal_jax.linear_softmax_focal_loss(
            x, jnp.asarray(KERNEL, x.dtype), t, **options
        ),
        *(FEATURES, IDS, {"weight": WEIGHT, "gamma": GAMMA}, {"chunk_size": 2}),
    ),
}


def of_case(case: Case, mask: np.ndarray, dtype: str, outside: float) -> Callable[[], Any]:
    """The loss and its gradient, where what the mask leaves out is `outside`."""

    def array(x: np.ndarray) -> Array:
        if x.dtype.kind != "f":
            return jnp.asarray(x)
        kept = np.broadcast_to(mask.reshape(*mask.shape, *[1] * (x.ndim - 2)), x.shape)
        return jnp.asarray(np.where(kept, x, outside), dtype)

    where = mask[..., None] if case.loss is SIGMOID else mask
    others = {name: array(x) for name, x in case.others.items()}
    first, targets = array(case.first), array(case.targets)
    by_ids: dict[str, Any] = {"where": where}
    if outside != outside and case.targets is IDS:
        # The same rows by their ids.
        by_ids, targets = {"ignore_index": -1}, jnp.where(mask, targets, -1)

    def mean(x: Array) -> Array:
        return case.loss(x, targets, **others, **by_ids, **case.settings, reduction="mean")

    return lambda: jax.value_and_grad(mean)(first)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("mask", [SAMPLES, ROWS], ids=["samples", "rows"])
@pytest.mark.parametrize("title", CASES)
def test_nan_that_is_left_out(title: str, mask: np.ndarray, dtype: str) -> None:
    case = CASES[title]
    expected, slope = of_case(case, mask, dtype, 0.5)()
    with_nan = of_case(case, mask, dtype, np.nan)
    with jax.debug_nans(True):
        result, result_slope = with_nan()
    # The same programs, or with a mask in place of ids.
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    rtol = 2**-7 if dtype == "bfloat16" else 1e-5
    np.testing.assert_allclose(result_slope.astype(float), slope.astype(float), rtol=rtol)
    kept = np.broadcast_to(mask[..., None], result_slope.shape)
    assert not np.asarray(result_slope)[~kept].any()


def test_arrays_of_numpy() -> None:
    scores: Any = np.where(ROWS[..., None], SCORES, np.nan).astype(np.float32)
    bits: Any = BITS
    where: Any = ROWS[..., None]
    with jax.debug_nans(True):
        result = SIGMOID(scores, bits, where=where, weight=scores, reduction="sum")
    right: Any = np.where(where, scores, 0)
    expected = SIGMOID(right, bits, where=where, weight=right, reduction="sum")
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_without_the_mask_it_is_found() -> None:
    """That the test above can fail."""
    with_nan = of_case(CASES["softmax soft"], ROWS, "bfloat16", np.nan)
    with (
        mock.patch.object(focal_jax.losses, "cast_inside", lambda _, x, dtype: x.astype(dtype)),
        jax.debug_nans(True),
        pytest.raises(FloatingPointError),
    ):
        with_nan()
