"""The exhaustive sweep: every logit that a half-precision type has, against the float64 twin."""

from typing import Any

import ml_dtypes
import numpy as np

from parity_tests.contract.port import Port
from parity_tests.truth import float64

from .tolerances import DTYPES, EPS, SMALLEST_NORMAL

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)


def worst_errors(port: Port, dtype: str, gamma: float, target: int) -> tuple[float, float]:
    """The worst error of the loss and of its gradient over all 65,536 logits, in eps; raise where
    one is NaN or inf and the other is not."""
    logits = np.arange(2**16, dtype=np.uint16).view(DTYPES[dtype])
    targets = np.full(logits.shape, target)
    with np.errstate(invalid="ignore", over="ignore"):
        exact = logits.astype(np.float64)
        true_value, true_slope = float64.hard_focal(exact, targets, 0.25, gamma)
    theirs = port.array(targets)

    def loss(z: Any) -> Any:
        return port.module.sigmoid_focal_loss(z, theirs, gamma=gamma)

    value = port.numpy(loss(port.array(logits)))
    slope = port.gradient(loss, logits)
    worst_value = _worst(value, true_value, dtype)
    worst_slope = _worst(slope, true_slope, dtype)
    return worst_value, worst_slope


def _worst(got: np.ndarray, truth: np.ndarray, dtype: str) -> float:
    assert got.dtype == DTYPES[dtype]
    got = got.astype(np.float64)
    finite = np.isfinite(truth)
    np.testing.assert_array_equal(got[~finite], truth[~finite])
    got = got[finite]
    truth = truth[finite]
    size = np.abs(truth)
    tiny = SMALLEST_NORMAL[dtype]
    largest = float(ml_dtypes.finfo(DTYPES[dtype]).max)
    assert size.max() <= largest, "no loss of these logits overflows"
    # float16 keeps its absolute precision below the smallest normal number. bfloat16 ends there
    # with float32, which hardware may flush to 0.
    flushed = (size <= tiny) & (got == 0) & (dtype == "bfloat16")
    unit = EPS[dtype] * np.maximum(size, tiny)
    error = np.abs(got - truth) / unit
    return float(error[~flushed].max())
