"""The arguments of a loss: those with elements, rows and classes, and the ranks that they are
sharded over."""

from functools import partial
from typing import TypeAlias

import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from .advice import CORRECT, SEVERAL, advice_for_id
from .arguments import Arguments, Shape, broadcasts
from .arrays import (
    Number,
    as_class_ids,
    dtype_name,
    is_array,
    is_bool,
    is_floating,
    is_sequence,
    not_equal,
)
from .collectives import ALONE, Group
from .meshes import is_mapped, is_replicated, is_varying
from .ranges import FINITE, NONNEGATIVE, Range, ids_of
from .tracing import cast_inside, from_numpy

# Names of axes of a mesh.
Axes: TypeAlias = str | tuple[str, ...] | None


class LossArguments(Arguments):
    """The arguments of one public loss."""

    def per_class(
        self,
        argument: str,
        x: object,
        shape: Shape,
        axis: int,
        allowed: Range,
        dtype: DTypeLike,
        group: Group,
        where: Array | None,
    ) -> Number:
        """γ of logits of `shape`: a number as a float; one value per class as (C,); any other shape
        that keeps the class axis, which is moved last. Of what `where` leaves out all classes may
        have any."""
        x = self.one_or_several(argument, x)
        if not is_array(x):
            return self.number(argument, x, allowed, SEVERAL)
        classes = shape[axis]
        x = self.array(argument, x)
        one_per_class = tuple(x.shape) in ((), (classes,))
        keeps_class_axis = x.ndim == len(shape) and broadcasts(x, shape)
        # Any other shape that broadcasts could be meant in two ways.
        if not (one_per_class or keeps_class_axis):
            dimensions = f"{len(shape)} dimensions that broadcast to {shape}"
            expected = f"shape () or {(classes,)}, or {dimensions}"
            advice = "Per sample, keep the class axis with length 1."
            self.fail(ValueError, argument, expected, tuple(x.shape), advice)
        mask = None
        if where is not None and x.ndim > 1:
            mask = jnp.expand_dims(where, axis)
        x = self.in_range(argument, cast_inside(mask, x, dtype), allowed, CORRECT, mask)
        if x.ndim <= 1:
            return jnp.broadcast_to(x, (classes,))
        return jnp.moveaxis(x, axis, -1)

    def class_ids(
        self,
        x: object,
        shape: Shape,
        like: str,
        classes: int,
        ignore_index: int | None,
        where: Array | None,
    ) -> tuple[Array, Array | None]:
        """Class ids, and the mask without those that are ignored: both of `shape`."""
        x = self.array("targets", x)
        if is_floating(x):
            advice = "For class probabilities call softmax_focal_loss."
            self.fail(TypeError, "targets", "integer class ids", dtype_name(x), advice)
        self.check_shape("targets", x, shape, f"like {like}", "Class probabilities are floats.")
        # Before the values are checked: an id that is ignored may be any number.
        where = self.without_ignored(x, ignore_index, where)
        advice = partial(advice_for_id, classes)
        self.check_values("targets", x, ids_of(classes), advice, where)
        return as_class_ids(x), where

    def without_ignored(
        self, targets: Array, ignore_index: int | None, where: Array | None
    ) -> Array | None:
        """The mask without the targets that are ignored: each (…)."""
        if ignore_index is None:
            return where
        ignored = self.integer("ignore_index", ignore_index, "It is a value of targets.")
        # In the type that they come in: a narrower one may have the value for another.
        if self.wide_targets is not None:
            mask = from_numpy(self.wide_targets != ignored)
        else:
            mask = not_equal(targets, ignored)
        return mask if where is None else where & mask

    def class_weights(self, x: object, classes: int, dtype: DTypeLike) -> Array:
        """α with one weight per class: (C,)."""
        # One number would be a common factor, and is more likely the α of a sigmoid.
        advice = "A common factor belongs outside the loss."
        x = self.one_or_several("alpha", x)
        if not is_array(x):
            expected = f"an array or a list of shape {(classes,)}"
            self.fail(TypeError, "alpha", expected, type(x).__name__, advice)
        x = self.array("alpha", x)
        self.check_shape("alpha", x, (classes,), "with one weight per class", advice)
        return self.in_range("alpha", x.astype(dtype), NONNEGATIVE, CORRECT)

    def axis(self, x: object, logits: Array) -> int:
        axis = self.integer("axis", x, "Name the class axis by its number.")
        shape = tuple(logits.shape)
        if not shape:
            self.fail(
                ValueError,
                "logits",
                "an axis of classes",
                "shape ()",
                "A single logit has no classes.",
            )
        if not -len(shape) <= axis < len(shape):
            advice = "It is the axis of the classes: by default -1 in JAX, 1 in PyTorch."
            self.fail(ValueError, "axis", f"an axis of logits of shape {shape}", axis, advice)
        # No class, no probability.
        if not shape[axis]:
            advice = f"The classes are on axis {axis}."
            self.fail(ValueError, "logits", "at least one class", f"shape {shape}", advice)
        return axis

    def classes_of_kernel(self, kernel: Array, features: Array) -> int:
        """The number of classes of a linear layer's kernel, shape (D, C)."""
        if not features.ndim:
            self.fail(
                ValueError,
                "features",
                "a last axis of features",
                "shape ()",
                "A row has shape (D,).",
            )
        # The two packages have it transposed, so the error says which one this is.
        size = features.shape[-1]
        if kernel.ndim != 2 or kernel.shape[0] != size or not kernel.shape[1]:
            expected = f"shape ({size}, C) for features of shape {tuple(features.shape)}"
            advice = "It has a column per class, as in Flax, and is its transpose in focal_torch."
            self.fail(ValueError, "kernel", expected, tuple(kernel.shape), advice)
        return kernel.shape[1]

    def bias(self, x: object, classes: int) -> Array:
        x = self.floating("bias", x)
        self.check_shape("bias", x, (classes,), "with one number per class", "None adds nothing.")
        return x

    def chunk_size(self, x: object) -> int:
        rows = self.integer("chunk_size", x, "It is a number of rows.")
        if rows < 1:
            self.fail(ValueError, "chunk_size", "at least 1 row", rows, "None chooses.")
        return rows

    def weight(
        self, x: object, shape: Shape, dtype: DTypeLike, where: Array | None
    ) -> Array | None:
        if x is None:
            return None
        weight = self.array("weight", x)
        self._check_broadcasts("weight", weight, shape)
        weight = cast_inside(where, weight, dtype)
        weight = self.in_range("weight", weight, FINITE, CORRECT, where)
        return jnp.broadcast_to(weight, shape)

    def where(self, x: object, shape: Shape) -> Array | None:
        if x is None:
            return None
        x = self.array("where", x)
        # A mask of 0 and 255, or one of weights, would be read as something else.
        if not is_bool(x):
            self.fail(
                TypeError, "where", "bool values", dtype_name(x), "Compare first, e.g. mask > 0."
            )
        self._check_broadcasts("where", x, shape)
        return jnp.broadcast_to(x, shape)

    def _check_broadcasts(self, argument: str, x: Array, shape: Shape) -> None:
        if x.ndim != len(shape) or not broadcasts(x, shape):
            expected = f"shape {shape} like the unreduced loss"
            advice = "Give it every dimension; one that repeats may be 1."
            self.fail(ValueError, argument, expected, tuple(x.shape), advice)

    def element_group(self, x: Axes, reduction: str, *inputs: Array) -> Group:
        """The axes of a mesh that the elements of all inputs are sharded over."""
        group = self._group("axis_name", x)
        if group and reduction == "none":
            advice = '"none" sums nothing: leave it out.'
            self.fail(ValueError, "axis_name", 'None for reduction "none"', repr(x), advice)
        for name in group:
            if all(is_replicated(x, name) for x in inputs):
                advice = "Its devices repeat each other: leave it out, or split the inputs."
                self.fail(
                    ValueError,
                    "axis_name",
                    "axes along which the inputs differ",
                    repr(name),
                    advice,
                )
        return group

    def class_group(self, x: Axes, *sharded: Array) -> Group:
        """The axes of a mesh that classes are sharded over."""
        group = self._group("class_axis_name", x)
        for name in group:
            if not is_varying(sharded[0], name):
                advice = (
                    "Split the class axis by the in_specs of jax.shard_map, "
                    "and leave its check_vma on."
                )
                self.fail(
                    ValueError, "class_axis_name", "axes that split the classes", repr(name), advice
                )
        return group

    def _group(self, argument: str, x: Axes) -> Group:
        if x is None:
            return ALONE
        names: object = (x,) if isinstance(x, str) else x
        if not is_sequence(names):
            advice = "Take those of the jax.shard_map around the call."
            self.fail(TypeError, argument, "names of axes of a mesh", repr(x), advice)
        group = Group((x,) if isinstance(x, str) else x)
        for name in group:
            if not is_mapped(name):
                expected = "an axis of the jax.shard_map around the call"
                advice = (
                    "Outside of jax.shard_map leave it out: jax.jit reduces over a mesh by itself."
                )
                self.fail(ValueError, argument, expected, repr(name), advice)
        return group
