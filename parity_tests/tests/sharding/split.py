"""Losses whose elements and classes are split over devices: the arguments, how each is split, and
the truth in float64.

The truth knows nothing of softmax with class probabilities, of linear layers and of devices: it is
a sum over the losses and slopes of single class ids, in which each number and the magnitude of its
terms are known.
"""

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
SPLIT: dict[str, tuple[str | None, ...]] = {
    "logits": (R, C),
    "targets": (R,),
    "probabilities": (R, C),
    "binary": (R, C),
    "features": (R, WHOLE),
    "kernel": (WHOLE, C),
    "bias": (C,),
    "alpha": (C,),
    "gamma": (C,),
    "gamma_rows": (R, WHOLE),
    "gamma_all": (R, C),
    "gamma_one": (),
    "weight": (R,),
    "where": (R,),
}
# Other names of an argument of the losses.
ARGUMENT = {"probabilities": "targets", "binary": "targets"}
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
    ones = np.eye(CLASSES, dtype=np.int64)
    return {
        "logits": quarters(-12, 13, ROWS, CLASSES),
        "targets": ids,
        "probabilities": total(ones[draws.integers(0, CLASSES, (ROWS, 4))], 1) / 4,
        "binary": (draws.uniform(shape=(ROWS, CLASSES)) < 0.1)
        & (np.arange(ROWS) > ROWS // 2)[:, None],
        "features": quarters(-4, 5, ROWS, SIZE),
        "kernel": quarters(-4, 5, SIZE, CLASSES),
        "bias": quarters(-4, 5, CLASSES),
        "alpha": quarters(1, 9, CLASSES),
        "gamma": quarters(0, 9, CLASSES),
        "gamma_rows": quarters(0, 9, ROWS, 1),
        "gamma_all": quarters(0, 9, ROWS, CLASSES),
        "gamma_one": np.array(1.75),
        "weight": quarters(0, 9, ROWS),
        "where": draws.uniform(shape=ROWS) < 0.7,
    }


ARRAYS = _arrays()


class Case(NamedTuple):
    function: str
    arrays: tuple[str, ...]
    reduction: str
    smoothing: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.function} {' '.join(self.arrays)} {self.reduction}" + " smooth" * bool(
            self.smoothing
        )

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = {"reduction": self.reduction}
        if "targets" in self.arrays:
            found["ignore_index"] = IGNORED
        if self.function != "sigmoid_focal_loss":
            found["label_smoothing"] = self.smoothing
        return found | ({"chunk_size": 3} if self.function == "linear_softmax_focal_loss" else {})

    @property
    def moved(self) -> tuple[str, ...]:
        """What is differentiated."""
        fixed = ("targets", "probabilities", "binary", "where")
        return tuple(name for name in self.arrays if name not in fixed)


LINEAR, SOFTMAX, SIGMOID = "linear_softmax_focal_loss", "softmax_focal_loss", "sigmoid_focal_loss"
LAYER = ("features", "kernel", "targets", "bias")
CASES = (
    *(
        Case(SIGMOID, ("logits", "binary"), reduction)
        for reduction in ("sum", "mean", "mean_positive")
    ),
    *(
        Case(SOFTMAX, ("logits", "targets", "alpha", "gamma", "weight"), "mean", eps)
        for eps in (0.0, EPSILON)
    ),
    *(Case(SOFTMAX, ("logits", "targets", "gamma_rows"), "sum", eps) for eps in (0.0, EPSILON)),
    *(Case(SOFTMAX, ("logits", "targets", "gamma_one"), "mean", eps) for eps in (0.0, EPSILON)),
    Case(SOFTMAX, ("logits", "probabilities", "alpha", "gamma_all", "where"), "mean_positive"),
    *(Case(LINEAR, (*LAYER, "alpha", "gamma", "weight"), "mean", eps) for eps in (0.0, EPSILON)),
    Case(LINEAR, (*LAYER, "gamma_all"), "sum"),
    *(Case(LINEAR, (*LAYER, "gamma_rows"), "mean_positive", eps) for eps in (0.0, EPSILON)),
)


class Truth(NamedTuple):
    """A result in float64, and the magnitude of the terms whose sum it is."""

    value: np.ndarray
    scale: np.ndarray

    def error(self, got: Any, part: Any = ...) -> float:
        """The largest error of float32, in eps of the scale."""
        scale = np.maximum(self.scale[part], np.finfo(np.float32).tiny)
        return (
            float(np.max(np.abs(np.asarray(got, float) - self.value[part]) / scale, initial=0.0))
            / EPS["float32"]
        )


@cache
def truth(case: Case) -> dict[str, Truth]:
    """The loss, and its gradient in each argument that is differentiated."""
    if case.function == SIGMOID:
        return _of_bits(case)
    given = {ARGUMENT.get(name, name): ARRAYS[name] for name in case.arrays}
    logits = (
        given["logits"]
        if "logits" in given
        else given["features"] @ given["kernel"] + given["bias"]
    )
    gamma = np.broadcast_to(given.get("gamma", 2.0), logits.shape)
    f, per_logit, per_gamma = (np.asarray(x) for x in _of_ids(logits, gamma))
    soft = given["targets"].ndim == 2
    y = given["targets"] if soft else given["targets"][:, None] == np.arange(CLASSES)
    kept = given["where"] if soft else given["targets"] != IGNORED
    divisor = {"sum": 1.0, "mean": kept.sum(), "mean_positive": y[kept].sum()}[case.reduction]
    y = y * (1 - case.smoothing) + case.smoothing / CLASSES
    # The factors of f, and those of its parts that are differentiated.
    factors = {
        "y": y,
        "alpha": given.get("alpha", np.ones(CLASSES)),
        "weight": given.get("weight", np.ones(ROWS))[:, None],
        "kept": kept[:, None] / divisor,
    }

    def terms(of: np.ndarray, without: str = "") -> np.ndarray:
        product = np.ones_like(logits)
        for name, factor in factors.items():
            product = product * (1.0 if name == without else factor)
        return product.reshape(product.shape + (1,) * (of.ndim - 2)) * of

    slope = terms(per_logit)
    of_gamma = terms(per_gamma)
    sums: dict[str, tuple[np.ndarray, Any]] = {
        "loss": (terms(f), None),
        "logits": (slope, 1),
        "alpha": (terms(f, "alpha"), 0),
        "weight": (terms(f, "weight"), 1),
        "gamma": (of_gamma, 0),
        "gamma_rows": (of_gamma[..., None], 1),
        "gamma_all": (of_gamma, ()),
        "gamma_one": (of_gamma, None),
        "bias": (slope, (0, 1)),
    }
    if case.function == LINEAR:
        sums["features"] = slope[:, :, :, None] * given["kernel"].T[None, None], (1, 2)
        sums["kernel"] = given["features"][:, None, :, None] * slope[:, :, None, :], (0, 1)
    wanted = {name: sums[name] for name in ("loss", *case.moved)}
    return {name: Truth(x.sum(axis), np.abs(x).sum(axis)) for name, (x, axis) in wanted.items()}


@jax.jit
def _of_ids(logits: jax.Array, gamma: jax.Array) -> tuple[jax.Array, ...]:
    """The loss of each row and class id, its slope in each logit and its derivative in γ."""

    def loss(z: jax.Array, t: jax.Array, gamma: jax.Array) -> jax.Array:
        return focal_jax.softmax_focal_loss(z[None], t[None], gamma=gamma[None, None])[0]

    def of_row(z: jax.Array, gamma: jax.Array) -> Any:
        value = jax.value_and_grad(loss, (0, 2))
        return jax.vmap(value, (None, 0, 0))(z, jnp.arange(CLASSES), gamma)

    value, (per_logit, per_gamma) = jax.vmap(of_row)(logits, gamma)
    return value, per_logit, per_gamma


def _of_bits(case: Case) -> dict[str, Truth]:
    logits, bits = ARRAYS["logits"], ARRAYS["binary"]
    value, slope = jax.vjp(
        lambda z: focal_jax.sigmoid_focal_loss(z, jnp.asarray(bits)), jnp.asarray(logits)
    )
    divisor = {"sum": 1, "mean": bits.size, "mean_positive": bits.sum()}[case.reduction]
    losses, slopes = (
        np.asarray(value) / divisor,
        np.asarray(slope(jnp.ones_like(value))[0]) / divisor,
    )
    return {"loss": Truth(losses.sum(), losses.sum()), "logits": Truth(slopes, np.abs(slopes))}


def arrays(case: Case) -> dict[str, np.ndarray]:
    """The arguments, in float32."""
    given = {name: ARRAYS[name] for name in case.arrays}
    return {name: x.astype(np.float32) if x.dtype.kind == "f" else x for name, x in given.items()}
