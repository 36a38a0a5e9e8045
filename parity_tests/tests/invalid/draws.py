"""Random calls with values out of range, and what a reference in float64 says of each element.

A call has D draws of R rows with C classes: logits (D, R, C). An element is one logit of a sigmoid,
and a row of a softmax. `invalid` says which elements a value out of range enters that no mask
leaves out: they are NaN, and all others as if it were not there.
"""

from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.exact import Draws

from .formulas import focal, margins, sigmoid_loss

ROWS, CLASSES, FEATURES = 3, 4, 2
NAN, INF = np.nan, np.inf
SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
LINEAR = "linear_softmax_focal_loss"
# What nothing may be: no number, and no finite one.
NEVER = (NAN, INF, -INF)
OUT_OF_RANGE = {"alpha": (*NEVER, -1.0), "gamma": (*NEVER, -0.5), "weight": NEVER}
OUT_OF_UNIT = (*NEVER, -0.25, 1.25, 3.0, 255.0)
INTEGERS = ("uint8", "int8", "int16", "int32")
FLOATS = ("float32", "float32", "bfloat16", "float16")


class Call(NamedTuple):
    """A loss, what of it is static, its arrays (D, …) by argument, and the reference's answer."""

    function: str
    static: dict[str, Any]
    arrays: dict[str, np.ndarray]
    # Of each element: whether a mask leaves it in, whether it is NaN, and else its loss.
    kept: np.ndarray
    invalid: np.ndarray
    loss: np.ndarray
    # Of each draw: whether the divisor is NaN, and else what it is.
    invalid_divisor: np.ndarray
    divisor: np.ndarray
    # Of each draw: whether it is an error where values are known.
    refused: np.ndarray


class Sampler:
    """The random numbers of one call."""

    def __init__(self, seed: tuple[int, int], count: int) -> None:
        self.draws = Draws(seed)
        self.count = count

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.draws.integers(0, len(choices)))]

    def shape(self, *axes: int) -> tuple[int, ...]:
        return (self.count, *axes)

    def coin(self, *axes: int, one_in: int = 2) -> np.ndarray:
        return self.draws.integers(0, one_in, self.shape(*axes)) == 0

    def eighths(self, low: int, high: int, *axes: int) -> np.ndarray:
        """Multiples of 1/8, which every floating type has."""
        return self.draws.integers(low * 8, high * 8 + 1, self.shape(*axes)) / 8

    def spoil(self, x: np.ndarray, values: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """x with a value out of range in some entries of some draws, and which those are."""
        axes = (1,) * (x.ndim - 1)
        bad = self.coin(*x.shape[1:], one_in=5) & self.coin(*axes, one_in=3)
        return np.where(bad, self.draws.choice(values, x.shape), x), bad

    def logits(self, *axes: int) -> np.ndarray:
        # Some so large that σ is 0 or 1.
        large = 100.0 * self.draws.integers(-1, 2, self.shape(*axes))
        return np.where(self.coin(*axes, one_in=6), large, self.eighths(-6, 6, *axes))


def sample(seed: tuple[int, int], count: int) -> Call:
    """A call with settings of its own, and `count` draws of its arrays."""
    sampler = Sampler(seed, count)
    function = sampler.one_of(SIGMOID, SIGMOID, SOFTMAX, SOFTMAX, LINEAR)
    return _sigmoid(sampler) if function == SIGMOID else _softmax(sampler, function)


def _sigmoid(sampler: Sampler) -> Call:
    shape = (ROWS, CLASSES)
    z = sampler.logits(*shape)
    kind = sampler.one_of("float", *INTEGERS)
    static: dict[str, Any] = {"reduction": sampler.one_of("none", "sum", "mean", "mean_positive")}
    static["soft_targets"] = sampler.one_of("interpolate", "mixture")
    if kind == "float":
        y, bad_y = sampler.spoil(sampler.eighths(0, 1, *shape), OUT_OF_UNIT)
    else:
        info = np.iinfo(kind)
        out = tuple(x for x in (2, 3, 255, -1, info.min, info.max) if _no_bit(x, info))
        y, bad_y = sampler.spoil(sampler.coin(*shape).astype(np.int64), out)
    arrays = {"logits": z, "targets": y}
    kept = _mask(sampler, arrays, shape)
    if sampler.one_of(True, False):
        static["ignore_index"] = sampler.one_of(255, -1, 2)
        kept = kept & (y != static["ignore_index"])
    alpha, bad_alpha = _parameter(sampler, "alpha", static, arrays, ((), (CLASSES,), shape))
    gamma, bad_gamma = _parameter(sampler, "gamma", static, arrays, ((), (CLASSES,), shape))
    weight, bad_weight = _weight(sampler, arrays, shape)
    invalid = kept & (bad_y | bad_alpha | bad_gamma | bad_weight)
    y_right = np.where(bad_y, 0, y)
    alpha_0 = alpha if "alpha" in static else 1 - alpha
    loss = weight * sigmoid_loss(z, y_right, alpha, alpha_0, gamma, static["soft_targets"])
    arrays["targets"] = y.astype("float32" if kind == "float" else kind)
    bad_divisor = (kept & bad_y).any((1, 2)) & (static["reduction"] == "mean_positive")
    positives = np.where(kept, y_right, 0)
    refused: Any = invalid.any((1, 2))
    return _call(SIGMOID, static, arrays, kept, invalid, loss, positives, bad_divisor, refused)


def _softmax(sampler: Sampler, function: str) -> Call:
    static: dict[str, Any] = {"reduction": sampler.one_of("none", "sum", "mean", "mean_positive")}
    static["label_smoothing"] = sampler.one_of(0.0, 0.0, 0.125)
    arrays: dict[str, np.ndarray] = {}
    z = sampler.logits(ROWS, CLASSES)
    if function == LINEAR:
        arrays["features"] = sampler.eighths(-2, 2, ROWS, FEATURES)
        arrays["kernel"] = sampler.eighths(-2, 2, FEATURES, CLASSES)
        z = arrays["features"] @ arrays["kernel"]
    else:
        static["axis"] = -1
        arrays["logits"] = z
    kept = _mask(sampler, arrays, (ROWS,))
    soft = function == SOFTMAX and sampler.one_of(True, False)
    if soft:
        y, bad_y = sampler.spoil(sampler.eighths(0, 1, ROWS, CLASSES), OUT_OF_UNIT)
        enters = np.ones(y.shape, bool)
        arrays["targets"] = y
        y = np.where(bad_y, 0, y)
    else:
        kind = sampler.one_of(*INTEGERS)
        info = np.iinfo(kind)
        out = tuple(x for x in (CLASSES, 7, 100, 255, -1, info.min, info.max) if _no_id(x, info))
        ids, bad_ids = sampler.spoil(sampler.draws.integers(0, CLASSES, z.shape[:2]), out)
        arrays["targets"] = ids.astype(kind)
        if sampler.one_of(True, False):
            static["ignore_index"] = sampler.one_of(255, -1, 1)
            kept = kept & (ids != static["ignore_index"])
        y = (np.where(bad_ids, 0, ids)[..., None] == np.arange(CLASSES)).astype(float)
        bad_y = bad_ids[..., None] & np.ones(CLASSES, bool)
        enters = (y > 0) | (static["label_smoothing"] > 0)
    alpha, bad_alpha = _parameter(sampler, "alpha", static, arrays, ((CLASSES,),))
    per_row = ((), (CLASSES,), (ROWS, 1), (ROWS, CLASSES))
    gamma, bad_gamma = _parameter(sampler, "gamma", static, arrays, per_row)
    weight, bad_weight = _weight(sampler, arrays, (ROWS,))
    of_classes = bad_y | ((bad_alpha | bad_gamma) & enters)
    invalid = kept & (of_classes.any(-1) | bad_weight)
    # Also what belongs to a class that no row has.
    of_rows = bad_y.any(-1) | bad_weight
    refused: Any = bad_alpha.any((1, 2))
    if bad_gamma.shape[1] > 1:
        of_rows = of_rows | bad_gamma.any(-1)
    else:
        refused = refused | bad_gamma.any((1, 2))
    refused = refused | (kept & of_rows).any(1)
    smoothing = static["label_smoothing"]
    smooth = (1 - smoothing) * y + smoothing / CLASSES
    loss = weight * (smooth * alpha * focal(margins(z), gamma)).sum(-1)
    if soft:
        positives = np.where(kept, y.sum(-1), 0)
        bad_divisor = (kept & bad_y.any(-1)).any(1) & (static["reduction"] == "mean_positive")
    else:
        positives, bad_divisor = kept, np.zeros(len(kept), bool)
    return _call(function, static, arrays, kept, invalid, loss, positives, bad_divisor, refused)


def _no_bit(x: int, info: np.iinfo) -> bool:
    return info.min <= x <= info.max and x not in (0, 1)


def _no_id(x: int, info: np.iinfo) -> bool:
    return info.min <= x <= info.max and not 0 <= x < CLASSES


def _call(
    function: str,
    static: dict[str, Any],
    arrays: dict[str, np.ndarray],
    kept: np.ndarray,
    invalid: np.ndarray,
    loss: np.ndarray,
    positives: np.ndarray,
    invalid_divisor: np.ndarray,
    refused: np.ndarray,
) -> Call:
    axes = tuple(range(1, kept.ndim))
    counts = kept if static["reduction"] == "mean" else positives
    divisor = np.maximum(counts.sum(axes), 1)
    if static["reduction"] in ("none", "sum"):
        divisor = np.ones(len(kept))
    loss = np.where(kept, np.where(invalid, 0, loss), 0)
    return Call(function, static, arrays, kept, invalid, loss, invalid_divisor, divisor, refused)


def _mask(sampler: Sampler, arrays: dict[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    if sampler.one_of(True, False):
        return np.ones(sampler.shape(*shape), bool)
    arrays["where"] = sampler.coin(*shape)
    return arrays["where"]


def _weight(
    sampler: Sampler, arrays: dict[str, np.ndarray], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    if sampler.one_of(True, False):
        return np.ones(sampler.shape(*shape)), np.zeros(sampler.shape(*shape), bool)
    right = sampler.eighths(0, 2, *shape)
    arrays["weight"], bad = sampler.spoil(right, OUT_OF_RANGE["weight"])
    return right, bad


def _parameter(
    sampler: Sampler,
    name: str,
    static: dict[str, Any],
    arrays: dict[str, np.ndarray],
    shapes: tuple[tuple[int, ...], ...],
) -> tuple[np.ndarray, np.ndarray]:
    """α or γ as an array or as a number: what it is without those out of range, and which are."""
    axes = (1, 1)
    if sampler.one_of(True, False):
        number = 1.5 if name == "gamma" else None
        static[name] = number
        return np.full(sampler.shape(*axes), number or 1.0), np.zeros(sampler.shape(*axes), bool)
    shape = sampler.one_of(*shapes)
    right = sampler.eighths(0, 1 if name == "alpha" else 3, *shape)
    arrays[name], bad = sampler.spoil(right, OUT_OF_RANGE[name])
    axes = (1,) * (2 - len(shape)) + shape
    return right.reshape(sampler.shape(*axes)), bad.reshape(sampler.shape(*axes))
