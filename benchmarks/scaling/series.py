"""Functions at growing work, whose costs should lie on straight lines: what `scaling` measures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from focal_jax import sigmoid_focal_loss, softmax_focal_loss

TIME, MEMORY, TEMPORARY, SIZE = "time", "memory", "temporary memory", "compiled size"
Loss = Callable[..., Any]
Shapes = tuple[jax.ShapeDtypeStruct, ...]


@dataclass(frozen=True)
class Series:
    """A function, the shapes of its arguments for every amount of work, and the slope that each
    cost should have."""

    name: str
    against: str
    work: Sequence[int]
    function: Loss
    shapes: Callable[[int], Shapes]
    expected: dict[str, float]


# In proportion to the logits. Several γ: beyond the results themselves nothing grows.
STRAIGHT = {TIME: 1.0, MEMORY: 1.0, SIZE: 0.0}
FLAT = {TIME: 1.0, TEMPORARY: 0.0, SIZE: 0.0}
GAMMAS = (4, 8, 16, 32)


def _elements(n: int) -> Shapes:
    logits = jax.ShapeDtypeStruct((n,), jnp.float32)
    return logits, jax.ShapeDtypeStruct((n,), jnp.bool_)


def _rows(rows: int, classes: int) -> Shapes:
    logits = jax.ShapeDtypeStruct((rows, classes), jnp.float32)
    return logits, jax.ShapeDtypeStruct((rows,), jnp.int32)


def _many_classes(n: int) -> Shapes:
    return _rows(64, n)


def _many_rows(n: int) -> Shapes:
    return _rows(n, 1024)


def _powers_of_4(first: int, last: int) -> list[int]:
    return [4**k for k in range(first, last + 1)]


def _gradient(loss: Loss) -> Loss:
    return jax.value_and_grad(partial(loss, reduction="sum"))


def _gammas(name: str, loss: Loss, reduction: str, fixed: Shapes) -> Series:
    """The losses of the same logits and targets for more and more values of γ."""

    def of_gamma(z: Array, y: Array, gamma: Array) -> Array:
        return loss(z, y, gamma=gamma, reduction=reduction)

    def shapes(n: int) -> Shapes:
        return *fixed, jax.ShapeDtypeStruct((n,), jnp.float32)

    function = jax.vmap(of_gamma, (None, None, 0))
    return Series(name, "values of γ", GAMMAS, function, shapes, FLAT)


SIGMOID, SOFTMAX = _gradient(sigmoid_focal_loss), _gradient(softmax_focal_loss)
SERIES = (
    Series("sigmoid", "logits", _powers_of_4(7, 12), SIGMOID, _elements, STRAIGHT),
    Series("softmax", "classes", _powers_of_4(4, 8), SOFTMAX, _many_classes, STRAIGHT),
    Series("softmax", "rows", _powers_of_4(3, 7), SOFTMAX, _many_rows, STRAIGHT),
    _gammas("sigmoid, none", sigmoid_focal_loss, "none", _elements(4096)),
    _gammas("softmax, none", softmax_focal_loss, "none", _rows(4096, 64)),
    _gammas("sigmoid, sum", sigmoid_focal_loss, "sum", _elements(4096)),
)
