"""At which logit the losses of others stop to work: their formulas in PyTorch, beside ours.

    python -m examples.family.faults              a table for people
    python -m examples.family.faults --markdown   the same for docs/family.md

Each fault is searched for from the logit −2 up, or from 2 down, in steps of ¼. A gradient is
lost where it is below 0.001 and ours is about 1.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

import focal_torch
from benchmarks.table import Sheet, markdown, show

from . import peers

Loss = Callable[[Tensor, Tensor], Tensor]
STEP, START, LAST = 0.25, -2.0, 160.0
LOST, ZERO, INFINITE, NEGATIVE, NAN = "gradient lost", "loss 0", "loss inf", "loss below 0", "NaN"
HEADER = (
    *("loss", "target", "fault", "from"),
    *("at", "loss there", "loss here", "gradient there", "gradient here"),
)
WORDS = ("loss", "fault")

quality = partial(focal_torch.sigmoid_focal_loss, alpha=None, soft_targets="quality")
heatmap = focal_torch.heatmap_focal_loss
varifocal = focal_torch.varifocal_loss
overlap_aware = partial(varifocal, alpha=None, iou_weighted=False)
asymmetric = focal_torch.asymmetric_loss


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a loss for one target, on one side of the logits."""

    name: str
    theirs: Loss
    ours: Loss
    target: float
    kind: str
    # The logit that the table shows, on the side of the fault.
    at: float
    dtype: torch.dtype = field(default=torch.float32)


def of_heatmaps() -> Iterator[Fault]:
    theirs, name = peers.clamped_heatmap, "CenterNet"
    yield Fault(name, theirs, heatmap, 1.0, LOST, -12.0)
    yield Fault(name, theirs, heatmap, 0.0, LOST, 12.0)
    theirs, name = peers.gaussian_heatmap, "mmdet GaussianFocalLoss"
    yield Fault(name, theirs, heatmap, 1.0, LOST, -50.0)
    yield Fault(name, theirs, heatmap, 0.0, LOST, 20.0)


def of_overlaps() -> Iterator[Fault]:
    yield Fault("mmdet VarifocalLoss", peers.varifocal_mmdet, varifocal, 0.0, ZERO, -20.0)
    theirs, name = peers.overlap_aware_logs, "transformers RF-DETR"
    yield Fault(name, theirs, overlap_aware, 0.0, INFINITE, 17.0)
    yield Fault(name, theirs, overlap_aware, 0.9, INFINITE, 17.0)
    yield Fault(name, theirs, overlap_aware, 0.0, NAN, -110.0)
    yield Fault(name, theirs, overlap_aware, 0.0, INFINITE, 7.0, torch.bfloat16)
    yield Fault("RF-DETR's own", peers.overlap_aware, overlap_aware, 0.0, ZERO, -20.0)


def of_qualities() -> Iterator[Fault]:
    name = "mmdet QualityFocalLoss"
    yield Fault(name, peers.quality_mmdet, quality, 1.0, ZERO, 17.0)
    theirs = partial(peers.quality_mmdet, beta=0.5)
    ours = partial(quality, gamma=0.5)
    yield Fault(f"{name}, β = ½", theirs, ours, 1.0, NAN, 17.0)
    yield Fault(f"{name}, β = ½", theirs, ours, 1.0, NAN, -110.0)
    theirs = partial(peers.quality_signed, beta=3.0)
    ours = partial(quality, gamma=3.0)
    yield Fault("GFocal QFL, β = 3", theirs, ours, 0.3, NEGATIVE, 2.0)
    theirs = partial(peers.quality_signed, beta=1.5)
    ours = partial(quality, gamma=1.5)
    yield Fault("GFocal QFL, β = 1½", theirs, ours, 0.3, NAN, 2.0)


def of_labels() -> Iterator[Fault]:
    yield Fault("timm ASL", peers.asymmetric, asymmetric, 1.0, LOST, -20.0)
    yield Fault("timm ASL", peers.asymmetric, asymmetric, 1.0, ZERO, 17.0)
    theirs = partial(peers.asymmetric, clip=0.0)
    ours = partial(asymmetric, shift=0.0)
    yield Fault("timm ASL, clip 0", theirs, ours, 0.0, LOST, 17.0)
    theirs = partial(peers.asymmetric, gamma_pos=0.5)
    ours = partial(asymmetric, gamma_positive=0.5)
    yield Fault("timm ASL, γ₊ = ½", theirs, ours, 1.0, NAN, 17.0)
    ours = partial(focal_torch.sigmoid_focal_loss, alpha=None, gamma=4.0)
    yield Fault("EFL, γ = 2 + 2", peers.equalized, ours, 0.0, INFINITE, 17.0)


FAULTS = [*of_heatmaps(), *of_overlaps(), *of_qualities(), *of_labels()]


def value_and_gradient(loss: Loss, logits: Tensor, target: float) -> tuple[Tensor, Tensor]:
    z = logits.clone().requires_grad_()
    values = loss(z, torch.full_like(logits, target))
    (gradients,) = torch.autograd.grad(values.sum(), z)
    return values.detach().float(), gradients.float()


def is_wrong(kind: str, values: Tensor, gradients: Tensor) -> Tensor:
    """Where a fault of this kind is."""
    if kind == LOST:
        return gradients.abs() < 1e-3
    if kind == ZERO:
        return values == 0
    if kind == INFINITE:
        return values.isinf()
    if kind == NEGATIVE:
        return values < 0
    return values.isnan() | gradients.isnan()


def start(fault: Fault) -> float:
    """The logit from which on the fault is there."""
    distance = torch.arange(START, LAST, STEP, dtype=fault.dtype)
    logits = distance if fault.at > 0 else -distance
    wrong = is_wrong(fault.kind, *value_and_gradient(fault.theirs, logits, fault.target))
    right = (~wrong).nonzero().flatten()
    first = int(right[-1]) + 1
    if first == len(logits):
        raise AssertionError(f"{fault.name} has no {fault.kind}")
    return float(logits[first])


def row(fault: Fault) -> list[str]:
    logit = torch.tensor([fault.at], dtype=fault.dtype)
    theirs = value_and_gradient(fault.theirs, logit, fault.target)
    ours = value_and_gradient(fault.ours, logit, fault.target)
    numbers = [x.item() for pair in zip(theirs, ours, strict=True) for x in pair]
    name = fault.name
    if fault.dtype != torch.float32:
        name += ", bfloat16"
    cells = [name, f"{fault.target:g}", fault.kind, f"{start(fault):g}", f"{fault.at:g}"]
    return [*cells, *(shown(number) for number in numbers)]


def shown(number: float) -> str:
    # A gradient of −0 is 0.
    return f"{number + 0.0:.4g}".replace("nan", "NaN")


def rows() -> Iterator[list[str]]:
    for fault in FAULTS:
        yield row(fault)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    arguments: Any = parser.parse_args()
    sheet = Sheet("Where the losses of others stop", HEADER, list(rows()), words=WORDS)
    if arguments.markdown:
        print(markdown(sheet))
        return
    show(sheet)


if __name__ == "__main__":
    main()
