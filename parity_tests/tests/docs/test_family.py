"""The formulas of examples/family: those of the installed packages to the bit, and ours wherever
they are in order."""

import re
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import focal_torch
from examples.family import faults, peers
from parity_tests.checker.audit.wrappers import import_torchvision
from parity_tests.contract.exact import Draws
from parity_tests.pages import make_readme, migration, page_code
from parity_tests.ports.locate import locate

Loss = Callable[..., Any]
PAGE = make_readme.ROOT / "docs" / "family.md"
COMMAND = "examples.family.faults --markdown"
OFTEN_WRONG = [0.0, 20.0, -20.0, 110.0, -110.0]


def inputs(targets: str, dtype: torch.dtype, reach: float) -> tuple[Tensor, Tensor]:
    """Logits, and targets that are soft, hard, or overlaps of which two thirds are 0."""
    draws = Draws(30)
    z = draws.uniform(-reach, reach, (64, 5))
    y = draws.uniform(0.05, 1, (64, 5))
    if targets != "soft":
        y[::3] = 0
    if targets == "hard":
        y = np.ceil(y)
    if targets == "heatmap":
        y[1::3] = 1
    return torch.tensor(z, dtype=dtype), torch.tensor(y, dtype=dtype)


def slope(loss: Loss, z: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    z = z.clone().requires_grad_()
    values = loss(z, *others)
    (gradients,) = torch.autograd.grad(values.sum(), z)
    return values.detach(), gradients


def mmdet(module: str, name: str) -> Loss:
    migration.import_mmdet()
    return getattr(__import__(f"mmdet.models.losses.{module}", fromlist=[name]), name)


def gaussian_of_mmdet(z: Tensor, y: Tensor) -> Tensor:
    loss = mmdet("gaussian_focal_loss", "gaussian_focal_loss")
    return loss(z.sigmoid(), y, reduction="none")


def varifocal_of_mmdet(z: Tensor, y: Tensor) -> Tensor:
    return mmdet("varifocal_loss", "varifocal_loss")(z, y, reduction="none")


def quality_of_mmdet(z: Tensor, y: Tensor, beta: float = 2.0) -> Tensor:
    """It adds up the classes, so that each element is given as a row."""
    loss = mmdet("gfocal_loss", "quality_focal_loss_tensor_target")
    losses = loss(z.reshape(-1, 1), y.reshape(-1, 1), beta=beta, reduction="none")
    return losses.reshape(z.shape)


def asymmetric_of_timm(z: Tensor, y: Tensor, **options: Any) -> Tensor:
    import_torchvision()
    from timm.loss.asymmetric_loss import AsymmetricLossMultiLabel

    return AsymmetricLossMultiLabel(reduction="none", **options)(z, y)


INSTALLED = {
    "Gaussian": (gaussian_of_mmdet, peers.gaussian_heatmap, "heatmap"),
    "varifocal": (varifocal_of_mmdet, peers.varifocal_mmdet, "overlaps"),
    "quality": (quality_of_mmdet, peers.quality_mmdet, "overlaps"),
    "quality, β = ½": (
        partial(quality_of_mmdet, beta=0.5),
        partial(peers.quality_mmdet, beta=0.5),
        "overlaps",
    ),
    "asymmetric": (asymmetric_of_timm, peers.asymmetric, "hard"),
    "asymmetric, no clip": (
        partial(asymmetric_of_timm, clip=0),
        partial(peers.asymmetric, clip=0.0),
        "hard",
    ),
    "asymmetric, constant": (
        partial(asymmetric_of_timm, disable_torch_grad_focal_loss=True),
        partial(peers.asymmetric, constant=True),
        "hard",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", INSTALLED)
def test_a_formula_is_that_of_the_installed_package(name: str) -> None:
    theirs, formula, targets = INSTALLED[name]
    z, y = inputs(targets, torch.float32, 6)
    z[0] = torch.tensor(OFTEN_WRONG)
    for a, b in zip(slope(theirs, z, y), slope(formula, z, y), strict=True):
        assert torch.equal(a.nan_to_num(1e30), b.nan_to_num(1e30))


varifocal = focal_torch.varifocal_loss
by_overlap = partial(varifocal, alpha=None, iou_weighted=False)
quality = partial(focal_torch.sigmoid_focal_loss, alpha=None, soft_targets="quality")


def matchability(z: Tensor, y: Tensor) -> Tensor:
    return by_overlap(z, y**1.5, gamma=1.5, constant_modulator=True)


def equalized(z: Tensor, y: Tensor) -> Tensor:
    return 2 * focal_torch.sigmoid_focal_loss(z, y, alpha=None, gamma=4.0)


OURS = {
    "CenterNet": (peers.clamped_heatmap, focal_torch.heatmap_focal_loss, "heatmap"),
    "Gaussian": (peers.gaussian_heatmap, focal_torch.heatmap_focal_loss, "heatmap"),
    "varifocal": (peers.varifocal_mmdet, varifocal, "overlaps"),
    "varifocal, not weighted": (
        partial(peers.varifocal_mmdet, iou_weighted=False),
        partial(varifocal, iou_weighted=False),
        "overlaps",
    ),
    "varifocal of RT-DETR": (
        peers.varifocal_detr,
        partial(varifocal, constant_modulator=True),
        "overlaps",
    ),
    "MAL": (peers.matchability, matchability, "overlaps"),
    "IA-BCE of transformers": (peers.overlap_aware_logs, by_overlap, "overlaps"),
    "IA-BCE": (peers.overlap_aware, by_overlap, "overlaps"),
    "quality": (peers.quality_mmdet, quality, "overlaps"),
    "quality of the authors": (peers.quality_signed, quality, "soft"),
    "asymmetric": (peers.asymmetric, focal_torch.asymmetric_loss, "hard"),
    "asymmetric, constant": (
        partial(peers.asymmetric, constant=True),
        partial(focal_torch.asymmetric_loss, constant_modulator=True),
        "hard",
    ),
    "equalized": (peers.equalized, equalized, "hard"),
}


@pytest.mark.parametrize("name", OURS)
def test_a_formula_is_ours_between_the_tails(name: str) -> None:
    """In float64, where 1 − p loses a factor of 1/(1 − p) ≤ 4e2 of the last bits, and mmdet's
    1e-12 is relative to p ≥ 2e-3."""
    theirs, ours, targets = OURS[name]
    z, y = inputs(targets, torch.float64, 6)
    limit = 1e-9 if name == "Gaussian" else 1e-11
    for a, b in zip(slope(theirs, z, y), slope(ours, z, y), strict=True):
        torch.testing.assert_close(b, a, rtol=limit, atol=0)


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: f"{fault.name}, {fault.kind}")
def test_ours_has_no_such_fault(fault: faults.Fault) -> None:
    logits = torch.tensor([fault.at], dtype=fault.dtype)
    values, gradients = faults.value_and_gradient(fault.ours, logits, fault.target)
    assert not faults.is_wrong(fault.kind, values, gradients).any()


# Whose arguments the page has to name.
SIGNATURES = (
    "mmdet.models.losses.gaussian_focal_loss:GaussianFocalLoss",
    "mmdet.models.losses.gaussian_focal_loss:GaussianFocalLoss.forward",
    "mmdet.models.losses.varifocal_loss:VarifocalLoss",
    "mmdet.models.losses.gfocal_loss:QualityFocalLoss",
    "mmdet.models.losses.gfocal_loss:DistributionFocalLoss",
    "timm.loss:AsymmetricLossMultiLabel",
)


@pytest.mark.slow
@pytest.mark.parametrize("path", SIGNATURES)
def test_no_argument_of_a_peer_is_left_out(path: str) -> None:
    import_torchvision()
    migration.import_mmdet()
    names = signature(locate(path)).parameters.keys() - {"self", "use_sigmoid", "pred", "target"}
    for name in names:
        assert re.search(rf"\b{name}\b", PAGE.read_text()), f"{path}: {name}"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_the_page_is_what_the_command_prints() -> None:
    """A sigmoid is 0 from a logit of −88 or −104, depending on the processor."""
    shown = make_readme.tables(PAGE.read_text())[COMMAND].strip().splitlines()
    printed = make_readme.run(COMMAND).strip().splitlines()
    assert len(shown) == len(printed)
    for ours, theirs in zip(map(cells, printed), map(cells, shown), strict=True):
        starts = ours.pop(3), theirs.pop(3)
        assert page_code.same(" ".join(ours), " ".join(theirs))
        if starts[0] != starts[1]:
            assert float(starts[0]) == pytest.approx(float(starts[1]), rel=0.2)
