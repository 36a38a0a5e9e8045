"""The arguments of a public function: checked, and converted to what the formulas take.

A message names the function, the argument, what was expected, what it got, and what to do.
"""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import NoReturn, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .advice import CORRECT, ONE_NUMBER, SEVERAL
from .arrays import (
    Number,
    dtype_name,
    is_array,
    is_floating,
    is_integer,
    is_sequence,
    nan_outside,
    zero_outside,
)
from .meshes import beside
from .ranges import Range
from .tracing import concrete_extremes, concrete_values, from_sequence

Shape: TypeAlias = tuple[int, ...]
BOOLEANS: tuple[type, ...] = (bool, np.bool_)
# What to do, or what to do about a value.
Advice: TypeAlias = str | Callable[[float], str]


class Arguments:
    """The arguments of one public function."""

    def __init__(self, function: str) -> None:
        self.function = function
        # The first array, which all others have to be beside.
        self.first: Tensor | None = None

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
        self._check_device(argument, x)
        return x

    def _check_device(self, argument: str, x: Tensor) -> None:
        if self.first is None:
            self.first = x
        elif x.device != self.first.device:
            got, expected = x.device, self.first.device
            advice = "Move it with .to(logits.device)."
            self.fail(ValueError, argument, f"an array on {expected}", got, advice)

    def one_or_several(self, argument: str, x: object) -> object:
        """α or γ, of which lists, tuples and arrays of numpy become tensors."""
        if not is_sequence(x):
            return x
        device = None if self.first is None else self.first.device
        try:
            return from_sequence(x, device)
        except (TypeError, ValueError, RuntimeError):
            advice = "Its entries have to be numbers, and its rows of one length."
            self.fail(TypeError, argument, "an array of numbers", type(x).__name__, advice)

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

    def in_range(
        self, argument: str, x: Tensor, allowed: Range, advice: Advice, where: Tensor | None = None
    ) -> Tensor:
        """Floating x (…), whose values inside the mask are in range: they are checked where they
        are known before the computation runs, and NaN where they are not in it elsewhere."""
        if self.check_values(argument, x, allowed, advice, where):
            return x
        # Times NaN the gradient of what the mask leaves out would not be 0.
        if where is not None and where.ndim == x.ndim and broadcasts(where, tuple(x.shape)):
            x = zero_outside(beside(x, where), beside(where, x))
        return nan_outside(allowed, x)

    def check_values(
        self, argument: str, x: Tensor, allowed: Range, advice: Advice, where: Tensor | None = None
    ) -> bool:
        """Check the values inside the mask, if they are known before the computation runs. Returns
        whether they are."""
        # Two numbers instead of one for each element. A NaN among them is in no range.
        extremes = concrete_extremes(x) if allowed.interval else None
        if extremes is not None and all(map(allowed.contains, extremes)):
            return True
        values = concrete_values(x)
        if values is None:
            return False
        if not values.size:
            return True
        bad = ~np.asarray(allowed.contains(values))
        if where is not None:
            mask = concrete_values(where)
            # Under a mask that is not known nothing is known to be wrong.
            if mask is None:
                return False
            bad = bad & mask
        if bad.any():
            # One is enough to look for the reason.
            index = tuple(np.argwhere(bad)[0].tolist())
            value = np.broadcast_to(values, bad.shape)[index]
            got, text = f"{value} at {index}", _text(advice, float(value))
            self.fail(ValueError, argument, f"values {allowed.text}", got, text)
        return True

    def number(self, argument: str, x: object, allowed: Range, advice: Advice) -> float:
        # Python counts True as 1, which is hardly what was meant. A float needs no look at all that
        # may count as a number, which takes as long as the rest of this.
        if type(x) is not float and (isinstance(x, bool) or not isinstance(x, Real)):
            text = _text(advice, math.nan)
            self._fail_type(argument, f"a number {allowed.text}", x, text)
        number = float(x)
        if not allowed.contains(number):
            text = _text(advice, number)
            self.fail(ValueError, argument, f"a number {allowed.text}", x, text)
        return number

    def _fail_type(self, argument: str, expected: str, x: object, advice: str) -> NoReturn:
        # A number of numpy, too, in torch.compile.
        if is_array(x) or (is_sequence(x) and hasattr(x, "dtype")):
            advice = ONE_NUMBER
        self.fail(TypeError, argument, expected, type(x).__name__, advice)

    def integer(self, argument: str, x: object, advice: str) -> int:
        if type(x) is not int and (isinstance(x, bool) or not isinstance(x, Integral)):
            self._fail_type(argument, "an integer", x, advice)
        return int(x)

    def flag(self, argument: str, x: object) -> bool:
        if not isinstance(x, BOOLEANS):
            advice = "Decide before the call: both are different losses."
            self.fail(TypeError, argument, "True or False", type(x).__name__, advice)
        return bool(x)

    def check_choice(self, argument: str, x: str, choices: tuple[str, ...]) -> None:
        if x not in choices:
            expected = "one of " + ", ".join(repr(choice) for choice in choices)
            self.fail(ValueError, argument, expected, repr(x), "No other is defined.")

    def per_element(
        self,
        argument: str,
        x: object,
        shape: Shape,
        allowed: Range,
        dtype: torch.dtype,
        where: Tensor | None = None,
        advice: Advice | None = None,
    ) -> Number:
        """α or γ of a loss of `shape`: a number as a float, an array broadcast to `shape`."""
        x = self.one_or_several(argument, x)
        if not is_array(x):
            return self.number(argument, x, allowed, advice or SEVERAL)
        x = self.array(argument, x)
        if not broadcasts(x, shape):
            expected = f"a shape that broadcasts to {shape}"
            text = "Write a dimension that repeats as 1."
            self.fail(ValueError, argument, expected, tuple(x.shape), text)
        x = self.in_range(argument, x.to(dtype), allowed, advice or CORRECT, where)
        return torch.broadcast_to(x, shape)


def _text(advice: Advice, x: float) -> str:
    return advice if isinstance(advice, str) else advice(x)


def broadcasts(x: Tensor, shape: Shape) -> bool:
    if x.ndim > len(shape):
        return False
    pairs = zip(x.shape, shape[len(shape) - x.ndim :], strict=True)
    return all(length in (1, expected) for length, expected in pairs)
