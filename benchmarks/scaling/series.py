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
Shapes = tuple[jax.ShapeDtypeStruct, ...]


@dataclass(frozen=True)
class Series:
    """A function, the shapes of its arguments for every amount of work, and the slope that each
    cost should have."""

    name: str
    against: str
    work: Sequence[int]
    function: Callable[..., Any]
    shapes: Callable[[int], Shapes]
    expected: dict[str, float]


# In proportion to the logits. Several γ: beyond the results themselves nothing grows.
STRAIGHT, FLAT = {TIME: 1.0, MEMORY: 1.0, SIZE: 0.0}, {TIME: 1.0, TEMPORARY: 0.0, SIZE: 0.0}
GAMMAS = (4, 8, 16, 32)


def _elements(n: int) -> Shapes:
    return jax.ShapeDtypeStruct((n,), jnp.float32), jax.ShapeDtypeStruct((n,), jnp.bool_)


def _rows(rows: int, classes: int) -> Shapes:
    return jax.ShapeDtypeStruct((rows, classes), jnp.float32), jax.ShapeDtypeStruct(
        (rows,), jnp.int32
    )


def _gradient(loss: Callable[..., Array]) -> Callable[..., Any]:
    return jax.value_and_grad(partial(loss, reduction="sum"))


def _gammas(name: str, loss: Callable[..., Array], reduction: str, fixed: Shapes) -> Series:
    function = jax.vmap(
        lambda z, y, gamma: loss(z, y, gamma=gamma, reduction=reduction), (None, None, 0)
    )
    return Series(name, "values of γ", GAMMAS, function, lambda k: (*fixed, _elements(k)[0]), FLAT)


SIGMOID, SOFTMAX = _gradient(sigmoid_focal_loss), _gradient(softmax_focal_loss)
SERIES = (
    Series("sigmoid", "logits", [4**k for k in range(7, 13)], SIGMOID, _elements, STRAIGHT),
    Series(
        "softmax", "classes", [4**k for k in range(4, 9)], SOFTMAX, partial(_rows, 64), STRAIGHT
    ),
    Series(
        "softmax",
        "rows",
        [4**k for k in range(3, 8)],
        SOFTMAX,
        partial(_rows, classes=1024),
        STRAIGHT,
    ),
    _gammas("sigmoid, none", sigmoid_focal_loss, "none", _elements(4096)),
    _gammas("softmax, none", softmax_focal_loss, "none", _rows(4096, 64)),
    _gammas("sigmoid, sum", sigmoid_focal_loss, "sum", _elements(4096)),
)
