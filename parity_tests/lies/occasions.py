"""When a lie is told: of which elements, with which options, at which call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Told:
    """A call: its arguments, the class of each element, and how many calls there have been."""

    logits: Tensor
    # Class ids, or targets from 0 to 1, like the losses of the elements.
    ids: Tensor
    options: Mapping[str, Any]
    calls: int
    classes: bool

    @property
    def axis(self) -> int:
        """That of the classes."""
        return int(self.options.get("axis", -1))

    @property
    def own(self) -> Tensor:
        """The logit that decides, like the losses: the one of a sigmoid, the largest of a row."""
        return self.logits.abs().amax(self.axis) if self.classes else self.logits.abs()

    @property
    def rows(self) -> Tensor:
        return torch.arange(self.ids.numel()).view(self.ids.shape)


# Whether the lie is told at all, or of which elements.
Occasion = Callable[[Told], bool | Tensor]


def _always(told: Told) -> bool:
    return True


def _with(name: str, told: Told) -> bool:
    return told.options.get(name) is not None


def _smoothed(told: Told) -> bool:
    return told.options["label_smoothing"] > 0


def _per_class(told: Told) -> bool:
    return isinstance(told.options.get("alpha"), Tensor)


def _reduction(name: str, told: Told) -> bool:
    return told.options.get("reduction") == name


def _reduction_with(name: str, option: str, told: Told) -> bool:
    return _reduction(name, told) and told.options.get(option) is not None


def _gamma(gamma: float, told: Told) -> bool:
    return not isinstance(told.options["gamma"], Tensor) and told.options["gamma"] == gamma


def _gammas(axes: int, told: Told) -> bool:
    gamma = told.options["gamma"]
    return isinstance(gamma, Tensor) and gamma.ndim == axes


def _axis(told: Told) -> bool:
    return told.axis not in (-1, told.logits.ndim - 1)


def _several_axes(told: Told) -> bool:
    return told.ids.ndim > 1


def _mean_of_axes(told: Told) -> bool:
    return _reduction("mean", told) and _several_axes(told)


def _no_alpha(told: Told) -> bool:
    return told.options.get("alpha") is None


def _is(name: str, value: object, told: Told) -> bool:
    return told.options[name] == value


def _mean_of_unweighted(told: Told) -> bool:
    return _reduction("mean_positive", told) and _is("iou_weighted", False, told)


def _soft(told: Told) -> Tensor:
    return (told.ids > 0) & (told.ids < 1)


def _dtype(name: str, told: Told) -> bool:
    return told.logits.dtype == getattr(torch, name)


def _class(id: int, told: Told) -> Tensor:
    return told.ids == id


def _row(place: int, told: Told) -> Tensor:
    return told.rows == place % max(told.ids.numel(), 1)


def _size(least: int, most: float, told: Told) -> bool:
    return least <= told.ids.numel() <= most


def _every(k: int, told: Told) -> bool:
    return told.calls % k == 0


def _decade(low: float, high: float, told: Told) -> Tensor:
    return (told.own > low) & (told.own <= high)


def _left_out(told: Told) -> bool | Tensor:
    where = told.options.get("where")
    ignored = told.options.get("ignore_index")
    if where is not None:
        return ~where
    return False if ignored is None else told.ids == ignored


OCCASIONS: dict[str, Occasion] = {"always": _always}
for name in ("where", "weight", "ignore_index"):
    OCCASIONS[f"with {name}"] = partial(_with, name)
for reduction in ("sum", "mean", "mean_positive"):
    OCCASIONS[f"through {reduction}"] = partial(_reduction, reduction)
    for name in ("where", "weight", "ignore_index"):
        told_with = partial(_reduction_with, reduction, name)
        OCCASIONS[f"through {reduction} with {name}"] = told_with
for gamma in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0):
    OCCASIONS[f"at γ = {gamma:g}"] = partial(_gamma, gamma)
OCCASIONS["with axes of elements"] = _several_axes
OCCASIONS["through mean with axes of elements"] = _mean_of_axes
for dtype in ("float64", "bfloat16", "float16"):
    OCCASIONS[f"in {dtype}"] = partial(_dtype, dtype)
for id in (0, 1):
    OCCASIONS[f"of class {id}"] = partial(_class, id)
for place, word in ((0, "first"), (-1, "last")):
    OCCASIONS[f"of the {word} row"] = partial(_row, place)
OCCASIONS["in batches of 1"] = partial(_size, 1, 1)
OCCASIONS["in batches above 8"] = partial(_size, 9, torch.inf)
OCCASIONS["in batches of 2 to 8"] = partial(_size, 2, 8)
for k in (2, 3, 5, 7):
    OCCASIONS[f"at every call by {k}"] = partial(_every, k)
for low, high in ((0, 0.1), (0.1, 1), (1, 10), (10, 100), (100, 1e5)):
    OCCASIONS[f"at |logit| of {low:g} to {high:g}"] = partial(_decade, low, high)

# Those that a loss of one kind has.
OF_SIGMOID: dict[str, Occasion] = {
    "without α": _no_alpha,
    "with one γ per element": partial(_gammas, 1),
}
OF_SOFTMAX: dict[str, Occasion] = {
    "with alpha": _per_class,
    "with label_smoothing": _smoothed,
    "through mean with alpha": partial(_reduction_with, "mean", "alpha"),
    "of class 2": partial(_class, 2),
    "with one γ per class": partial(_gammas, 1),
    "with one γ per element": partial(_gammas, 2),
    "with the classes on another axis": _axis,
}
# By the setting that a loss of the family has.
OF_FAMILY: dict[str, dict[str, Occasion]] = {
    "targets": {"of soft targets": _soft},
    "alpha": {
        "without α": _no_alpha,
        "with α": partial(_with, "alpha"),
        "through mean with α": partial(_reduction_with, "mean", "alpha"),
    },
    "gamma": {"with one γ per element": partial(_gammas, 1)},
    "iou_weighted": {
        "without iou_weighted": partial(_is, "iou_weighted", False),
        "through mean_positive without iou_weighted": _mean_of_unweighted,
    },
    "constant_modulator": {"with a constant modulator": partial(_is, "constant_modulator", True)},
    "peak": {"with peaks below 1": partial(_is, "peak", 0.5)},
    "shift": {"without a shift": partial(_is, "shift", 0.0)},
}
LEFT_OUT: dict[str, Occasion] = {"of what is left out": _left_out}
