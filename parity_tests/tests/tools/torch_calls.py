"""Calls of all public functions of PyTorch's package, with sizes that are left open.

Each argument is a kind of numbers, and a letter for each axis: n samples, c classes, h and w
pixels, d features. 1 is an axis that repeats.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

import focal_torch
from parity_tests.contract.exact import Draws

Sizes: TypeAlias = dict[str, int]
# No two are equal, so that none is taken for another. 193 rows are two chunks.
TRACED = {"n": 4, "c": 3, "h": 5, "w": 7, "d": 9, "1": 1}
OTHERS: list[Sizes] = [
    {"n": 1, "c": 6, "h": 1, "w": 2, "d": 3, "1": 1},
    {"n": 7, "c": 2, "h": 9, "w": 3, "d": 16, "1": 1},
    {"n": 193, "c": 13, "h": 2, "w": 1, "d": 5, "1": 1},
]


class Argument(NamedTuple):
    kind: str
    axes: str

    def open_axes(self) -> dict[int, str]:
        return {i: axis for i, axis in enumerate(self.axes) if axis != "1"}

    def draw(self, draws: Draws, sizes: Sizes, dtype: torch.dtype) -> Tensor:
        shape = tuple(sizes[axis] for axis in self.axes)
        if self.kind in DRAWN_INTEGERS:
            return torch.tensor(draws.integers(0, 2, shape))
        if self.kind == "mask":
            return torch.tensor(draws.integers(0, 3, shape)) > 0
        numbers = torch.tensor(draws.bell(shape), dtype=dtype)
        if self.kind == "scores":
            return 4 * numbers
        if self.kind == "smooth powers":
            return 2 + torch.sigmoid(numbers)
        return torch.sigmoid(numbers)


# Every number of classes has classes 0 and 1.
DRAWN_INTEGERS = ("bits", "ids")
SCORES, PROBABILITIES = Argument("scores", "nchw"), Argument("probabilities", "nchw")
BITS, IDS, MASK = Argument("bits", "nchw"), Argument("ids", "nhw"), Argument("mask", "nchw")


class Call(NamedTuple):
    """A public function or class, its arguments that are tensors, and its settings."""

    name: str
    arguments: dict[str, Argument]
    settings: dict[str, Any]

    def function(self) -> Callable[..., Tensor]:
        public = getattr(focal_torch, self.name)
        return public(**self.settings) if isinstance(public, type) else self._with_settings()

    def _with_settings(self) -> Callable[..., Tensor]:
        return partial(getattr(focal_torch, self.name), **self.settings)

    def module(self) -> nn.Module:
        """A model that takes all arguments in their order."""
        return Model(self.function(), list(self.arguments))

    def draw(self, sizes: Sizes, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        draws = Draws(0)
        return [x.draw(draws, sizes, dtype) for x in self.arguments.values()]

    def open_shapes(self, dim: Callable[[str], Any]) -> tuple[dict[int, Any], ...]:
        """For each argument its axes that are left open."""
        shapes: list[dict[int, Any]] = []
        for argument in self.arguments.values():
            shapes.append({i: dim(axis) for i, axis in argument.open_axes().items()})
        return tuple(shapes)


class Model(nn.Module):
    def __init__(self, function: Callable[..., Tensor], names: list[str]) -> None:
        super().__init__()
        self.function, self.names = function, names

    def forward(self, *tensors: Tensor) -> Tensor:
        # Before PyTorch 2.11 torch.export counts names and tensors of a strict zip.
        return self.function(**dict(zip(self.names, tensors, strict=False)))


CALLS: dict[str, Call] = {}


def add(title: str, name: str, arguments: dict[str, Argument], **settings: Any) -> None:
    CALLS[title] = Call(name, arguments, settings)


def per(axes: str, kind: str = "probabilities") -> Argument:
    return Argument(kind, axes)


HARD = {"logits": SCORES, "targets": BITS}
BOOL = {"logits": SCORES, "targets": MASK}
SOFT = {"logits": SCORES, "targets": PROBABILITIES}
OF_IDS = {"logits": SCORES, "targets": IDS}
OF_ELEMENTS = {"alpha": per("c11"), "gamma": per("1c11"), "where": per("n1hw", "mask")}
OF_ELEMENTS |= {"weight": per("nc11")}
OF_SAMPLES = {"alpha": per("c"), "gamma": per("n1hw"), "where": per("nhw", "mask")}
OF_SAMPLES |= {"weight": per("n11")}
SIGMOID, SOFTMAX, LINEAR = (
    f"{loss}_focal_loss" for loss in ("sigmoid", "softmax", "linear_softmax")
)
LAYER = {"features": per("nd", "scores"), "kernel": per("cd"), "targets": per("n", "ids")}
SEQUENCE = {"features": per("nhd", "scores"), "kernel": per("cd"), "targets": per("nh", "ids")}
OF_ROWS = {"bias": per("c"), "alpha": per("c"), "gamma": per("c"), "where": per("n", "mask")}
OF_ROWS |= {"weight": per("n")}

for reduction in ("none", "sum", "mean", "mean_positive"):
    add(f"sigmoid hard {reduction}", SIGMOID, HARD, reduction=reduction)
    add(f"sigmoid soft {reduction}", SIGMOID, SOFT, reduction=reduction)
    add(f"softmax ids {reduction}", SOFTMAX, OF_IDS, reduction=reduction)
    add(f"softmax soft {reduction}", SOFTMAX, SOFT, reduction=reduction)
    add(f"linear {reduction}", LINEAR, LAYER, reduction=reduction)
add("sigmoid mask, no α", SIGMOID, BOOL, alpha=None, reduction="mean")
add("sigmoid hard, all", SIGMOID, HARD | OF_ELEMENTS, reduction="mean")
add("sigmoid soft, all", SIGMOID, SOFT | OF_ELEMENTS, reduction="mean_positive")
add("sigmoid mixture, all", SIGMOID, SOFT | OF_ELEMENTS, soft_targets="mixture", reduction="mean")
# For a γ below 2 the last bits of p decide on the slope where p is nearly y.
OF_SMOOTH = OF_ELEMENTS | {"gamma": per("1c11", "smooth powers")}
add("sigmoid quality, all", SIGMOID, SOFT | OF_SMOOTH, soft_targets="quality", reduction="mean")
add("varifocal", "varifocal_loss", SOFT, reduction="mean_positive")
add("varifocal, all", "varifocal_loss", BOOL | OF_ELEMENTS, constant_modulator=True)
add("heatmap", "heatmap_focal_loss", SOFT, reduction="mean_positive", peak=0.5)
add("heatmap, all", "heatmap_focal_loss", SOFT | OF_ELEMENTS | {"beta": per("c11")}, peak=0.5)
add("asymmetric", "asymmetric_loss", HARD, reduction="mean")
add("asymmetric, constant", "asymmetric_loss", SOFT, constant_modulator=True, reduction="sum")
OF_BOTH = {"gamma_positive": per("1c11"), "gamma_negative": per("c11"), "alpha": per("c11")}
add("asymmetric, all", "asymmetric_loss", SOFT | OF_BOTH | {"where": per("n1hw", "mask")})
add("margin", "softmax_margin", OF_IDS)
add("focal", "focal", {"margins": SCORES, "gamma": per("1c11")})
add("modulator", "modulator", {"margins": SCORES}, gamma=1.5)
for axes in ("c", "1c11", "nchw"):
    add(f"softmax ids, γ {axes}", SOFTMAX, OF_IDS | {"gamma": per(axes)}, reduction="mean")
    add(f"softmax soft, γ {axes}", SOFTMAX, SOFT | {"gamma": per(axes)}, reduction="mean")
add("softmax ids, all", SOFTMAX, OF_IDS | OF_SAMPLES, ignore_index=0, reduction="mean")
add("softmax smooth", SOFTMAX, OF_IDS, label_smoothing=0.1, reduction="mean")
add("softmax smooth, all", SOFTMAX, OF_IDS | OF_SAMPLES, label_smoothing=0.1, reduction="mean")
add("softmax soft, all", SOFTMAX, SOFT | OF_SAMPLES, label_smoothing=0.1, reduction="mean_positive")
OF_LOGITS = {"softcap": 5.0, "z_loss": 0.01, "label_smoothing": 0.1}
add("linear, all", LINEAR, LAYER | OF_ROWS, **OF_LOGITS, ignore_index=0)
add("linear, γ of rows", LINEAR, LAYER | {"gamma": per("n1")}, reduction="none", chunk_size=3)
add("linear, sequences", LINEAR, SEQUENCE | {"gamma": per("n1c"), "where": per("n1", "mask")})
add("module linear", "LinearSoftmaxFocalLoss", LAYER)
add("module varifocal", "VarifocalLoss", SOFT)
add("module heatmap", "HeatmapFocalLoss", SOFT)
add("module asymmetric", "AsymmetricLoss", HARD)
add("module sigmoid", "SigmoidFocalLoss", HARD, reduction="mean")
add("module softmax", "SoftmaxFocalLoss", OF_IDS, reduction="mean")
add("module weighted", "WeightedFocalLoss", {"inputs": SCORES, "targets": BITS})
add("posterior of sigmoid", "posterior_from_focal", {"logits": SCORES, "gamma": per("1c11")})
add("posterior of softmax", "posterior_from_focal", {"logits": SCORES}, axis=1)
add("prior", "prior_bias", {"pi": per("c")})
add("counts", "alpha_from_counts", {"counts": per("c")}, beta=0.9)
add("γ of p_t", "gamma_flsd", {"p_t": PROBABILITIES})
add("bins", "two_hot", {"values": PROBABILITIES}, classes=3)
# Those that are in `make test`.
MOST_USED = ("sigmoid hard mean", "softmax ids mean", "linear mean")
