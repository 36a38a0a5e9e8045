"""Layer 6, parity: JAX against PyTorch directly, in batches, at random logits, targets, α, γ, masks
and weights.

The oracle's tolerance holds for each package, so their results are at most twice that apart.
"""

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.contract.exact import Draws
from parity_tests.contract.port import Port
from parity_tests.contract.suite import FULL
from parity_tests.contract.tolerances import (
    DTYPES,
    EPS,
    GRADIENT,
    PER_GAMMA,
    SIGMOID,
    SMALLEST_NORMAL,
    SOFTMAX,
    VALUE,
)
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.truth import oracle
from parity_tests.truth.jets import Jet

REDUCTIONS = ("none", "sum", "mean", "mean_positive")
# Few, because JAX compiles for each.
SHAPES = ((1, 1), (1, 3), (4, 2), (5, 6))
# Adding up at most 30 elements and dividing, in eps of the sum of their magnitudes.
REDUCED = 3.0


@st.composite
def batches(draw: st.DrawFn) -> tuple[Draws, tuple[int, int], dict[str, Any]]:
    draws = Draws(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from(SHAPES))
    # γ is a number of both dtypes, so that packages and oracle see the same.
    spread, gamma = draw(st.sampled_from([0.1, 1.0, 10.0, 50.0])), draw(st.floats(0, 5, width=32))
    return draws, shape, {"spread": spread, "gamma": gamma}


def run(
    port: Port, function: str, logits: np.ndarray, targets: np.ndarray, settings: dict[str, Any]
) -> Any:
    arrays = {k: port.array(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    loss = getattr(port.module, function)
    value = port.numpy(loss(port.array(logits), port.array(targets), **arrays))
    return value, port.gradient(lambda z: loss(z, port.array(targets), **arrays), logits)


def agree(function: str, logits: np.ndarray, targets: np.ndarray, settings: dict[str, Any]) -> None:
    """Values and gradients of both packages, each within its tolerance of the other's."""
    ours, theirs = (run(port, function, logits, targets, settings) for port in (JAX, TORCH))
    dtype, gamma = str(logits.dtype), float(np.max(settings["gamma"]))
    sizes = scales(function, logits.astype(float), targets, settings)
    for order, (a, b, size) in enumerate(zip(ours, theirs, sizes, strict=True)):
        assert a.dtype == b.dtype == logits.dtype
        assert a.shape == b.shape == size.shape
        units = SOFTMAX if function == "softmax_focal_loss" else SIGMOID[order] + PER_GAMMA * gamma
        reduced = REDUCED if settings["reduction"] != "none" else 0
        bad = ~(np.abs(a - b) <= 2 * (units + reduced) * EPS[dtype] * size + SMALLEST_NORMAL[dtype])
        assert not bad.any(), (
            f"{('value', 'gradient')[order]}: jax {a[bad]} torch {b[bad]} with {settings}"
        )


def scales(
    function: str, logits: np.ndarray, targets: np.ndarray, settings: dict[str, Any]
) -> list[np.ndarray]:
    """The sizes of the terms that the value and its gradient are sums of, in their shapes, from the
    oracle."""
    softmax = function == "softmax_focal_loss"
    keep, soft = np.ones(targets.shape if not softmax else len(logits), bool), targets
    if settings["where"] is not None:
        keep &= settings["where"]
    if softmax:
        if settings["ignore_index"] is not None:
            keep &= targets != settings["ignore_index"]
        classes = logits.shape[1]
        soft = (targets if targets.ndim == 2 else np.eye(classes)[targets]).astype(float)
        soft = (1 - settings["label_smoothing"]) * soft + settings["label_smoothing"] / classes
    value, slope = np.zeros(keep.shape), np.zeros(logits.shape)
    for index in zip(*np.nonzero(keep), strict=True):
        jet = truth(function, logits, soft, settings, index)
        value[index] = jet[()].scale
        keys = [f"logits{c}" for c in range(logits.shape[1])] if softmax else ["logits"]
        slope[index] = (
            [float(jet[(key,)].scale) for key in keys] if softmax else jet[("logits",)].scale
        )
    positives = keep if softmax else np.where(keep, targets, 0)
    counts = {"none": 1.0, "sum": 1.0, "mean": keep.sum(), "mean_positive": positives.sum()}
    divisor = max(1.0, float(counts[settings["reduction"]]))
    return [value if settings["reduction"] == "none" else value.sum() / divisor, slope / divisor]


def truth(
    function: str, logits: np.ndarray, targets: np.ndarray, settings: dict[str, Any], index: Any
) -> Jet:
    """The oracle at one element; it is the scale that is wanted, for which 30 digits are plenty."""
    arguments = {
        "logits": logits[index],
        "targets": targets[index],
        "alpha": settings["alpha"],
        "gamma": np.broadcast_to(settings["gamma"], logits.shape)[(*index, 0)[:2]],
        "weight": 1.0 if settings["weight"] is None else settings["weight"][index],
    }
    if function == "sigmoid_focal_loss":
        if arguments["alpha"] is not None:
            arguments["alpha"] = np.broadcast_to(arguments["alpha"], logits.shape)[index]
        arguments["soft_targets"] = settings["soft_targets"]
    plain = {
        k: x.tolist() if isinstance(x, np.ndarray | np.generic) else x for k, x in arguments.items()
    }
    with mpmath.workdps(30):
        return getattr(oracle, function)(**plain)


sigmoid_batches = given(
    batch=batches(),
    dtype=st.sampled_from(FULL),
    kind=st.sampled_from(["hard", "interpolate", "mixture"]),
)
softmax_batches = given(
    batch=batches(), dtype=st.sampled_from(FULL), kind=st.sampled_from(["ids", "probabilities"])
)


@sigmoid_batches
def test_sigmoid(batch: Any, dtype: str, kind: str) -> None:
    sigmoids_agree(batch, dtype, kind)


@pytest.mark.slow
@sigmoid_batches
def test_sigmoid_in_more_batches(batch: Any, dtype: str, kind: str) -> None:
    sigmoids_agree(batch, dtype, kind)


@softmax_batches
def test_softmax(batch: Any, dtype: str, kind: str) -> None:
    softmaxes_agree(batch, dtype, kind)


@pytest.mark.slow
@softmax_batches
def test_softmax_in_more_batches(batch: Any, dtype: str, kind: str) -> None:
    softmaxes_agree(batch, dtype, kind)


def sigmoids_agree(batch: Any, dtype: str, kind: str) -> None:
    draws, shape, drawn = batch
    logits = (draws.bell(shape) * drawn["spread"]).astype(DTYPES[dtype])
    targets = (
        draws.integers(0, 2, shape)
        if kind == "hard"
        else draws.uniform(shape=shape).astype(logits.dtype)
    )
    settings = {
        "alpha": [None, 0.25, draws.uniform(shape=shape[1]).astype(logits.dtype)][
            draws.integers(0, 3)
        ],
        "gamma": [drawn["gamma"], np.full((shape[0], 1), drawn["gamma"], logits.dtype)][
            draws.integers(0, 2)
        ],
        "soft_targets": "interpolate" if kind == "hard" else kind,
        "where": [None, draws.uniform(shape=shape) < 0.7][draws.integers(0, 2)],
        "weight": [None, draws.uniform(shape=shape).astype(logits.dtype)][draws.integers(0, 2)],
        "reduction": REDUCTIONS[draws.integers(0, 4)],
    }
    agree("sigmoid_focal_loss", logits, targets, settings)


def softmaxes_agree(batch: Any, dtype: str, kind: str) -> None:
    draws, shape, drawn = batch
    logits = (draws.bell(shape) * drawn["spread"]).astype(DTYPES[dtype])
    ids, soft = draws.integers(0, shape[1], shape[0]), draws.simplex(*shape)
    settings = {
        "alpha": [None, draws.uniform(shape=shape[1]).astype(logits.dtype)][draws.integers(0, 2)],
        "gamma": [drawn["gamma"], np.full((shape[0], 1), drawn["gamma"], logits.dtype)][
            draws.integers(0, 2)
        ],
        "axis": -1,
        "label_smoothing": [0.0, 0.1][draws.integers(0, 2)],
        "ignore_index": [None, 0][draws.integers(0, 2)] if kind == "ids" else None,
        "where": [None, draws.uniform(shape=shape[0]) < 0.7][draws.integers(0, 2)],
        "weight": [None, draws.uniform(shape=shape[0]).astype(logits.dtype)][draws.integers(0, 2)],
        "reduction": REDUCTIONS[draws.integers(0, 4)],
    }
    agree(
        "softmax_focal_loss", logits, ids if kind == "ids" else soft.astype(logits.dtype), settings
    )


def test_the_comparison_above_can_fail() -> None:
    """One package with γ + 10⁻⁵ is not in parity with the other."""
    logits, targets = np.array([[0.5, -1.0]]), np.array([[1, 0]])
    value, _ = run(JAX, "sigmoid_focal_loss", logits, targets, {"gamma": 2.0})
    other, _ = run(TORCH, "sigmoid_focal_loss", logits, targets, {"gamma": 2.00001})
    assert (np.abs(value - other) > 2 * (SIGMOID[VALUE] + 4) * EPS["float64"] * np.abs(value)).all()
    assert SIGMOID[GRADIENT] > SIGMOID[VALUE]
