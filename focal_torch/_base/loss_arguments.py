"""The arguments of a loss: those with elements, rows and classes, and the ranks that they are
sharded over."""

from functools import partial

import torch
from torch import Tensor
from torch.distributed import ProcessGroup, get_rank, get_world_size

from .advice import CORRECT, SEVERAL, advice_for_id
from .arguments import Arguments, Shape, broadcasts
from .arrays import (
    Number,
    as_class_ids,
    dtype_name,
    is_array,
    is_bool,
    is_floating,
    not_equal,
)
from .collectives import ALONE, Group, copy_to_group, shape_mismatch
from .meshes import beside
from .ranges import FINITE, NONNEGATIVE, Range, ids_of
from .tracing import is_concrete


class LossArguments(Arguments):
    """The arguments of one public loss."""

    def per_class(
        self,
        argument: str,
        x: object,
        shape: Shape,
        axis: int,
        allowed: Range,
        dtype: torch.dtype,
        group: Group,
        where: Tensor | None,
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
            mask = torch.unsqueeze(where, axis)
        x = self.in_range(argument, x.to(dtype), allowed, CORRECT, mask)
        if not x.ndim or x.shape[axis if x.ndim > 1 else 0] != classes:
            # One value for all classes is the same on each rank.
            x = copy_to_group(x, group)
        if x.ndim <= 1:
            return torch.broadcast_to(x, (classes,))
        return torch.movedim(x, axis, -1)

    def class_ids(
        self,
        x: object,
        shape: Shape,
        like: str,
        classes: int,
        ignore_index: int | None,
        where: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Class ids, and the mask without those that are ignored: both of `shape`."""
        x = self.array("targets", x)
        if is_floating(x):
            advice = "For class probabilities call softmax_focal_loss."
            self.fail(TypeError, "targets", "integer class ids", dtype_name(x), advice)
        self.check_shape("targets", x, shape, f"like {like}", "Class probabilities are floats.")
        # Before the values are checked: an id that is ignored may be any number.
        where = self.without_ignored(x, ignore_index, where)
        # The text of the range has the number of classes in it, and torch.compile would make a
        # program for each.
        if is_concrete(x):
            advice = partial(advice_for_id, classes)
            self.check_values("targets", x, ids_of(classes), advice, where)
        return as_class_ids(x), where

    def without_ignored(
        self, targets: Tensor, ignore_index: int | None, where: Tensor | None
    ) -> Tensor | None:
        """The mask without the targets that are ignored: each (…)."""
        if ignore_index is None:
            return where
        ignored = self.integer("ignore_index", ignore_index, "It is a value of targets.")
        # In the type that they come in: a narrower one may have the value for another.
        mask = not_equal(targets, ignored)
        return mask if where is None else beside(targets, where) & mask

    def class_weights(self, x: object, classes: int, dtype: torch.dtype) -> Tensor:
        """α with one weight per class: (C,)."""
        # One number would be a common factor, and is more likely the α of a sigmoid.
        advice = "A common factor belongs outside the loss."
        x = self.one_or_several("alpha", x)
        if not is_array(x):
            expected = f"an array or a list of shape {(classes,)}"
            self.fail(TypeError, "alpha", expected, type(x).__name__, advice)
        x = self.array("alpha", x)
        self.check_shape("alpha", x, (classes,), "with one weight per class", advice)
        return self.in_range("alpha", x.to(dtype), NONNEGATIVE, CORRECT)

    def axis(self, x: object, logits: Tensor) -> int:
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
        # No class, no probability. Compared, since before PyTorch 2.8 the truth of a size fixes it
        # in torch.compile.
        if shape[axis] == 0:
            advice = f"The classes are on axis {axis}."
            self.fail(ValueError, "logits", "at least one class", f"shape {shape}", advice)
        return axis

    def classes_of_kernel(self, kernel: Tensor, features: Tensor) -> int:
        """The number of classes of a linear layer's kernel, shape (C, D)."""
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
        if kernel.ndim != 2 or kernel.shape[1] != size or kernel.shape[0] == 0:
            expected = f"shape (C, {size}) for features of shape {tuple(features.shape)}"
            advice = (
                "It has a row per class, like torch.nn.Linear.weight, "
                "and is its transpose in focal_jax."
            )
            self.fail(ValueError, "kernel", expected, tuple(kernel.shape), advice)
        return kernel.shape[0]

    def bias(self, x: object, classes: int) -> Tensor:
        x = self.floating("bias", x)
        self.check_shape("bias", x, (classes,), "with one number per class", "None adds nothing.")
        return x

    def chunk_size(self, x: object) -> int:
        rows = self.integer("chunk_size", x, "It is a number of rows.")
        if rows < 1:
            self.fail(ValueError, "chunk_size", "at least 1 row", rows, "None chooses.")
        return rows

    def weight(
        self, x: object, shape: Shape, dtype: torch.dtype, where: Tensor | None
    ) -> Tensor | None:
        if x is None:
            return None
        weight = self.array("weight", x).to(dtype)
        self._check_broadcasts("weight", weight, shape)
        weight = self.in_range("weight", weight, FINITE, CORRECT, where)
        return torch.broadcast_to(weight, shape)

    def where(self, x: object, shape: Shape) -> Tensor | None:
        if x is None:
            return None
        x = self.array("where", x)
        # A mask of 0 and 255, or one of weights, would be read as something else.
        if not is_bool(x):
            self.fail(
                TypeError, "where", "bool values", dtype_name(x), "Compare first, e.g. mask > 0."
            )
        self._check_broadcasts("where", x, shape)
        return torch.broadcast_to(x, shape)

    def _check_broadcasts(self, argument: str, x: Tensor, shape: Shape) -> None:
        if x.ndim != len(shape) or not broadcasts(x, shape):
            expected = f"shape {shape} like the unreduced loss"
            advice = "Give it every dimension; one that repeats may be 1."
            self.fail(ValueError, argument, expected, tuple(x.shape), advice)

    def element_group(self, x: object, reduction: str) -> Group:
        """The ranks that elements are sharded over."""
        if x is None:
            return ALONE
        group = self._group("group", x)
        if reduction == "none":
            advice = '"none" sums nothing: leave it out.'
            self.fail(ValueError, "group", 'None for reduction "none"', x, advice)
        return Group(group.name, group.rank, group.size, losses=group.size)

    def class_group(self, x: object, *sharded: Tensor) -> Group:
        """The ranks that classes are sharded over, each of which has as many and the same rows."""
        if x is None:
            return ALONE
        group = self._group("class_group", x)
        if is_concrete(sharded[0]):
            mismatch = shape_mismatch(sharded, group)
            if mismatch is not None:
                shapes = " and ".join(str(tuple(x.shape)) for x in sharded)
                expected = f"{shapes} on all {group.size} ranks, as here"
                advice = "Split classes equally, and give each rank the same rows."
                self.fail(ValueError, "class_group", expected, mismatch, advice)
        return group

    def _group(self, argument: str, x: object) -> Group:
        if not isinstance(x, ProcessGroup):
            advice = "Take torch.distributed.group.WORLD, or the get_group of a DeviceMesh."
            self.fail(
                TypeError, argument, "a torch.distributed.ProcessGroup", type(x).__name__, advice
            )
        rank = get_rank(x)
        if rank < 0:
            expected = "a group that this rank is in"
            self.fail(ValueError, argument, expected, x.group_name, "Call it on its ranks alone.")
        return Group(x.group_name, rank, get_world_size(x))
