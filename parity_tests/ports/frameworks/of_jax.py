"""Ports of JAX."""

import contextlib
from collections.abc import Sequence

import numpy as np

from .framework import Array, Loss, LossOfBoth, OneByOne


def _traced(function: Loss, x: dict[str, Array]) -> Array | None:
    """Its result while a program is traced; None where it needs to see numbers, or leaves."""
    try:
        return function(x)
    except (Exception, SystemExit):
        return None


class Jax(OneByOne):
    """Eager JAX, in 64 bits where the input has them."""

    name, differentiates = "jax", True

    def __init__(self) -> None:
        import jax

        self.jax = jax

    def array(self, x: np.ndarray) -> Array:
        # What is known stays known while a program is traced.
        with self.jax.ensure_compile_time_eval():
            return self.jax.numpy.asarray(x)

    def numpy(self, x: Array) -> np.ndarray:
        return np.asarray(x)

    def value(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        return self._at(loss, x)

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        return self._at(self.function(loss, 1, x), x)

    def second(self, loss: Loss, x: np.ndarray, along: np.ndarray) -> np.ndarray:
        return self._at(self.function(loss, 2, along), x)

    def beside_gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        return self._at(self.beside(loss), x)

    def beside(self, loss: Loss) -> Loss:
        """The loss as a function of an array, as it is where its gradient is taken."""
        return lambda z: self.jax.vjp(loss, z)[0]

    def function(self, loss: Loss, order: int, along: np.ndarray) -> Loss:
        """The loss, its gradient, or its Hessian times `along`, as a function of an array."""
        if order == 0:
            return loss
        gradient = self.jax.grad(lambda z: loss(z).sum())
        if order == 1:
            return gradient
        return self.jax.grad(lambda z: (gradient(z) * self.array(along)).sum())

    def together(
        self, functions: Sequence[Loss], points: Sequence[dict[str, np.ndarray]]
    ) -> list[list[np.ndarray | None]]:
        """All functions at each of the points, arrays by name that are alike in shape, by one
        compiled program; None for a function that cannot be traced."""

        def program(point: dict[str, Array]) -> list[Array | None]:
            return [_traced(function, point) for function in functions]

        compiled = self.jax.jit(program)
        results: list[list[Array | None]] = []
        for point in points:
            arrays = {name: self.array(x) for name, x in point.items()}
            results.append(compiled(arrays))
        return [[None if y is None else self.numpy(y) for y in answers] for answers in results]

    def rows(
        self,
        loss: LossOfBoth,
        x: np.ndarray,
        y: np.ndarray,
        order: int,
        along: np.ndarray,
    ) -> np.ndarray:
        """As above, compiled once, unless the port needs to see numbers."""
        try:
            return super().rows(self.jax.jit(loss), x, y, order, along)
        except self.jax.errors.JAXTypeError:
            return super().rows(loss, x, y, order, along)

    def _at(self, function: Loss, x: np.ndarray) -> np.ndarray:
        with self.bits(x):
            return self.numpy(function(self.array(x)))

    def bits(self, x: np.ndarray) -> contextlib.AbstractContextManager[object]:
        if x.dtype == np.float64:
            return self.jax.enable_x64(True)
        return contextlib.nullcontext()
