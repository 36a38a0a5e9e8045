"""Bad calls of both losses: logits, targets, settings, the class of the error, and its text."""

from typing import Any, NamedTuple

import numpy as np

from .calls import SIGMOID, SOFTMAX

Z = np.zeros((8, 4))
Y = np.zeros((8, 4))
T = np.zeros(8, np.int64)
NAN = float("nan")

# The ends of several messages.
IN_AN_ARRAY = "Make it an array (in PyTorch a tensor) first."
AS_FLOAT32 = "Convert it, e.g. to float32."
RESHAPED = "Reshape it, e.g. targets[:, None]."
NO_LOGIT = "It is a probability, no logit. Leave others out with where."
NO_LOGITS = "They are probabilities, no logits. Leave others out with where."
SEVERAL = "For several, give an array (in PyTorch a tensor)."
CORRECTED = "Correct it before the call."
REPEATED = "Write a dimension that repeats as 1."
ALL_DIMENSIONS = "Give it every dimension; one that repeats may be 1."
NO_OTHER = "No other is defined."
OUTSIDE = "A common factor belongs outside the loss."
OF_CLASS_1 = "It is the weight of class 1, and class 0 has 1 − α."
PER_SAMPLE = "Per sample, keep the class axis with length 1."
DEFAULT_AXIS = "It is the axis of the classes: by default -1 in JAX, 1 in PyTorch."


class Case(NamedTuple):
    function: str
    logits: Any
    targets: Any
    settings: dict[str, Any]
    error: type[Exception]
    text: str


CASES: list[Case] = []


def sigmoid(
    error: type[Exception], start: str, end: str, logits: Any = Z, targets: Any = Y, **settings: Any
) -> None:
    CASES.append(Case(SIGMOID, logits, targets, settings, error, f"{start} {end}"))


def softmax(
    error: type[Exception], start: str, end: str, logits: Any = Z, targets: Any = T, **settings: Any
) -> None:
    CASES.append(Case(SOFTMAX, logits, targets, settings, error, f"{start} {end}"))


def bad(at: tuple[int, ...], value: float, like: np.ndarray = Y) -> np.ndarray:
    array = like.copy()
    array[at] = value
    return array


ABOVE_1 = bad((2, 3), 1.5)
IS_NAN = bad((2, 3), NAN)
NEGATIVE = bad((0, 1), -1).astype(int)

message = "logits=...): expected an array, got list."
sigmoid(TypeError, message, IN_AN_ARRAY, logits=[1.0])
message = "logits=...): expected floating-point numbers, got int64."
sigmoid(TypeError, message, AS_FLOAT32, logits=T, targets=T)
message = "logits=...): expected real numbers, got complex128."
sigmoid(TypeError, message, AS_FLOAT32, logits=Z + 0j)
message = "targets=...): expected an array, got float."
sigmoid(TypeError, message, IN_AN_ARRAY, targets=1.0)
message = "targets=...): expected shape (8, 4) like logits, got (8,)."
sigmoid(ValueError, message, RESHAPED, targets=T)
message = "targets=...): expected shape (8,) like logits, got (8, 1)."
sigmoid(ValueError, message, RESHAPED, logits=Z[:, 0], targets=Z[:, :1])
message = "targets=...): expected values in [0, 1], got 1.5 at (2, 3)."
sigmoid(ValueError, message, NO_LOGIT, targets=ABOVE_1)
message = "targets=...): expected values in [0, 1], got nan at (2, 3)."
sigmoid(ValueError, message, "Leave it out with where.", targets=IS_NAN)
message = "targets=...): expected values in [0, 1], got -1 at (0, 1)."
end = "If it means no label, ignore_index=-1 or where leaves it out."
sigmoid(ValueError, message, end, targets=NEGATIVE)
message = "targets=...): expected values in [0, 1], got 255 at (0, 1)."
end = (
    "Of a mask from 0 to 255 take mask > 0. "
    "If it means no label, ignore_index=255 or where leaves it out."
)
sigmoid(ValueError, message, end, targets=255 * -NEGATIVE)
sigmoid(ValueError, message, end, targets=(255 * -NEGATIVE).astype(np.uint8))
message = "weight=...): expected values finite, got inf at (2, 3)."
sigmoid(ValueError, message, CORRECTED, weight=bad((2, 3), np.inf))

message = "alpha=...): expected a number in [0, 1], got -1."
sigmoid(ValueError, message, "None weights nothing.", alpha=-1)
message = "alpha=...): expected a number in [0, 1], got str."
sigmoid(TypeError, message, OF_CLASS_1, alpha="a")
message = "alpha=...): expected values in [0, 1], got 2.0 at (2,)."
sigmoid(ValueError, message, OF_CLASS_1, alpha=np.array([0.0, 0.5, 2.0, 1.0]))
message = "alpha=...): expected values in [0, 1], got -1.0 at ()."
sigmoid(ValueError, message, "None weights nothing.", alpha=np.array(-1.0))
message = "alpha=...): expected a shape that broadcasts to (8, 4), got (3,)."
sigmoid(ValueError, message, REPEATED, alpha=np.zeros(3))
message = "gamma=...): expected a number finite and at least 0, got -0.5."
sigmoid(ValueError, message, SEVERAL, gamma=-0.5)
message = "gamma=...): expected a number finite and at least 0, got inf."
sigmoid(ValueError, message, SEVERAL, gamma=float("inf"))
message = "gamma=...): expected a number finite and at least 0, got nan."
sigmoid(ValueError, message, SEVERAL, gamma=NAN)
message = "gamma=...): expected values finite and at least 0, got -1.0 at (1,)."
sigmoid(ValueError, message, CORRECTED, gamma=np.array([1.0, -1.0, 0.0, 0.0]))
message = "gamma=...): expected a shape that broadcasts to (8, 4), got (2, 8, 4)."
sigmoid(ValueError, message, REPEATED, gamma=np.zeros((2, 8, 4)))
message = "gamma=...): expected a number finite and at least 0, got NoneType."
sigmoid(TypeError, message, SEVERAL, gamma=None)

message = "soft_targets=...): expected one of 'interpolate', 'mixture', 'quality', got 'kornia'."
sigmoid(ValueError, message, NO_OTHER, soft_targets="kornia")
message = "reduction=...): expected one of 'none', 'sum', 'mean', 'mean_positive', got 'avg'."
sigmoid(ValueError, message, NO_OTHER, reduction="avg")
message = "where=...): expected bool values, got float64."
sigmoid(TypeError, message, "Compare first, e.g. mask > 0.", where=Y)
message = "where=...): expected shape (8, 4) like the unreduced loss, got (8,)."
sigmoid(ValueError, message, ALL_DIMENSIONS, where=T == 0)
message = "weight=...): expected shape (8, 4) like the unreduced loss, got (4,)."
sigmoid(ValueError, message, ALL_DIMENSIONS, weight=np.zeros(4))
message = "weight=...): expected an array, got float."
sigmoid(TypeError, message, IN_AN_ARRAY, weight=2.0)

message = "targets=...): expected values in [0, 4), got 4 at (0,)."
end = "The first class is 0. If it means no class, ignore_index=4 or where leaves it out."
softmax(ValueError, message, end, targets=T + 4)
message = "targets=...): expected values in [0, 4), got -100 at (5,)."
end = "If it means no class, ignore_index=-100 or where leaves it out."
softmax(ValueError, message, end, targets=bad((5,), -100, T))
message = "targets=...): expected values in [0, 4), got 4294967298 at (0,)."
end = "If it means no class, ignore_index=4294967298 or where leaves it out."
softmax(ValueError, message, end, targets=T + 2**32 + 2)
message = "targets=...): expected shape (8,) like logits without its class axis, got (8, 1)."
softmax(ValueError, message, "Class probabilities are floats.", targets=T[:, None])
message = "targets=...): expected shape (8, 4) like logits, got (8, 3)."
softmax(ValueError, message, "Class ids are integers.", targets=Y[:, :3])
message = "targets=...): expected values in [0, 1], got 1.5 at (2, 3)."
softmax(ValueError, message, NO_LOGITS, targets=ABOVE_1)

message = "alpha=...): expected an array or a list of shape (4,), got float."
softmax(TypeError, message, OUTSIDE, alpha=0.25)
message = "alpha=...): expected shape (4,) with one weight per class, got (3,)."
softmax(ValueError, message, OUTSIDE, alpha=np.ones(3))
message = "alpha=...): expected values finite and at least 0, got -1.0 at (1,)."
softmax(ValueError, message, CORRECTED, alpha=np.array([1.0, -1.0, 1.0, 1.0]))
message = (
    "gamma=...): expected shape () or (4,), or 2 dimensions that broadcast to (8, 4), got (8,)."
)
softmax(ValueError, message, PER_SAMPLE, gamma=np.ones(8))
message = "gamma=...): expected values finite and at least 0, got nan at (3,)."
softmax(ValueError, message, CORRECTED, gamma=np.array([1.0, 1.0, 1.0, NAN]))

message = "axis=...): expected an axis of logits of shape (8, 4), got 2."
softmax(ValueError, message, DEFAULT_AXIS, axis=2)
message = "axis=...): expected an integer, got float."
softmax(TypeError, message, "Name the class axis by its number.", axis=1.0)
message = "logits=...): expected at least one class, got shape (8, 0)."
softmax(ValueError, message, "The classes are on axis 1.", logits=Z[:, :0])
message = "label_smoothing=...): expected a number in [0, 1], got 1.5."
softmax(ValueError, message, "0 smooths nothing.", label_smoothing=1.5)
message = "ignore_index=...): expected an integer, got float."
softmax(TypeError, message, "It is a value of targets.", ignore_index=0.5)
message = "ignore_index=...): expected None for class probabilities, got 0."
softmax(ValueError, message, "Use where.", targets=Y, ignore_index=0)
message = "reduction=...): expected one of 'none', 'sum', 'mean', 'mean_positive', got None."
softmax(ValueError, message, NO_OTHER, reduction=None)
message = "where=...): expected shape (8,) like the unreduced loss, got (8, 4)."
softmax(ValueError, message, ALL_DIMENSIONS, where=np.ones((8, 4), bool))
