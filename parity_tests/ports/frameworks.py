"""How to call a loss in each framework: numpy in, numpy out, and derivatives by the framework's own
machinery.

A framework is imported when it is first asked for. Each class here has the same five methods;
`loss` is a function of one array of that framework, and derivatives are those of the sum of its
result.
"""

import contextlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import import_module
from typing import Any, Protocol

import ml_dtypes
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


def _traced(function: Loss, x: dict[str, Array]) -> Array | None:
    """Its result while a program is traced; None where it needs to see numbers, or leaves."""
    try:
        return function(x)
    except (Exception, SystemExit):
        return None


class Numpy(OneByOne):
    """Values only: derivatives of a numpy port are a second function of the same arguments."""

    name, differentiates = "numpy", False

    def array(self, x: np.ndarray) -> np.ndarray:
        return x

    def numpy(self, x: Array) -> np.ndarray:
        return np.asarray(x)

    def value(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self.numpy(loss(x))

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        raise TypeError("numpy does not differentiate")

    def second(self, loss: Loss, x: np.ndarray, along: np.ndarray) -> np.ndarray:
        raise TypeError("numpy does not differentiate")

    def beside_gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        raise TypeError("numpy does not differentiate")


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


class Torch(OneByOne):
    """Eager PyTorch on the CPU."""

    name, differentiates = "torch", True

    def __init__(self) -> None:
        import torch

        self.torch = torch

    def array(self, x: np.ndarray) -> Array:
        x = np.array(x)
        if x.dtype == ml_dtypes.bfloat16:
            return self.torch.from_numpy(x.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(x)

    def numpy(self, x: Array) -> np.ndarray:
        if not isinstance(x, self.torch.Tensor):
            return np.asarray(x)
        x = x.detach().contiguous()
        if x.dtype == self.torch.bfloat16:
            return x.view(self.torch.int16).numpy().view(ml_dtypes.bfloat16)
        return x.numpy()

    def value(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        """Without gradients, as in a validation: `beside_gradient` is the loss in training."""
        with self.torch.no_grad():
            return self.numpy(loss(self.array(x)))

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        leaf = self.array(x).requires_grad_()
        (slope,) = self.torch.autograd.grad(loss(leaf).sum(), leaf)
        return self.numpy(slope)

    def beside_gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        return self.numpy(loss(self.array(x).requires_grad_()))

    def second(self, loss: Loss, x: np.ndarray, along: np.ndarray) -> np.ndarray:
        leaf = self.array(x).requires_grad_()
        (slope,) = self.torch.autograd.grad(loss(leaf).sum(), leaf, create_graph=True)
        slope_along = (slope * self.array(along)).sum()
        (second,) = self.torch.autograd.grad(slope_along, leaf)
        return self.numpy(second)


class Tensorflow(OneByOne):
    """Eager TensorFlow on the CPU."""

    name, differentiates = "tensorflow", True

    def __init__(self) -> None:
        self.tf = import_module("tensorflow")

    def array(self, x: np.ndarray) -> Array:
        return self.tf.constant(x)

    def numpy(self, x: Array) -> np.ndarray:
        return np.asarray(x)

    def value(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        return self.numpy(loss(self.array(x)))

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        return self.numpy(self._gradient(loss, self.array(x)))

    def beside_gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        z = self.array(x)
        with self.tf.GradientTape() as tape:
            tape.watch(z)
            result = loss(z)
        return self.numpy(result)

    def second(self, loss: Loss, x: np.ndarray, along: np.ndarray) -> np.ndarray:
        z = self.array(x)
        with self.tf.GradientTape() as tape:
            tape.watch(z)
            slope = self._gradient(loss, z) * self.array(along)
        return self.numpy(tape.gradient(slope, z))

    def _gradient(self, loss: Loss, z: Array) -> Array:
        with self.tf.GradientTape() as tape:
            tape.watch(z)
            result = loss(z)
        return tape.gradient(result, z)


def _keras() -> Framework:
    """Keras runs on one of the others, which then differentiates for it."""
    return load(import_module("keras").backend.backend())


FRAMEWORKS: dict[str, Callable[[], Framework]] = {
    "jax": Jax,
    "torch": Torch,
    "numpy": Numpy,
    "tensorflow": Tensorflow,
    "keras": _keras,
}


@cache
def load(name: str) -> Framework:
    return FRAMEWORKS[name]()
