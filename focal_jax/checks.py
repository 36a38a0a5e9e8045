"""What the arguments must be. A message names the function, the argument, what it expected and got, and what to do."""
# JAX leaves parts of jnp.asarray without types.
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple, NoReturn

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from .collectives import Devices
from .known import as_ids, differ, dtype_name, is_array, is_bool, is_floating, is_integer, read
from .meshes import is_mapped, is_repeated, is_split

Shape = tuple[int, ...]


class Allowed(NamedTuple):
    text: str
    holds: Callable[[Any], Any]
    interval: bool = True


def _in_unit(x: Any) -> Any:
    return (x >= 0) & (x <= 1)


def _nonnegative(x: Any) -> Any:
    return (x >= 0) & (x < math.inf)


def _positive(x: Any) -> Any:
    return (x > 0) & (x < math.inf)


def _hard(x: Any) -> Any:
    return (x == 0) | (x == 1)


UNIT = Allowed("in [0, 1]", _in_unit)
NONNEGATIVE = Allowed("finite and at least 0", _nonnegative)
POSITIVE = Allowed("finite and greater than 0", _positive)
HARD = Allowed("0 or 1", _hard, interval=False)


def _classes(classes: int) -> Allowed:
    def holds(x: Any) -> Any:
        return (x >= 0) & (x < classes)

    return Allowed(f"in [0, {classes})", holds)


class Checks:
    """The checks of one public function."""

    def __init__(self, function: str) -> None:
        self.function = function

    def fail(self, error: type[Exception], argument: str, expected: str, got: object, advice: str) -> NoReturn:
        raise error(f"{self.function}({argument}=...): expected {expected}, got {got}. {advice}")

    def array(self, argument: str, x: Any) -> Array:
        if not is_array(x):
            advice = "Make it an array (in PyTorch a tensor) first."
            self.fail(TypeError, argument, "an array", type(x).__name__, advice)
        if not (is_floating(x) or is_integer(x)):
            self.fail(TypeError, argument, "real numbers", dtype_name(x), "Convert it, e.g. to float32.")
        return jnp.asarray(x)

    def logits(self, x: Any, argument: str = "logits") -> Array:
        x = self.array(argument, x)
        if not is_floating(x):
            self.fail(TypeError, argument, "floating-point numbers", dtype_name(x), "Convert it, e.g. to float32.")
        return x

    def shape(self, argument: str, x: Array, shape: Shape, like: str, advice: str) -> None:
        if tuple(x.shape) != shape:
            self.fail(ValueError, argument, f"shape {shape} {like}", tuple(x.shape), advice)

    def values(self, argument: str, x: Array, allowed: Allowed, advice: str, where: Array | None = None) -> None:
        """Check the values that `where` keeps, if they are known before the computation runs."""
        if (known := read(x)) is None or not known.size:
            return
        if allowed.interval and allowed.holds(known.min()) and allowed.holds(known.max()):
            return
        bad = ~allowed.holds(known)
        if where is not None:
            kept = read(where)
            bad = bad & (False if kept is None else kept)
        if bad.any():
            index = tuple(np.argwhere(bad)[0].tolist())
            self.fail(ValueError, argument, f"values {allowed.text}", f"{known[index]} at {index}", advice)

    def number(self, argument: str, x: Any, allowed: Allowed, advice: str) -> float:
        if isinstance(x, bool) or not isinstance(x, Real):
            self.fail(TypeError, argument, f"a number {allowed.text}", type(x).__name__, advice)
        if not allowed.holds(float(x)):
            self.fail(ValueError, argument, f"a number {allowed.text}", x, advice)
        return float(x)

    def integer(self, argument: str, x: Any, advice: str) -> int:
        if isinstance(x, bool) or not isinstance(x, Integral):
            self.fail(TypeError, argument, "an integer", type(x).__name__, advice)
        return int(x)

    def choice(self, argument: str, x: object, choices: tuple[str, ...]) -> None:
        if x not in choices:
            expected = "one of " + ", ".join(repr(choice) for choice in choices)
            self.fail(ValueError, argument, expected, repr(x), "No other is defined.")

    def parameter(self, argument: str, x: Any, shape: Shape, allowed: Allowed, dtype: DTypeLike) -> float | Array:
        """A number as a float; an array broadcast to `shape`, as `dtype`."""
        if not is_array(x):
            return self.number(argument, x, allowed, "For several, give an array (in PyTorch a tensor).")
        x = self.array(argument, x)
        if not broadcasts(x, shape):
            advice = "Write a dimension that repeats as 1."
            self.fail(ValueError, argument, f"a shape that broadcasts to {shape}", tuple(x.shape), advice)
        self.values(argument, x, allowed, "Correct it before the call.")
        return jnp.broadcast_to(x.astype(dtype), shape)

    def class_parameter(
        self, argument: str, x: Any, shape: Shape, axis: int, allowed: Allowed, dtype: DTypeLike, devices: Devices
    ) -> float | Array:
        """As `parameter`, for one value per class, or for any shape that keeps the class axis; it is moved last."""
        classes = shape[axis]
        if not is_array(x):
            return self.number(argument, x, allowed, "For several, give an array (in PyTorch a tensor).")
        x = self.array(argument, x)
        if tuple(x.shape) not in ((), (classes,)) and (x.ndim != len(shape) or not broadcasts(x, shape)):
            expected = f"shape () or {(classes,)}, or {len(shape)} dimensions that broadcast to {shape}"
            advice = "Per sample, keep the class axis with length 1."
            self.fail(ValueError, argument, expected, tuple(x.shape), advice)
        self.values(argument, x, allowed, "Correct it before the call.")
        x = x.astype(dtype)
        return jnp.broadcast_to(x, (classes,)) if x.ndim <= 1 else jnp.moveaxis(x, axis, -1)

    def class_ids(
        self, x: Any, shape: Shape, like: str, classes: int, ignore_index: Any, where: Array | None
    ) -> tuple[Array, Array | None]:
        """Class ids, and the mask without those that are ignored."""
        x = self.array("targets", x)
        if is_floating(x):
            advice = "For class probabilities call softmax_focal_loss."
            self.fail(TypeError, "targets", "integer class ids", dtype_name(x), advice)
        self.shape("targets", x, shape, f"like {like}", "Class probabilities are floats.")
        t = as_ids(x)
        if ignore_index is not None:
            kept = differ(t, self.integer("ignore_index", ignore_index, "It is a class id."))
            where = kept if where is None else where & kept
        self.values("targets", x, _classes(classes), "Leave others out with where or ignore_index.", where)
        return t, where

    def class_weights(self, x: Any, classes: int, dtype: DTypeLike) -> Array:
        advice = "A common factor belongs outside the loss."
        if not is_array(x):
            expected = f"an array (in PyTorch a tensor) of shape {(classes,)}"
            self.fail(TypeError, "alpha", expected, type(x).__name__, advice)
        x = self.array("alpha", x)
        self.shape("alpha", x, (classes,), "with one weight per class", advice)
        self.values("alpha", x, NONNEGATIVE, "Correct it before the call.")
        return x.astype(dtype)

    def axis(self, x: Any, logits: Array) -> int:
        axis = self.integer("axis", x, "Name the class axis by its number.")
        if not logits.ndim:
            self.fail(ValueError, "logits", "an axis of classes", "shape ()", "A single logit has no classes.")
        if not -logits.ndim <= axis < logits.ndim:
            advice = "It is the axis of the classes: by default -1 in JAX, 1 in PyTorch."
            self.fail(ValueError, "axis", f"an axis of logits of shape {tuple(logits.shape)}", axis, advice)
        if not logits.shape[axis]:
            shape = f"shape {tuple(logits.shape)}"
            self.fail(ValueError, "logits", "at least one class", shape, f"The classes are on axis {axis}.")
        return axis

    def weight(self, x: Any, shape: Shape, dtype: DTypeLike) -> Array | None:
        return None if x is None else self._per_element("weight", self.array("weight", x), shape).astype(dtype)

    def classes_of_kernel(self, x: Array, features: Array) -> int:
        """The number of classes of a linear layer's kernel, shape (D, C)."""
        if not features.ndim:
            self.fail(ValueError, "features", "a last axis of features", "shape ()", "A row has shape (D,).")
        size = features.shape[-1]
        if x.ndim != 2 or x.shape[0] != size or not x.shape[1]:
            expected = f"shape ({size}, C) for features of shape {tuple(features.shape)}"
            advice = "It has a column per class, as in Flax, and is its transpose in focal_torch."
            self.fail(ValueError, "kernel", expected, tuple(x.shape), advice)
        return x.shape[1]

    def bias(self, x: Any, classes: int) -> Array:
        x = self.logits(x, "bias")
        self.shape("bias", x, (classes,), "with one number per class", "None adds nothing.")
        return x

    def rows(self, x: Any) -> int:
        rows = self.integer("chunk_size", x, "It is a number of rows.")
        if rows < 1:
            self.fail(ValueError, "chunk_size", "at least 1 row", rows, "None chooses.")
        return rows

    def devices(self, x: Any, reduction: str, *inputs: Array) -> Devices:
        """The axes of a mesh that the elements of all inputs are split over."""
        names = self._axis_names("axis_name", x)
        if names and reduction == "none":
            self.fail(ValueError, "axis_name", 'None for reduction "none"', repr(x), "Losses of elements stay apart.")
        for name in names:
            if all(is_repeated(input, name) for input in inputs):
                advice = "Its devices repeat each other: leave it out, or split the inputs."
                self.fail(ValueError, "axis_name", "axes along which the inputs differ", repr(name), advice)
        return names

    def class_devices(self, x: Any, split: Array) -> Devices:
        """The axes of a mesh that classes are split over."""
        names = self._axis_names("class_axis_name", x)
        for name in names:
            if not is_split(split, name):
                advice = "Split the class axis by the in_specs of jax.shard_map, and leave its check_vma on."
                self.fail(ValueError, "class_axis_name", "axes that split the classes", repr(name), advice)
        return names

    def _axis_names(self, argument: str, x: Any) -> Devices:
        names = Devices(() if x is None else (x,) if isinstance(x, str) else x)
        for name in names:
            if not is_mapped(name):
                advice = "Outside of jax.shard_map leave it out: jax.jit reduces over a mesh by itself."
                self.fail(ValueError, argument, "an axis of the jax.shard_map around the call", repr(name), advice)
        return names

    def where(self, x: Any, shape: Shape) -> Array | None:
        if x is None:
            return None
        x = self.array("where", x)
        if not is_bool(x):
            self.fail(TypeError, "where", "bool values", dtype_name(x), "Compare first, e.g. mask > 0.")
        return self._per_element("where", x, shape)

    def _per_element(self, argument: str, x: Array, shape: Shape) -> Array:
        if x.ndim != len(shape) or not broadcasts(x, shape):
            advice = "Give it every dimension; one that repeats may be 1."
            self.fail(ValueError, argument, f"shape {shape} like the unreduced loss", tuple(x.shape), advice)
        return jnp.broadcast_to(x, shape)


def broadcasts(x: Array, shape: Shape) -> bool:
    pairs = zip(x.shape, shape[len(shape) - x.ndim :], strict=True)
    return x.ndim <= len(shape) and all(have in (1, want) for have, want in pairs)
