"""How to call a loss in a framework: numpy in, numpy out, and derivatives by the framework's own
machinery.

Each class has the same methods; `loss` is a function of one array of that framework, and
derivatives are those of the sum of its result.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np

# An array of one of the frameworks, which have no type in common.
Array = Any
Loss = Callable[[Array], Array]
LossOfBoth = Callable[[Array, Array], Array]


class Framework(Protocol):
    name: str
    differentiates: bool

    def array(self, x: np.ndarray) -> Array: ...

    def numpy(self, x: Array) -> np.ndarray: ...

    def value(self, loss: Loss, x: np.ndarray) -> np.ndarray: ...

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        """∂ Σ loss / ∂x."""
        ...

    def second(self, loss: Loss, x: np.ndarray, along: np.ndarray) -> np.ndarray:
        """The Hessian of Σ loss, times `along`."""
        ...

    def beside_gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        """The loss as it is computed where its gradient is taken."""
        ...

    def rows(
        self,
        loss: LossOfBoth,
        x: np.ndarray,
        y: np.ndarray,
        order: int,
        along: np.ndarray,
    ) -> np.ndarray: ...


def derivative(
    framework: Framework, loss: Loss, x: np.ndarray, order: int, along: np.ndarray
) -> np.ndarray:
    """The loss, its gradient, or its Hessian times `along`, for order 0, 1 and 2."""
    if order == 2:
        return framework.second(loss, x, along)
    if order == 1:
        return framework.gradient(loss, x)
    return framework.value(loss, x)


class OneByOne:
    """For ports that give one number for a batch: each sample is a batch of its own."""

    def rows(
        self: Framework,
        loss: LossOfBoth,
        x: np.ndarray,
        y: np.ndarray,
        order: int,
        along: np.ndarray,
    ) -> np.ndarray:
        """The derivative of loss(x[i : i + 1], y[i : i + 1]) for every i."""
        shape = x.shape[1:] if order else ()
        rows = []
        for i in range(len(x)):
            target = self.array(y[i : i + 1])
            loss_of_x = partial(_with_target, loss, target)
            row = derivative(self, loss_of_x, x[i : i + 1], order, along)
            rows.append(row.reshape(shape))
        return np.stack(rows)


def _with_target(loss: LossOfBoth, y: Array, x: Array) -> Array:
    return loss(x, y)
