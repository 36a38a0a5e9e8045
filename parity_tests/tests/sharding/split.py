"""Losses whose elements and classes are split over devices: the arguments, how each is split, and
the truth in float64.

The truth knows nothing of softmax with class probabilities, of linear layers and of devices: it is
a sum over the losses and slopes of single class ids, in which each number and the magnitude of its
terms are known.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import focal_jax
from parity_tests.contract.exact import Draws, total
from parity_tests.contract.tolerances import EPS

ROWS, SIZE, CLASSES = 32, 6, 24
IGNORED = -100
# How the axes of an argument are split.
R, C, WHOLE = "rows", "classes", None
Axes = tuple[str | None, ...]
SPLIT: dict[str, Axes] = {"kernel": (WHOLE, C), "gamma_one": ()}
SPLIT |= dict.fromkeys(("logits", "probabilities", "binary", "overlaps", "gamma_all"), (R, C))
SPLIT |= dict.fromkeys(("features", "gamma_rows"), (R, WHOLE))
SPLIT |= dict.fromkeys(("targets", "weight", "where"), (R,))
SPLIT |= dict.fromkeys(("bias", "alpha", "gamma"), (C,))
# Other names of an argument of the losses.
OF_TARGETS = ("probabilities", "binary", "overlaps")
ARGUMENT: dict[str, str] = dict.fromkeys(OF_TARGETS, "targets")
ARGUMENT |= dict.fromkeys(("gamma_rows", "gamma_all", "gamma_one"), "gamma")
EPSILON = 0.25


def _arrays() -> dict[str, np.ndarray]:
    draws = Draws(0)

    def quarters(low: int, high: int, *shape: int) -> np.ndarray:
        # Their products and sums are exact in float32, so that nothing but the loss is rounded.
        return draws.integers(low, high, shape) / 4

    ids = draws.integers(0, CLASSES, ROWS)
    # Most devices of eight have no row that counts.
    ids[: ROWS // 2 + 3] = IGNORED
    arrays = {"targets": ids, "logits": quarters(-12, 13, ROWS, CLASSES)}
    ones = np.eye(CLASSES, dtype=np.int64)
    four_ids = draws.integers(0, CLASSES, (ROWS, 4))
    arrays["probabilities"] = total(ones[four_ids], 1) / 4
    in_second_half = np.arange(ROWS) > ROWS // 2
    few = draws.uniform(shape=(ROWS, CLASSES)) < 0.1
    arrays["binary"] = few & in_second_half[:, None]
    arrays["features"] = quarters(-4, 5, ROWS, SIZE)
    arrays["kernel"] = quarters(-4, 5, SIZE, CLASSES)
    arrays["bias"] = quarters(-4, 5, CLASSES)
    arrays["alpha"] = quarters(1, 9, CLASSES)
    arrays["gamma"] = quarters(0, 9, CLASSES)
    arrays["gamma_rows"] = quarters(0, 9, ROWS, 1)
    arrays["gamma_all"] = quarters(0, 9, ROWS, CLASSES)
    arrays["gamma_one"] = np.array(1.75)
    arrays["weight"] = quarters(0, 9, ROWS)
    arrays["where"] = draws.uniform(shape=ROWS) < 0.7
    # 0 is no object, and 1 the peak of one.
    arrays["overlaps"] = np.where(arrays["binary"], quarters(1, 5, ROWS, CLASSES), 0.0)
    return arrays


ARRAYS = _arrays()


class Case(NamedTuple):
    function: str
    arrays: tuple[str, ...]
    reduction: str
    smoothing: float = 0.0

    @property
    def name(self) -> str:
        words = [self.function, *self.arrays, self.reduction]
        if self.smoothing:
            words.append("smooth")
        return " ".join(words)

    @property
    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"reduction": self.reduction}
        if "targets" in self.arrays:
            settings["ignore_index"] = IGNORED
        if self.function not in OF_ELEMENTS:
            settings["label_smoothing"] = self.smoothing
        if self.function == SOFTMAX:
            settings["axis"] = -1
        if self.function == ASYMMETRIC:
            # Beside a shift the loss has fewer digits, on one device as on several.
            settings["shift"] = 0.0
        if self.function == LINEAR:
            settings |= {"chunk_size": 3, "z_loss": self.smoothing}
        return settings

    @property
    def moved(self) -> tuple[str, ...]:
        """What is differentiated."""
        fixed = ("targets", "probabilities", "binary", "overlaps", "where")
        return tuple(name for name in self.arrays if name not in fixed)

    def inputs(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the loss. Some have their rows in two axes, as an image has."""
        in_images = self.function == SOFTMAX and "gamma" not in self.arrays
        inputs = {}
        for name, x in arrays.items():
            is_row = R in SPLIT[name]
            inputs[ARGUMENT.get(name, name)] = x[:, None] if in_images and is_row else x
        return inputs


LINEAR, SOFTMAX, SIGMOID = "linear_softmax_focal_loss", "softmax_focal_loss", "sigmoid_focal_loss"
VARIFOCAL, HEATMAP, ASYMMETRIC = "varifocal_loss", "heatmap_focal_loss", "asymmetric_loss"
# Losses of single logits, and the targets of each.
OF_ELEMENTS = {SIGMOID: "binary"}
OF_ELEMENTS |= dict.fromkeys((VARIFOCAL, HEATMAP, ASYMMETRIC), "overlaps")
IDS = ("logits", "targets")
LAYER = ("features", "kernel", "targets", "bias")


def _smoothed_or_not(function: str, arrays: tuple[str, ...], reduction: str) -> list[Case]:
    return [Case(function, arrays, reduction, smoothing) for smoothing in (0.0, EPSILON)]


# Tests name them by their numbers.
CASES: list[Case] = []
for reduction in ("sum", "mean", "mean_positive"):
    CASES.append(Case(SIGMOID, ("logits", "binary"), reduction))
CASES += _smoothed_or_not(SOFTMAX, (*IDS, "alpha", "gamma", "weight"), "mean")
CASES += _smoothed_or_not(SOFTMAX, (*IDS, "gamma_rows"), "sum")
CASES += _smoothed_or_not(SOFTMAX, (*IDS, "gamma_one"), "mean")
SOFT = ("logits", "probabilities", "alpha", "gamma_all", "where")
CASES.append(Case(SOFTMAX, SOFT, "mean_positive"))
CASES += _smoothed_or_not(LINEAR, (*LAYER, "alpha", "gamma", "weight"), "mean")
CASES.append(Case(LINEAR, (*LAYER, "gamma_all"), "sum"))
CASES += _smoothed_or_not(LINEAR, (*LAYER, "gamma_rows"), "mean_positive")
for function in (VARIFOCAL, HEATMAP, ASYMMETRIC):
    CASES.append(Case(function, ("logits", OF_ELEMENTS[function]), "mean_positive"))


class Truth(NamedTuple):
    """A result in float64, and the magnitude of the terms whose sum it is."""

    value: np.ndarray
    scale: np.ndarray

    def error(self, result: Any, part: Any = ...) -> float:
        """The largest error of float32, in eps of the scale."""
        tiny = np.finfo(np.float32).tiny
        scale = np.maximum(self.scale[part], tiny)
        error = np.abs(np.asarray(result, float) - self.value[part])
        largest = np.max(error / scale, initial=0.0)
        return float(largest) / EPS["float32"]


@cache
def truth(case: Case) -> dict[str, Truth]:
    """The loss, and its gradient in each argument that is differentiated."""
    if case.function in OF_ELEMENTS:
        return _of_elements(case)
    inputs = {ARGUMENT.get(name, name): ARRAYS[name] for name in case.arrays}
    logits = inputs["logits"] if case.function == SOFTMAX else _logits(inputs)
    gamma = np.broadcast_to(inputs.get("gamma", 2.0), logits.shape)
    losses, per_logit, per_gamma = map(np.asarray, _of_ids(logits, gamma))
    factors = _factors(case, inputs)
    slope = _product(factors, per_logit)
    of_gamma = _product(factors, per_gamma)
    of_weight = _product(factors, losses, without="weight")
    terms = _product(factors, losses)
    if "z_loss" in case.settings:
        # Of a row, beside those of its class ids.
        squares, slopes = _z_losses(case.settings["z_loss"], logits)
        kept, weight = factors["kept"], factors["weight"]
        of_weight = np.append(of_weight, kept * squares, axis=1)
        terms = np.append(terms, kept * weight * squares, axis=1)
        slope = np.append(slope, (kept * weight * slopes)[:, None], axis=1)
    # Terms, and the axes along which they are added.
    sums: dict[str, tuple[np.ndarray, Any]] = {}
    sums["loss"] = terms, None
    sums["logits"] = slope, 1
    sums["alpha"] = _product(factors, losses, without="alpha"), 0
    sums["weight"] = of_weight, 1
    sums["gamma"] = of_gamma, 0
    sums["gamma_rows"] = of_gamma[..., None], 1
    sums["gamma_all"] = of_gamma, ()
    sums["gamma_one"] = of_gamma, None
    sums["bias"] = slope, (0, 1)
    if case.function == LINEAR:
        classes_and_size = inputs["kernel"].T
        sums["features"] = slope[:, :, :, None] * classes_and_size, (1, 2)
        features = inputs["features"][:, None, :, None]
        sums["kernel"] = features * slope[:, :, None, :], (0, 1)
    truths = {}
    for name in ("loss", *case.moved):
        terms, axis = sums[name]
        scale = np.abs(terms).sum(axis)
        truths[name] = Truth(terms.sum(axis), scale)
    return truths


def _z_losses(factor: float, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The factor times (log Σ exp(z))² (rows, 1), and its slope in each logit (rows, C)."""
    log_sum = np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return factor * log_sum**2, 2 * factor * log_sum * np.exp(logits - log_sum)


def _logits(inputs: dict[str, np.ndarray]) -> np.ndarray:
    return inputs["features"] @ inputs["kernel"] + inputs["bias"]


def _factors(case: Case, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the loss of a row and a class id is multiplied by."""
    targets = inputs["targets"]
    if targets.ndim == 2:
        y, kept = targets, inputs["where"]
    else:
        y = targets[:, None] == np.arange(CLASSES)
        kept = targets != IGNORED
    divisors = {"sum": 1.0, "mean": kept.sum(), "mean_positive": y[kept].sum()}
    factors = {"y": y * (1 - case.smoothing) + case.smoothing / CLASSES}
    factors["alpha"] = inputs.get("alpha", np.ones(CLASSES))
    factors["weight"] = inputs.get("weight", np.ones(ROWS))[:, None]
    factors["kept"] = kept[:, None] / divisors[case.reduction]
    return factors


def _product(factors: dict[str, np.ndarray], terms: np.ndarray, without: str = "") -> np.ndarray:
    """Terms of rows and class ids with all their factors, or with all but one."""
    product = np.ones((ROWS, CLASSES))
    for name, factor in factors.items():
        if name != without:
            product = product * factor
    further_axes = (1,) * (terms.ndim - 2)
    return product.reshape(product.shape + further_axes) * terms


@jax.jit
def _of_ids(logits: jax.Array, gamma: jax.Array) -> tuple[jax.Array, ...]:
    """The loss of each row and class id, its slope in each logit and its derivative in γ."""

    def loss(z: jax.Array, t: jax.Array, gamma: jax.Array) -> jax.Array:
        return focal_jax.softmax_focal_loss(z[None], t[None], gamma=gamma[None, None])[0]

    def of_row(z: jax.Array, gamma: jax.Array) -> Any:
        value_and_grad = jax.value_and_grad(loss, (0, 2))
        return jax.vmap(value_and_grad, (None, 0, 0))(z, jnp.arange(CLASSES), gamma)

    value, (per_logit, per_gamma) = jax.vmap(of_row)(logits, gamma)
    return value, per_logit, per_gamma


def _of_elements(case: Case) -> dict[str, Truth]:
    targets = ARRAYS[OF_ELEMENTS[case.function]]
    positives = targets == 1 if case.function == HEATMAP else targets

    def loss(z: jax.Array) -> jax.Array:
        settings = case.settings | {"reduction": "none"}
        return getattr(focal_jax, case.function)(z, jnp.asarray(targets), **settings)

    value, pullback = jax.vjp(loss, jnp.asarray(ARRAYS["logits"]))
    (slope,) = pullback(jnp.ones_like(value))
    divisors = {"sum": 1, "mean": targets.size, "mean_positive": positives.sum()}
    divisor = divisors[case.reduction]
    loss_sum = (np.asarray(value) / divisor).sum()
    slopes = np.asarray(slope) / divisor
    return {"loss": Truth(loss_sum, loss_sum), "logits": Truth(slopes, np.abs(slopes))}


def arrays(case: Case) -> dict[str, np.ndarray]:
    """The arguments, in float32."""
    return {name: _as_float32(ARRAYS[name]) for name in case.arrays}


def _as_float32(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if x.dtype.kind == "f" else x
