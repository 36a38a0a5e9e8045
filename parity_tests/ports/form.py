"""In which form a port takes its arguments and gives its loss, where that is not the usual one:
labels, shapes, α as an array, and a loss among other results.

    n samples of C classes      usual         for example
    logits of a sigmoid         (n,)          NC: (n, 1)       NCHW: (2, 1, h, w)
    logits of a softmax         (n, C)        NHWC: (2, h, w, C), NCHW: (2, C, h, w)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from parity_tests.contract.records import Record
from parity_tests.contract.tolerances import DTYPES

from .frameworks.framework import Array
from .subject import BadPortError, PortError

AXES = ("N", "NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC")
# The shape of logits that needs no word comes first.
OF_SIGMOID = {
    "logits": AXES,
    "targets": ("integer",),
    "alpha": ("array", "pair"),
    "gamma": ("array",),
}
OF_SOFTMAX = {
    "logits": AXES[1:],
    "targets": ("one-based", "one-hot"),
    "gamma": ("array",),
}
# Arguments in the shape of the losses.
EACH = ("targets", "weight", "where")


def choices(record: Record) -> Mapping[str, tuple[str, ...]]:
    """The forms that each argument may have."""
    return OF_SOFTMAX if record.classes else OF_SIGMOID


@dataclass(frozen=True)
class Form:
    classes: bool = False
    # By argument, where it is not the usual one.
    given: Mapping[str, str] = field(default_factory=dict)
    # Which of several results the loss is: an index, a key or a name; "" if there is one alone.
    result: str = ""
    # The port has one loss for each image, so that a batch of samples is one image.
    one_image: bool = False

    @property
    def axes(self) -> str:
        return self.given.get("logits", "")

    @property
    def is_usual(self) -> bool:
        """Whether any other shape of logits and targets could be asked about."""
        return not self.axes and self.given.get("targets") in (None, "integer")

    def named(self) -> str:
        return ", ".join(f"{name} as {form}" for name, form in self.given.items())

    def argument(self, name: str, x: Any, logits: tuple[int, ...], dtype: str) -> Any:
        """An argument in numpy, with the labels and numbers that the port takes, beside logits of
        this shape."""
        form = self.given.get(name, "")
        if name == "targets" and form and isinstance(x, np.ndarray):
            return _labels(form, x, logits, dtype)
        if name == "ignore_index" and self.given.get("targets") == "one-based":
            return x + 1
        if name not in ("alpha", "gamma") or not isinstance(x, float | int):
            return x
        if form == "pair":
            # The weights of class 0 and class 1.
            x = [1 - x, x]
        return np.array(x, DTYPES[dtype]) if form else x

    def is_by_image(self, losses: tuple[int, ...], count: int) -> bool:
        """Whether losses of this shape are one for each image."""
        if len(self.axes) < 3 or self.one_image:
            return False
        return losses == _sizes(self.axes, count, False)[:1] != (count,)

    def layout(self, name: str, x: Array) -> Array:
        """An array of the framework in the axes of the port."""
        if not self.axes or (name != "logits" and name not in EACH):
            return x
        sizes = _sizes(self.axes, x.shape[0], self.one_image)
        if not self.classes:
            return reshaped(x, sizes)
        if len(x.shape) == 2:
            return _with_classes(x, self.axes, sizes)
        place = self.axes.index("C")
        return reshaped(x, sizes[:place] + sizes[place + 1 :])

    def losses(self, result: Any, logits: tuple[int, ...], dtype: str) -> Array:
        """The loss among the results, for logits of this shape: one for each sample, or one for
        all."""
        # A shape of TensorFlow is true for a number, too.
        count = logits[0] if len(logits) else 1
        loss = self._picked(result)
        if isinstance(loss, float | int) and not isinstance(loss, bool | np.generic):
            return np.asarray(loss, DTYPES[dtype])
        shape = tuple(getattr(loss, "shape", ()))
        size = int(np.prod(shape, dtype=int))
        if shape and size == 1 and count > 1:
            return reshaped(loss, ())
        if self.axes and shape and size == count:
            return reshaped(loss, (count,))
        return loss

    def slopes(self, result: Array, logits: tuple[int, ...]) -> Array:
        """The gradient that a port gives, in logits of this shape."""
        if not self.axes:
            return result
        if not self.classes or self.axes.endswith("C"):
            return reshaped(result, logits)
        images = _sizes(self.axes, logits[0], self.one_image)[0]
        by_image = reshaped(result, (images, logits[1], -1))
        return reshaped(swapped(by_image), logits)

    def _picked(self, result: Any) -> Any:
        if not self.result:
            _require_one(result)
            return result
        key: Any = self.result
        if isinstance(result, tuple | list) and key.lstrip("-").isdigit():
            key = int(key)
        try:
            if isinstance(result, tuple | list | Mapping):
                return result[key]
            return getattr(result, key)
        except (LookupError, TypeError, AttributeError):
            raise PortError(
                f"returns {described(result)}, without what --result {self.result} names"
            ) from None


def _require_one(result: Any) -> None:
    if hasattr(result, "shape") or isinstance(result, float | int):
        return
    if isinstance(result, tuple | list):
        advice = "say which is the loss, --result 0"
    elif isinstance(result, Mapping):
        advice = f"say which is the loss, --result {next(iter(result), 'NAME')}"
    elif hasattr(result, "__dict__"):
        advice = "say which of its attributes is the loss, --result NAME"
    else:
        advice = "return the loss as an array"
    raise PortError(f"returns {described(result)}: {advice}")


def described(result: Any) -> str:
    kind = type(result).__name__
    if isinstance(result, Mapping):
        return f"a {kind} of {', '.join(map(str, result))}"
    if isinstance(result, tuple | list):
        return f"a {kind} of {len(result)}"
    return f"a {kind}"


def _labels(form: str, x: np.ndarray, logits: tuple[int, ...], dtype: str) -> np.ndarray:
    """Labels in numpy; what is between them, as probabilities are, stays what it is."""
    if x.dtype.kind == "b" or not np.array_equal(x, x.astype(np.int64)):
        return x
    if form == "integer":
        return x.astype(np.int64)
    if x.dtype.kind not in "iu":
        return x
    if form == "one-based":
        return x + 1
    return np.eye(logits[-1])[x].astype(DTYPES[dtype])


def _sizes(axes: str, count: int, one_image: bool) -> tuple[int, ...]:
    """How long the axes but that of the classes are: two images or more lines than one, where the
    count of samples allows it, so that no axis can be taken for another."""
    places = [axis for axis in axes if axis not in "NC"]
    lengths = dict.fromkeys(axes, 1)
    # The last place has what the others leave of the count.
    others = ["N", *places][:-1]
    if one_image:
        others = others[1:]
    for axis in others:
        if count % 2 == 0 and count > 2:
            lengths[axis] = 2
            count //= 2
    lengths[places[-1] if places else "N"] = count
    return tuple(lengths[axis] for axis in axes)


def _with_classes(x: Array, axes: str, sizes: tuple[int, ...]) -> Array:
    classes = x.shape[1]
    place = axes.index("C")
    if place == len(axes) - 1:
        return reshaped(x, (*sizes[:-1], classes))
    by_image = reshaped(x, (sizes[0], -1, classes))
    return reshaped(swapped(by_image), (sizes[0], classes, *sizes[2:]))


def reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    if hasattr(x, "reshape"):
        return x.reshape(shape)
    return import_module("tensorflow").reshape(x, shape)


def swapped(x: Array) -> Array:
    """With the last two of three axes in the other order."""
    if hasattr(x, "swapaxes"):
        return x.swapaxes(1, 2)
    return import_module("tensorflow").transpose(x, (0, 2, 1))


def parsed(record: Record, given: Mapping[str, str], result: str) -> Form:
    """The form that the user says, each word of it a known one."""
    known = choices(record)
    for name, form in given.items():
        if name not in known:
            raise BadPortError(f"--give {name}: it has one form; others have {', '.join(known)}")
        if form not in known[name]:
            raise BadPortError(f"--give {name}={form}: known are {', '.join(known[name])}")
    usual = AXES[1 if record.classes else 0]
    others = {name: form for name, form in given.items() if form != usual}
    return Form(record.classes, others, result)
