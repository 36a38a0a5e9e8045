"""Layer 6, parity: JAX against PyTorch directly, in batches, at random logits, targets, α, γ, masks and weights.

The oracle's tolerance holds for each package, so their results are at most twice that apart. Its scale is taken from
float64 here, where it is enough to know it roughly.
"""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from .ports import JAX, TORCH, Port
from .suite import FULL
from .tolerances import DTYPES, EPS, GRADIENT, SIGMOID, SMALLEST_NORMAL, SOFTMAX, VALUE

REDUCTIONS = ("none", "sum", "mean", "mean_positive")


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.random.Generator, tuple[int, int], dict[str, Any]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 6)))
    return rng, shape, {"spread": draw(st.sampled_from([0.1, 1.0, 10.0, 50.0])), "gamma": draw(st.floats(0, 5))}


def run(port: Port, function: str, logits: np.ndarray, targets: np.ndarray, settings: dict[str, Any]) -> Any:
    arrays = {k: port.array(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    loss = getattr(port.module, function)
    value = port.numpy(loss(port.array(logits), port.array(targets), **arrays))
    return value, port.gradient(lambda z: loss(z, port.array(targets), **arrays), logits)


def agree(function: str, logits: np.ndarray, targets: np.ndarray, settings: dict[str, Any], gamma: float) -> None:
    """Values and gradients of both packages, each within its tolerance of the other's."""
    ours, theirs = (run(port, function, logits, targets, settings) for port in (JAX, TORCH))
    dtype, soft = str(logits.dtype), targets.dtype.kind == "f"
    eps, tiny = EPS[dtype], SMALLEST_NORMAL[dtype]
    softmax = function == "softmax_focal_loss"
    for order, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a.dtype == b.dtype == logits.dtype
        # A margin of a softmax moves with the rounding of its logits.
        blur = np.max(np.abs(logits), initial=1) * (gamma + 2) if softmax else 0
        scale = np.maximum(np.abs(a), np.abs(b))
        # Losses are sums of one sign. A gradient of soft targets is not: its terms cancel within a row.
        if order and (soft or settings.get("label_smoothing")):
            scale = np.max(scale, axis=-1, keepdims=True, initial=0)
            blur = np.max(np.abs(logits), initial=1) * (gamma + 2)
        units = SOFTMAX if softmax or settings["reduction"] != "none" else SIGMOID[order] + 2 * gamma
        bad = ~(np.abs(a - b) <= 2 * units * eps * (1 + blur) * scale + tiny)
        assert not bad.any(), f"{('value', 'gradient')[order]}: jax {a[bad]} torch {b[bad]} with {settings}"


@given(batch=batches(), dtype=st.sampled_from(FULL), kind=st.sampled_from(["hard", "interpolate", "mixture"]))
def test_sigmoid(batch: Any, dtype: str, kind: str) -> None:
    rng, shape, drawn = batch
    logits = (rng.normal(size=shape) * drawn["spread"]).astype(DTYPES[dtype])
    targets = rng.integers(0, 2, shape) if kind == "hard" else rng.random(shape).astype(logits.dtype)
    settings = {
        "alpha": [None, 0.25, rng.random(shape[1]).astype(logits.dtype)][rng.integers(3)],
        "gamma": [drawn["gamma"], np.full((shape[0], 1), drawn["gamma"], logits.dtype)][rng.integers(2)],
        "soft_targets": "interpolate" if kind == "hard" else kind,
        "where": [None, rng.random(shape) < 0.7][rng.integers(2)],
        "weight": [None, rng.random(shape).astype(logits.dtype)][rng.integers(2)],
        "reduction": REDUCTIONS[rng.integers(4)],
    }
    agree("sigmoid_focal_loss", logits, targets, settings, drawn["gamma"])


@given(batch=batches(), dtype=st.sampled_from(FULL), kind=st.sampled_from(["ids", "probabilities"]))
def test_softmax(batch: Any, dtype: str, kind: str) -> None:
    rng, shape, drawn = batch
    logits = (rng.normal(size=shape) * drawn["spread"]).astype(DTYPES[dtype])
    ids, soft = rng.integers(0, shape[1], shape[0]), rng.dirichlet(np.ones(shape[1]), shape[0])
    settings = {
        "alpha": [None, rng.random(shape[1]).astype(logits.dtype)][rng.integers(2)],
        "gamma": [drawn["gamma"], np.full((shape[0], 1), drawn["gamma"], logits.dtype)][rng.integers(2)],
        "axis": -1,
        "label_smoothing": [0.0, 0.1][rng.integers(2)],
        "ignore_index": [None, 0][rng.integers(2)] if kind == "ids" else None,
        "where": [None, rng.random(shape[0]) < 0.7][rng.integers(2)],
        "weight": [None, rng.random(shape[0]).astype(logits.dtype)][rng.integers(2)],
        "reduction": REDUCTIONS[rng.integers(4)],
    }
    agree("softmax_focal_loss", logits, ids if kind == "ids" else soft.astype(logits.dtype), settings, drawn["gamma"])


def test_the_comparison_above_can_fail() -> None:
    """One package with γ + 10⁻⁵ is not in parity with the other."""
    logits, targets = np.array([[0.5, -1.0]]), np.array([[1, 0]])
    value, _ = run(JAX, "sigmoid_focal_loss", logits, targets, {"gamma": 2.0})
    other, _ = run(TORCH, "sigmoid_focal_loss", logits, targets, {"gamma": 2.00001})
    assert (np.abs(value - other) > 2 * (SIGMOID[VALUE] + 4) * EPS["float64"] * np.abs(value)).all()
    assert SIGMOID[GRADIENT] > SIGMOID[VALUE]
