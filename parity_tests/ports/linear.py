"""A port that takes features and the kernel of a linear layer in place of logits.

Where a question has logits they are its features, under an identity kernel and a bias of 0: each
logit is then a sum with one term that is not 0, and has no rounding. `in_all` asks about all three.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.records import Record
from parity_tests.contract.tolerances import DTYPES

from .contain import contained
from .form import reshaped
from .frameworks.dtypes import dtype_of
from .frameworks.framework import Array, Loss, derivative
from .python import Arguments, PythonPort
from .questions import first
from .subject import VALUE, BadPortError, PortError

LAYOUTS = {"inputs_first": "(D, C)", "classes_first": "(C, D)"}


class Inputs(NamedTuple):
    """Features (rows, D), kernel (D, C) and bias (C,)."""

    features: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray

    @property
    def flat(self) -> np.ndarray:
        return np.concatenate([part.ravel() for part in self])

    def like(self, flat: np.ndarray) -> "Inputs":
        """Numbers in the order of `flat` as arrays of these shapes."""
        first, second = self.features.size, self.features.size + self.kernel.size
        parts = (flat[:first], flat[first:second], flat[second:])
        shaped = [part.reshape(own.shape) for part, own in zip(parts, self, strict=True)]
        return Inputs(*shaped)


@dataclass(frozen=True)
class LinearPort(PythonPort):
    @property
    def layout(self) -> str:
        chosen = self.plan.convention("kernel")
        if chosen == "framework":
            return "classes_first" if self.framework.name == "torch" else "inputs_first"
        return chosen

    def _taken(self, logits: Array, arguments: Arguments) -> dict[str, Any]:
        return super()._taken(logits, {**_identity(logits), **arguments})

    def may_return(self, result: np.ndarray, logits: np.ndarray) -> bool:
        """Losses of half precision may be float32, which the arithmetic of a long sum is in."""
        is_half = logits.dtype.itemsize == 2
        return super().may_return(result, logits) or (is_half and result.dtype == np.float32)

    def in_all(
        self,
        inputs: Inputs,
        arguments: Arguments,
        order: int,
        cotangent: np.ndarray,
        along: Inputs | None = None,
    ) -> np.ndarray:
        """The losses times a cotangent; or the gradient of their sum in features, kernel and bias,
        or its derivative along a direction: flat, in that order."""
        places = self.places(inputs)
        x = inputs.flat[places]
        direction = x if along is None else along.flat[places]
        loss = self.loss_in_all(inputs, arguments, cotangent)
        with contained():
            result = derivative(self.framework, loss, x, order, direction)
        return result if order == VALUE else self.in_order(result, inputs)

    def loss_in_all(self, inputs: Inputs, arguments: Arguments, cotangent: np.ndarray) -> Loss:
        """The losses times a cotangent as a function of all numbers, in the port's layout."""
        shapes = self._in_layout(inputs)

        def loss(point: Array) -> Array:
            features, kernel, bias = _parts(point, shapes)
            layer = {"kernel": kernel, "bias": bias}
            result = self._result(self.target, features, {**arguments, **layer})
            return self.weighted(result, cotangent)

        return loss

    def places(self, inputs: Inputs) -> np.ndarray:
        """Where each number stands in the port's layout."""
        return self._in_layout(inputs.like(np.arange(inputs.flat.size))).flat

    def in_order(self, result: np.ndarray, inputs: Inputs) -> np.ndarray:
        """A derivative in the port's layout, in the order of `flat`."""
        in_order = np.empty_like(result)
        in_order[self.places(inputs)] = result
        return in_order

    def _in_layout(self, inputs: Inputs) -> Inputs:
        """With the kernel in the layout of the port."""
        if self.layout == "classes_first":
            return inputs._replace(kernel=inputs.kernel.T)
        return inputs

    def require_layout(self) -> None:
        """Raise BadPortError if the port takes the kernel in the other layout alone."""
        other = next(layout for layout in LAYOUTS if layout != self.layout)
        conventions = {**self.plan.conventions, "kernel": other}
        turned = replace(self, plan=replace(self.plan, conventions=conventions))
        if not self._takes_layout() and turned._takes_layout():
            raise BadPortError(
                f"{self.title} takes its kernel as {LAYOUTS[other]}, not {LAYOUTS[self.layout]}: "
                f"say --convention kernel={other}"
            )

    def _takes_layout(self) -> bool:
        dtype = DTYPES[self.plan.dtype]
        inputs = Inputs(np.ones((5, 2), dtype), np.ones((2, 3), dtype), np.zeros(3, dtype))
        problem = first(self.plan)
        arguments = self.arguments(problem, inputs.features) | {"targets": np.zeros(5, np.int64)}
        try:
            self.in_all(inputs, arguments, VALUE, np.ones((), dtype))
        except PortError:
            return False
        return True


def kind_of(record: Record) -> type[PythonPort]:
    """The class of a record's ports."""
    return LinearPort if record.of_logits else PythonPort


def _identity(logits: Array) -> dict[str, np.ndarray]:
    classes = logits.shape[-1]
    dtype = DTYPES[dtype_of(logits)]
    return {"kernel": np.eye(classes, dtype=dtype), "bias": np.zeros(classes, dtype)}


def _parts(point: Array, shapes: Inputs) -> list[Array]:
    parts: list[Array] = []
    start = 0
    for part in shapes:
        flat = point[start : start + part.size]
        parts.append(reshaped(flat, part.shape))
        start += part.size
    return parts
