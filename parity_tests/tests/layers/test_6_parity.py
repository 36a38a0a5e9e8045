"""Layer 6, parity: JAX against PyTorch directly, in batches, at random logits, targets, α, γ, masks
and weights.

The oracle's tolerance holds for each package, so their results are at most twice that apart.
"""

from typing import Any, NamedTuple

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
    SMALLEST_NORMAL,
    VALUE,
)
from parity_tests.contract.tolerances import SIGMOID as SIGMOID_UNITS
from parity_tests.contract.tolerances import SOFTMAX as SOFTMAX_UNITS
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.truth import oracle
from parity_tests.truth.jets import Jet

from .calls import SIGMOID, SOFTMAX, loss_of

Settings = dict[str, Any]
REDUCTIONS = ("none", "sum", "mean", "mean_positive")
# Few, because JAX compiles for each.
SHAPES = ((1, 1), (1, 3), (4, 2), (5, 6))
# Adding up at most 30 elements and dividing, in eps of the sum of their magnitudes.
REDUCED = 3.0


class Batch(NamedTuple):
    """What a batch is drawn with. The factor of its logits makes them easy or saturated."""

    draws: Draws
    shape: tuple[int, int]
    spread: float
    gamma: float

    def logits(self, dtype: str) -> np.ndarray:
        wide = self.draws.bell(self.shape) * self.spread
        return wide.astype(DTYPES[dtype])

    def one_of(self, *options: Any) -> Any:
        return options[self.draws.integers(0, len(options))]

    def uniform(self, shape: int | tuple[int, int], dtype: str) -> np.ndarray:
        return self.draws.uniform(shape=shape).astype(DTYPES[dtype])

    def gammas(self, dtype: str) -> Any:
        """One number, or the same for each row."""
        rows, _ = self.shape
        per_row = np.full((rows, 1), self.gamma, DTYPES[dtype])
        return self.one_of(self.gamma, per_row)

    def mask(self, shape: int | tuple[int, int]) -> np.ndarray | None:
        return self.one_of(None, self.draws.uniform(shape=shape) < 0.7)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    draws = Draws(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from(SHAPES))
    spread = draw(st.sampled_from([0.1, 1.0, 10.0, 50.0]))
    # γ is a number of both dtypes, so that packages and oracle see the same.
    gamma = draw(st.floats(0, 5, width=32))
    return Batch(draws, shape, spread, gamma)


def run(
    port: Port, function: str, logits: np.ndarray, targets: np.ndarray, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """The value and its gradient."""
    loss = loss_of(port, function, targets, settings)
    value = port.numpy(loss(port.array(logits)))
    return value, port.gradient(loss, logits)


def agree(function: str, logits: np.ndarray, targets: np.ndarray, settings: Settings) -> None:
    """Values and gradients of both packages, each within its tolerance of the other's."""
    ours = run(JAX, function, logits, targets, settings)
    theirs = run(TORCH, function, logits, targets, settings)
    dtype = str(logits.dtype)
    sizes = scales(function, logits.astype(float), targets, settings)
    for order, (a, b, size) in enumerate(zip(ours, theirs, sizes, strict=True)):
        assert a.dtype == b.dtype == logits.dtype
        assert a.shape == b.shape == size.shape
        of_each = units(function, order, settings) * EPS[dtype] * size
        allowed = 2 * of_each + SMALLEST_NORMAL[dtype]
        # Not `error > allowed`, which NaN would pass.
        bad = ~(np.abs(a - b) <= allowed)
        what = ("value", "gradient")[order]
        assert not bad.any(), f"{what}: jax {a[bad]} torch {b[bad]} with {settings}"


def units(function: str, order: int, settings: Settings) -> float:
    """What each package may be off by, in eps."""
    largest_gamma = float(np.max(settings["gamma"]))
    single = SIGMOID_UNITS[order] + PER_GAMMA * largest_gamma
    if function == SOFTMAX:
        single = SOFTMAX_UNITS
    if settings["reduction"] == "none":
        return single
    return single + REDUCED


def scales(
    function: str, logits: np.ndarray, targets: np.ndarray, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """The sizes of the terms that the value and its gradient are sums of, in their shapes, from the
    oracle."""
    kept = kept_elements(function, targets, settings)
    positives = kept if function == SOFTMAX else np.where(kept, targets, 0)
    if function == SOFTMAX:
        targets = smoothed(targets, logits.shape[1], settings["label_smoothing"])
    value = np.zeros(kept.shape)
    slope = np.zeros(logits.shape)
    names = [f"logits{c}" for c in range(logits.shape[1])]
    for index in zip(*np.nonzero(kept), strict=True):
        jet = truth(function, logits, targets, settings, index)
        value[index] = jet[()].scale
        if function == SIGMOID:
            slope[index] = jet[("logits",)].scale
        else:
            slope[index] = [float(jet[(name,)].scale) for name in names]
    if settings["reduction"] == "none":
        return value, slope
    counts = {"sum": 1.0, "mean": kept.sum(), "mean_positive": positives.sum()}
    divisor = max(1.0, float(counts[settings["reduction"]]))
    return value.sum() / divisor, slope / divisor


def kept_elements(function: str, targets: np.ndarray, settings: Settings) -> np.ndarray:
    """Which elements of the unreduced loss count."""
    shape = targets.shape if function == SIGMOID else len(targets)
    kept = np.ones(shape, bool)
    if settings["where"] is not None:
        kept &= settings["where"]
    if settings.get("ignore_index") is not None:
        kept &= targets != settings["ignore_index"]
    return kept


def smoothed(targets: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
    """Class probabilities of ids or of probabilities, mixed with equal ones."""
    probabilities = targets if targets.ndim == 2 else np.eye(classes)[targets]
    return (1 - smoothing) * probabilities.astype(float) + smoothing / classes


def truth(
    function: str, logits: np.ndarray, targets: np.ndarray, settings: Settings, index: Any
) -> Jet:
    """The oracle at one element; it is the scale that is wanted, for which 30 digits are plenty."""
    arguments = {"logits": logits[index], "targets": targets[index], "weight": 1.0}
    if settings["weight"] is not None:
        arguments["weight"] = settings["weight"][index]
    gamma = np.broadcast_to(settings["gamma"], logits.shape)
    # A row of a softmax has one γ, that of its first class.
    arguments["gamma"] = gamma[(*index, 0)[:2]]
    arguments["alpha"] = settings["alpha"]
    if function == SIGMOID:
        arguments["soft_targets"] = settings["soft_targets"]
        if settings["alpha"] is not None:
            arguments["alpha"] = np.broadcast_to(settings["alpha"], logits.shape)[index]
    numbers = {name: plain(x) for name, x in arguments.items()}
    with mpmath.workdps(30):
        return getattr(oracle, function)(**numbers)


def plain(x: Any) -> Any:
    """Numbers of Python for those of numpy."""
    if isinstance(x, np.ndarray | np.generic):
        return x.tolist()
    return x


each_dtype = st.sampled_from(FULL)
rules = st.sampled_from(["hard", "interpolate", "mixture"])
kinds = st.sampled_from(["ids", "probabilities"])
sigmoid_batches = given(batch=batches(), dtype=each_dtype, rule=rules)
softmax_batches = given(batch=batches(), dtype=each_dtype, kind=kinds)


@sigmoid_batches
def test_sigmoid(batch: Batch, dtype: str, rule: str) -> None:
    sigmoids_agree(batch, dtype, rule)


@pytest.mark.slow
@sigmoid_batches
def test_sigmoid_in_more_batches(batch: Batch, dtype: str, rule: str) -> None:
    sigmoids_agree(batch, dtype, rule)


@softmax_batches
def test_softmax(batch: Batch, dtype: str, kind: str) -> None:
    softmaxes_agree(batch, dtype, kind)


@pytest.mark.slow
@softmax_batches
def test_softmax_in_more_batches(batch: Batch, dtype: str, kind: str) -> None:
    softmaxes_agree(batch, dtype, kind)


def sigmoids_agree(batch: Batch, dtype: str, rule: str) -> None:
    shape = batch.shape
    logits = batch.logits(dtype)
    settings: Settings = {"soft_targets": rule}
    if rule == "hard":
        targets = batch.draws.integers(0, 2, shape)
        settings["soft_targets"] = "interpolate"
    else:
        targets = batch.uniform(shape, dtype)
    settings["alpha"] = batch.one_of(None, 0.25, batch.uniform(shape[1], dtype))
    settings["gamma"] = batch.gammas(dtype)
    settings["where"] = batch.mask(shape)
    settings["weight"] = batch.one_of(None, batch.uniform(shape, dtype))
    settings["reduction"] = batch.one_of(*REDUCTIONS)
    agree(SIGMOID, logits, targets, settings)


def softmaxes_agree(batch: Batch, dtype: str, kind: str) -> None:
    rows, classes = batch.shape
    logits = batch.logits(dtype)
    ids = batch.draws.integers(0, classes, rows)
    probabilities = batch.draws.simplex(rows, classes).astype(DTYPES[dtype])
    settings: Settings = {"axis": -1}
    settings["alpha"] = batch.one_of(None, batch.uniform(classes, dtype))
    settings["gamma"] = batch.gammas(dtype)
    settings["label_smoothing"] = batch.one_of(0.0, 0.1)
    settings["ignore_index"] = batch.one_of(None, 0) if kind == "ids" else None
    settings["where"] = batch.mask(rows)
    settings["weight"] = batch.one_of(None, batch.uniform(rows, dtype))
    settings["reduction"] = batch.one_of(*REDUCTIONS)
    agree(SOFTMAX, logits, ids if kind == "ids" else probabilities, settings)


def test_the_comparison_above_can_fail() -> None:
    """One package with γ + 10⁻⁵ is not in parity with the other."""
    logits = np.array([[0.5, -1.0]])
    targets = np.array([[1, 0]])
    value, _ = run(JAX, SIGMOID, logits, targets, {"gamma": 2.0})
    other, _ = run(TORCH, SIGMOID, logits, targets, {"gamma": 2.00001})
    allowed = 2 * (SIGMOID_UNITS[VALUE] + 4) * EPS["float64"]
    relative = np.abs(value - other) / np.abs(value)
    assert (relative > allowed).all()
    assert SIGMOID_UNITS[GRADIENT] > SIGMOID_UNITS[VALUE]
