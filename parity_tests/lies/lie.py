"""A lie: what is wrong, how, and when; and the port that tells it."""

import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor

import focal_torch
from parity_tests.contract.family_records import FAMILY
from parity_tests.contract.problems import powers_of

from .changes import COTANGENTS, GRADIENTS, SECOND, VALUES, Change, Tampered, TamperedTwice
from .occasions import LEFT_OUT, OCCASIONS, OF_FAMILY, OF_SIGMOID, OF_SOFTMAX, Occasion, Told

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
LINEAR = "linear_softmax_focal_loss"
Port = Callable[..., Tensor]

# What may be wrong, and the layers one of which has to say so.
IN_VALUES = ("values", "soft targets", "special values", "identities", "options", "dtypes")
IN_VALUES += ("gradients", "backward", "neighbours", "second order", "arguments")
IN_GRADIENTS = ("gradients", "soft targets", "special values", "backward", "neighbours")
IN_SECOND = ("second order", "backward", "neighbours")
IN_ARGUMENTS = ("arguments",)
IN_LINEAR = ("kernel and bias",)


@dataclass(frozen=True)
class Lie:
    function: str
    # "loss", "cotangent", "second derivative", or the argument whose gradient it is.
    subject: str
    change_name: str
    occasion_name: str
    change: Change
    occasion: Occasion
    layers: tuple[str, ...]

    @property
    def name(self) -> str:
        of = "" if self.subject in ("loss", "cotangent", "second derivative") else "gradient in "
        return f"{self.function}: {of}{self.subject} {self.change_name} {self.occasion_name}"

    @property
    def has_classes(self) -> bool:
        return self.function in (SOFTMAX, LINEAR)

    @property
    def input(self) -> str:
        return "features" if self.function == LINEAR else "logits"

    @property
    def dtype(self) -> str:
        """The dtype in which it is told."""
        for dtype in ("float64", "bfloat16", "float16"):
            if self.occasion_name == f"in {dtype}":
                return dtype
        return "float32"

    def port(self) -> Port:
        """A new one, which counts its calls."""
        loss_of = getattr(focal_torch, self.function)
        signature = inspect.signature(loss_of)
        calls = itertools.count(1)

        # The checker reads which arguments a port takes.
        @wraps(loss_of)
        def port(*args: Any, **options: Any) -> Tensor:
            bound = signature.bind(*args, **options)
            bound.apply_defaults()
            logits, targets = (bound.arguments.pop(name) for name in (self.input, "targets"))
            return self._call(logits, targets, bound.arguments, next(calls))

        return port

    def _call(self, logits: Tensor, targets: Tensor, options: dict[str, Any], calls: int) -> Tensor:
        loss_of = getattr(focal_torch, self.function)
        told = self._told(logits, targets, options, calls)
        arguments = {self.input: logits, "targets": targets, **options}
        if told is None:
            return loss_of(**arguments)
        if self.subject == "second derivative":
            change = self._on_occasion(told)
            arguments[self.input] = TamperedTwice.apply(logits, change)
        elif self.subject in arguments and isinstance(arguments[self.subject], Tensor):
            tensor: Tensor = arguments[self.subject]
            if tensor.is_floating_point():
                arguments[self.subject] = Tampered.apply(tensor, self._on_occasion(told))
        loss = loss_of(**arguments)
        if self.subject == "loss":
            return self._on_occasion(told)(loss)
        if self.subject == "cotangent":
            return Tampered.apply(loss, self._on_occasion(told))
        return loss

    def _told(
        self, logits: Tensor, targets: Tensor, options: dict[str, Any], calls: int
    ) -> Told | None:
        """The call as occasions see it; None where shapes do not fit."""
        classes = self.has_classes
        axis = int(options.get("axis", -1)) % max(logits.ndim, 1)
        shape = logits.shape
        if classes:
            shape = logits.shape[:axis] + logits.shape[axis + 1 :]
        ids = targets.detach()
        if classes and targets.is_floating_point():
            if ids.ndim != logits.ndim:
                return None
            ids = ids.argmax(axis)
        if ids.shape != shape or not logits.numel():
            return None
        return Told(logits.detach(), ids, options, calls, classes)

    def _on_occasion(self, told: Told) -> Change:
        occasion = self.occasion(told)

        def change(x: Tensor) -> Tensor:
            if not isinstance(occasion, Tensor):
                return self.change(x) if occasion else x
            if x.ndim < occasion.ndim:
                return self.change(x) if occasion.any() else x
            mask = occasion.unsqueeze(told.axis) if x.ndim > occasion.ndim else occasion
            return torch.where(mask, self.change(x), x)

        return change


def lies() -> Iterator[Lie]:
    yield from _of_logits(SIGMOID, OCCASIONS | OF_SIGMOID, ("gamma", "alpha"))
    yield from _of_logits(SOFTMAX, OCCASIONS | OF_SOFTMAX, ("gamma", "alpha"))
    for function in FAMILY:
        yield from _of_logits(function, _of_family(function), _numbers(function))
    yield from _of_a_linear_layer()


def _numbers(function: str) -> tuple[str, ...]:
    """The settings in which a loss of the family is differentiated."""
    return (*powers_of(function), "alpha")


def _of_family(function: str) -> dict[str, Occasion]:
    record = FAMILY[function]
    occasions = dict(OCCASIONS)
    if not record.argument("gamma"):
        occasions = {name: told for name, told in occasions.items() if "γ" not in name}
    for name, own in OF_FAMILY.items():
        if record.argument(name):
            occasions |= own
    return occasions


def _of_logits(
    function: str, occasions: dict[str, Occasion], numbers: tuple[str, ...]
) -> Iterator[Lie]:
    # Of one row there is no neighbour, and 0.1 % are less than half precision holds.
    always = {"always": OCCASIONS["always"]}
    parts = [
        ("loss", VALUES, occasions, IN_VALUES),
        ("logits", GRADIENTS, occasions | LEFT_OUT, IN_GRADIENTS),
        ("second derivative", SECOND, _of_second(occasions), IN_SECOND),
        ("cotangent", COTANGENTS, _of_cotangents(occasions), IN_GRADIENTS + IN_SECOND),
    ]
    for argument in (*numbers, "weight", "targets"):
        parts.append((argument, SECOND, always, IN_ARGUMENTS))
    for subject, changes, told_when, layers in parts:
        for (change, to), (occasion, when) in itertools.product(changes.items(), told_when.items()):
            lie = Lie(function, subject, change, occasion, to, when, layers)
            if _is_one(lie):
                yield lie


def _of_a_linear_layer() -> Iterator[Lie]:
    """As softmax losses they are those above: here is what rows share."""
    changes = {name: GRADIENTS[name] for name in SHARED}
    told_when = {name: told for name, told in (OCCASIONS | OF_SOFTMAX).items() if _of_all(name)}
    # Its classes are on the last axis.
    del told_when["with the classes on another axis"]
    for argument, (change, to), (occasion, when) in itertools.product(
        ("kernel", "bias"), changes.items(), told_when.items()
    ):
        lie = Lie(LINEAR, argument, change, occasion, to, when, IN_LINEAR)
        if _is_one(lie):
            yield lie


SHARED = ("negated", "zeroed", "0.1 % off", "raised", "averaged", "reversed")


def _of_all(occasion: str) -> bool:
    """Whether it is one of calls, and not of elements."""
    return not occasion.startswith(("of ", "at |logit|"))


def _of_second(occasions: dict[str, Occasion]) -> dict[str, Occasion]:
    """Half precision has no second derivative that is judged, nor has a mean over axes."""
    return {name: told for name, told in occasions.items() if name not in NOT_IN_SECOND}


NOT_IN_SECOND = ("in bfloat16", "in float16", "through mean with axes of elements")


def _of_cotangents(occasions: dict[str, Occasion]) -> dict[str, Occasion]:
    """A number has no elements of which a lie could be told."""
    chosen = ("always", "with where", "with weight", "in float64", "at γ = 0", "at γ = 2")
    chosen += ("with one γ per class", "with one γ per element")
    chosen += ("with axes of elements", "with the classes on another axis")
    return {name: told for name, told in occasions.items() if name in chosen}


def _is_one(lie: Lie) -> bool:
    """Whether it changes anything."""
    alone = lie.occasion_name == "in batches of 1"
    if alone and lie.change_name in ("shifted by a row", "averaged", "times N"):
        return False
    if alone and lie.change_name == "reversed" and not lie.has_classes:
        return False
    half = lie.dtype in ("bfloat16", "float16")
    if half and lie.change_name == "0.1 % off":
        return False
    # A number has no rows, and at the tails of a sigmoid the second derivative is 0.
    if lie.subject == "loss" and "through" in lie.occasion_name:
        return lie.change_name != "shifted by a row"
    if lie.subject == "second derivative" and not lie.has_classes:
        return "100 to" not in lie.occasion_name
    # What is left out has gradient 0, of which these make 0.
    if lie.occasion_name == "of what is left out":
        return lie.change_name in ("raised", "shifted by a row", "averaged")
    return True
