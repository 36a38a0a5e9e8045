"""The exhaustive sweep: every logit that a half-precision type has, against the float64 twin."""

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
    with np.errstate(invalid="ignore", over="ignore"):
        truths = float64.hard_focal(
            logits.astype(np.float64), np.full(logits.shape, target), 0.25, gamma
        )
    targets, loss = port.array(np.full(logits.shape, target)), port.module.sigmoid_focal_loss
    value = port.numpy(loss(port.array(logits), targets, gamma=gamma))
    slope = port.gradient(lambda z: loss(z, targets, gamma=gamma), logits)
    return _worst(value, truths[0], dtype), _worst(slope, truths[1], dtype)


def _worst(got: np.ndarray, truth: np.ndarray, dtype: str) -> float:
    assert got.dtype == DTYPES[dtype]
    tiny, largest = SMALLEST_NORMAL[dtype], float(ml_dtypes.finfo(DTYPES[dtype]).max)
    got, special = got.astype(np.float64), ~np.isfinite(truth)
    np.testing.assert_array_equal(got[special], truth[special])
    assert np.abs(truth[~special]).max() <= largest, "no loss of these logits overflows"
    got, truth = got[~special], truth[~special]
    # float16 keeps its absolute precision below the smallest normal number. bfloat16 ends there
    # with float32, which hardware may flush to 0.
    flushed = (np.abs(truth) <= tiny) & (got == 0) & (dtype == "bfloat16")
    error = np.abs(got - truth) / (EPS[dtype] * np.maximum(np.abs(truth), tiny))
    return float(error[~flushed].max())
