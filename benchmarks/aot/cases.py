"""What is compiled, and what is required of it. Each bound stands here once, with its reason."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import jax
import numpy as np

# More rows than a TPU could keep on its chip, even with one byte per element.
ROWS, CLASSES = 1 << 21, 90
# The rows of a softmax, by its number of classes: each time 4 GB of float32 logits.
ROWS_OF = {128256: 1 << 13, 1000: 1 << 20, 80: 13 << 20}
# How many values of γ a vmap has, for so many times fewer rows.
GAMMAS = 8
OURS = "focal_jax"

# Every argument is read once and every result written once. Beside them are only the partial sums
# of a reduction.
FORWARD = 1.05
# The same where the value comes with its gradient.
GRADIENT = 1.10
# A divisor that is a sum over the targets or the mask is known only after a pass over them: above
# the one reading of all, one of these. For float32 that is below 1.40.
DIVISOR = 1.01
# A vmap over γ may move what as many calls do: a GPU writes one gradient after the other, and comes
# to the logits anew. The gradient of a softmax needs its whole row first, and not every chip can
# keep one: two reads and one write.
TWO_READS = 1.5
SOFTMAX = 1.55
# The numbers that a row comes down to go from kernel to kernel, each of 4 bytes written and read:
# so many bytes a row, which is nothing beside a thousand classes. Beside 80 it is more than the
# bound above leaves.
ROW_FORWARD, ROW_GRADIENT = 80, 144
# The same for rows that stay on the chip: reported, not required.
STRETCH = 1.10
# Temporaries, in units of the logits: partial sums, but nothing that is there for every element.
TEMPORARIES = 0.01
# Of a vmap over γ, in float32 arrays: what all γ share may be stored, but nothing for each of them.
SHARED = 4
# Those of a softmax are partial sums of its rows and, in bytes, the few numbers that a row comes
# down to.
ROW_TEMPORARIES, ROW_BYTES = 0.05, 32
# On this device XLA stores which float targets of half precision are in range, where a mask and the
# sum of the targets need that before the gradient does: a byte for each, written and read.
STORES_RANGES = "B200"
# What is read a second time, after the divisor is known.
DIVISOR_NEEDS = {"mean_positive": ("targets", "where"), "mean": ("where",)}

# The values of each argument of a case.
Options = dict[str, Sequence[Any]]
DTYPE: Options = {"dtype": ("float32", "bfloat16")}
REDUCTION: Options = {"reduction": ("sum", "mean", "none")}
ARRAYS: Options = {"per_class": (False, True), "where": (False, True), "weight": (False, True)}
# The losses whose targets are more than a class. Of the asymmetric loss γ is that of negatives.
FAMILY = ("quality", "varifocal", "heatmap", "asymmetric")
SOFTMAX_OF: Options = {
    **DTYPE,
    "loss": ("softmax",),
    "targets": ("int32",),
    "classes": tuple(ROWS_OF),
}


@dataclass(frozen=True)
class Case:
    """A loss, how it is called, and what is compiled of it: value_and_grad, forward, donated or
    vmap (over γ)."""

    loss: str = "sigmoid"
    run: str = "value_and_grad"
    dtype: str = "float32"
    targets: str = "float"
    gamma: float = 2.0
    reduction: str = "sum"
    per_class: bool = False
    where: bool = False
    weight: bool = False
    classes: int = CLASSES
    by: str = OURS

    @property
    def has_rows(self) -> bool:
        """Whether a loss is that of a row of logits, and not of each by itself."""
        return self.loss == "softmax"

    @property
    def shape(self) -> tuple[int, int]:
        rows = ROWS_OF[self.classes] if self.has_rows else ROWS
        if self.run == "vmap":
            rows //= GAMMAS
        return rows, self.classes

    @property
    def name(self) -> str:
        whose = "" if self.by == OURS else f"{self.by}, "
        kind = f"{self.classes} classes" if self.has_rows else f"{self.targets} targets"
        gamma = f"{GAMMAS} γ" if self.run == "vmap" else f"γ = {self.gamma:g}"
        parts = [f"{whose}{self.loss} {self.run}", self.dtype, kind, gamma, self.reduction]
        options = {"α per class": self.per_class, "where": self.where, "weight": self.weight}
        parts += [option for option, is_given in options.items() if is_given]
        return ", ".join(parts)


def arguments(case: Case) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays that a case is called with. Losses that are not reduced come with their
    cotangent."""
    of_loss = case.shape[:1] if case.has_rows else case.shape
    targets = case.dtype if case.targets == "float" else case.targets
    arrays = {"logits": (case.shape, case.dtype), "targets": (of_loss, targets)}
    if case.per_class:
        arrays["alpha"] = (case.shape[1:], "float32")
    if case.run == "vmap":
        arrays["gamma"] = ((GAMMAS,), "float32")
    if case.where:
        arrays["where"] = (of_loss, "bool")
    if case.weight:
        arrays["weight"] = (of_loss, "float32")
    if case.reduction == "none" and case.run != "forward":
        arrays["cotangent"] = (of_loss, case.dtype)
    return {name: jax.ShapeDtypeStruct(*array) for name, array in arrays.items()}


def _bytes(case: Case) -> dict[str, int]:
    """Those of each argument."""
    return {name: math.prod(x.shape) * x.dtype.itemsize for name, x in arguments(case).items()}


def traffic(case: Case) -> float:
    """The bytes that may be moved, in units of the ideal: all arguments and all results once."""
    sizes = _bytes(case)
    read, gradient = sum(sizes.values()), sizes["logits"]
    if case.has_rows:
        return _row_traffic(case, read, gradient)
    if case.run == "vmap":
        return GRADIENT * _calls(case, read, gradient)
    again = sum(sizes.get(name, 0) for name in DIVISOR_NEEDS.get(case.reduction, ()))
    if case.run == "forward":
        return FORWARD + again / read
    return DIVISOR + again / (read + gradient) if again else GRADIENT


def stored_ranges(device: str, case: Case) -> int:
    """The bytes of what is stored of the range of targets."""
    if (device, case.dtype, case.targets) != (STORES_RANGES, "bfloat16", "float"):
        return 0
    is_known_late = case.reduction == "mean_positive" and case.where
    return math.prod(case.shape) if is_known_late else 0


def _row_traffic(case: Case, read: int, gradient: int) -> float:
    rows = case.shape[0]
    if case.run == "forward":
        return max(FORWARD, 1 + rows * ROW_FORWARD / read)
    if case.run == "vmap":
        return SOFTMAX * _calls(case, read, gradient)
    return max(SOFTMAX, TWO_READS + rows * ROW_GRADIENT / (read + gradient))


def _calls(case: Case, read: int, gradient: int) -> float:
    """One call for each γ, which may read what they share in float32."""
    wide = read - gradient + math.prod(case.shape) * 4
    return GAMMAS * (wide + gradient) / (read + GAMMAS * gradient)


def temporaries(case: Case) -> float:
    """The memory that may be taken beside arguments and results, in units of the logits."""
    itemsize = np.dtype(arguments(case)["logits"].dtype).itemsize
    if case.run == "vmap":
        return SHARED * 4 / itemsize
    if not case.has_rows:
        return TEMPORARIES
    return ROW_TEMPORARIES + ROW_BYTES / (case.classes * itemsize)


def cases() -> list[Case]:
    """The plain cases, those of other losses, and ours with their options, of which every two meet
    in a gradient."""
    beside = [*plain(), *peers()]
    return [*beside, *_gradients(), *_forward(), *_donated(), *_over_gamma()]


def _gradients() -> list[Case]:
    hard = {"targets": ("int32", "float", "bool"), "gamma": (2.0, 1.5, 0.5)}
    every = {"reduction": ("sum", "mean", "none", "mean_positive")}
    sigmoid = pairwise(DTYPE | hard | every | ARRAYS)
    softmax = pairwise(SOFTMAX_OF | REDUCTION | ARRAYS | {"gamma": (2.0, 1.5)})
    return sigmoid + softmax + _family()


def _family() -> list[Case]:
    """The bounds are those of the sigmoid loss."""
    options = {"reduction": ("sum", "none", "mean_positive"), "gamma": (2.0, 1.5)}
    return pairwise(DTYPE | {"loss": FAMILY} | options | {"where": (False, True)})


def _forward() -> list[Case]:
    forward: Options = {"run": ("forward",)}
    sigmoid = pairwise(DTYPE | REDUCTION | forward | {"where": (False, True)})
    return sigmoid + pairwise(SOFTMAX_OF | forward)


def _donated() -> list[Case]:
    """One of each loss, in different dtypes."""
    chosen = {("sigmoid", "float32"), ("softmax", "bfloat16")}
    return [replace(case, run="donated") for case in plain() if (case.loss, case.dtype) in chosen]


def _over_gamma() -> list[Case]:
    integers = Case(run="vmap", targets="int32")
    booleans = Case(run="vmap", targets="bool", dtype="bfloat16")
    return [integers, booleans, Case("softmax", "vmap", "bfloat16", "int32", classes=1000)]


def plain() -> list[Case]:
    sigmoid, softmax = Case(), Case("softmax", targets="int32", classes=max(ROWS_OF))
    return [replace(case, dtype=dtype) for case in (sigmoid, softmax) for dtype in DTYPE["dtype"]]


def peers() -> list[Case]:
    """The plain cases of the losses that ours stand beside. Nothing is required of them."""
    names = {"sigmoid": ("optax", "textbook"), "softmax": ("optax cross entropy", "textbook")}
    return [replace(case, by=name) for case in plain() for name in names[case.loss]]


def pairwise(options: Options) -> list[Case]:
    """Few cases in which every two values of different options meet."""
    rows = [dict(zip(options, values, strict=True)) for values in product(*options.values())]
    missing = set().union(*map(_pairs, rows))
    chosen = []
    while missing:
        # The first of the best, from either end in turn: no value is left to the last cases alone.
        rows.reverse()
        best = max(rows, key=lambda row: len(missing & _pairs(row)))
        chosen.append(Case(**best))
        missing -= _pairs(best)
    return chosen


def _pairs(row: dict[str, Any]) -> set[Any]:
    return set(combinations(row.items(), 2))


def selection(devices: Sequence[str], quick: bool) -> Iterator[tuple[str, Case]]:
    """What is compiled for which device. In a quick run the devices take turns, in every kind of
    case anew.

    The second begins: the compiler for a v4 takes several times as long as the others.
    """
    if not quick:
        yield from ((device, case) for case in cases() for device in devices)
        return
    turns: Counter[tuple[str, ...]] = Counter()
    for case in cases():
        # Of the losses of others one dtype is enough.
        if case.by != OURS and case.dtype != "float32":
            continue
        kind = case.by, case.loss, case.run, case.dtype
        turns[kind] += 1
        yield devices[turns[kind] % len(devices)], case
