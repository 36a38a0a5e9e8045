"""The arguments of a public function: checked, and converted to what the formulas take.

A message names the function, the argument, what was expected, what it got, and what to do.
"""

from numbers import Integral, Real
from typing import NoReturn, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .arrays import (
    Number,
    dtype_name,
    is_array,
    is_floating,
    is_integer,
)
from .ranges import Range
from .tracing import concrete_extremes, concrete_values

Shape: TypeAlias = tuple[int, ...]


class Arguments:
    """The arguments of one public function."""

    def __init__(self, function: str) -> None:
        self.function = function

    def fail(
        self, error: type[Exception], argument: str, expected: str, got: object, advice: str
    ) -> NoReturn:
        raise error(f"{self.function}({argument}=...): expected {expected}, got {got}. {advice}")

    def array(self, argument: str, x: object) -> Tensor:
        """An array of real numbers or booleans."""
        if not is_array(x):
            advice = "Make it an array (in PyTorch a tensor) first."
            self.fail(TypeError, argument, "an array", type(x).__name__, advice)
        # Complex numbers, and those of other libraries.
        if not (is_floating(x) or is_integer(x)):
            advice = "Convert it, e.g. to float32."
            self.fail(TypeError, argument, "real numbers", dtype_name(x), advice)
        return x

    def floating(self, argument: str, x: object) -> Tensor:
        """An array of floating-point numbers."""
        x = self.array(argument, x)
        if not is_floating(x):
            advice = "Convert it, e.g. to float32."
            self.fail(TypeError, argument, "floating-point numbers", dtype_name(x), advice)
        return x

    def check_shape(self, argument: str, x: Tensor, shape: Shape, like: str, advice: str) -> None:
        if tuple(x.shape) != shape:
            self.fail(ValueError, argument, f"shape {shape} {like}", tuple(x.shape), advice)

    def check_values(
        self, argument: str, x: Tensor, allowed: Range, advice: str, where: Tensor | None = None
    ) -> None:
        """Check the values inside the mask, if they are known before the computation runs."""
        # Two numbers instead of one for each element. A NaN among them is in no range.
        extremes = concrete_extremes(x) if allowed.interval else None
        if extremes is not None and all(map(allowed.contains, extremes)):
            return
        values = concrete_values(x)
        if values is None or not values.size:
            return
        bad = ~np.asarray(allowed.contains(values))
        if where is not None:
            mask = concrete_values(where)
            # Under a mask that is not known nothing is known to be wrong.
            bad &= False if mask is None else mask
        if bad.any():
            # One is enough to look for the reason.
            index = tuple(np.argwhere(bad)[0].tolist())
            got = f"{values[index]} at {index}"
            self.fail(ValueError, argument, f"values {allowed.text}", got, advice)

    def number(self, argument: str, x: object, allowed: Range, advice: str) -> float:
        # Python counts True as 1, which is hardly what was meant.
        if isinstance(x, bool) or not isinstance(x, Real):
            self.fail(TypeError, argument, f"a number {allowed.text}", type(x).__name__, advice)
        if not allowed.contains(float(x)):
            self.fail(ValueError, argument, f"a number {allowed.text}", x, advice)
        return float(x)

    def integer(self, argument: str, x: object, advice: str) -> int:
        if isinstance(x, bool) or not isinstance(x, Integral):
            self.fail(TypeError, argument, "an integer", type(x).__name__, advice)
        return int(x)

    def check_choice(self, argument: str, x: str, choices: tuple[str, ...]) -> None:
        if x not in choices:
            expected = "one of " + ", ".join(repr(choice) for choice in choices)
            self.fail(ValueError, argument, expected, repr(x), "No other is defined.")

    def per_element(
        self, argument: str, x: object, shape: Shape, allowed: Range, dtype: torch.dtype
    ) -> Number:
        """α or γ of a loss of `shape`: a number as a float, an array broadcast to `shape`."""
        if not is_array(x):
            advice = "For several, give an array (in PyTorch a tensor)."
            return self.number(argument, x, allowed, advice)
        x = self.array(argument, x)
        if not broadcasts(x, shape):
            expected = f"a shape that broadcasts to {shape}"
            advice = "Write a dimension that repeats as 1."
            self.fail(ValueError, argument, expected, tuple(x.shape), advice)
        self.check_values(argument, x, allowed, "Correct it before the call.")
        return torch.broadcast_to(x.to(dtype), shape)


def broadcasts(x: Tensor, shape: Shape) -> bool:
    if x.ndim > len(shape):
        return False
    pairs = zip(x.shape, shape[len(shape) - x.ndim :], strict=True)
    return all(length in (1, expected) for length, expected in pairs)
