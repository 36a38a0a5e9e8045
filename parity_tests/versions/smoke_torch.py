"""focal_torch inside of what PyTorch does to functions, each against the eager loss in float64 of
the same version.

python -m parity_tests.versions.smoke_torch
"""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import forward_ad
from torch.distributed.device_mesh import init_device_mesh
from torch.utils.checkpoint import checkpoint

import focal_torch
from focal_torch._base.versions import distributed_tensors

from . import losses
from .checks import Check, refused, report, same

Loss = Callable[[Tensor], Tensor]
# Losses that are not reduced, so that ranks with other rows have nothing to add.
ONE_PER_ROW = ("sigmoid interpolate", "softmax smooth", "linear rows")


class Call(NamedTuple):
    """A loss, and its arguments as tensors."""

    function: Callable[..., Any]
    # Logits, or features and kernel.
    arrays: list[Tensor]
    targets: Tensor
    settings: dict[str, Any]


def tensor(x: Any, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Any:
    """An array of NumPy as a tensor, with its fractions in a dtype; everything else as it is."""
    if not isinstance(x, np.ndarray):
        return x
    array = torch.tensor(x, device=device)
    return array.to(dtype) if array.dtype.is_floating_point else array


def call_of(name: str, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Call:
    call = losses.CALLS[name]
    function = getattr(focal_torch, call.function)
    arrays = [tensor(x, dtype, device) for x in call.arrays]
    targets = tensor(call.targets, dtype, device)
    settings = {key: tensor(x, dtype, device) for key, x in call.settings.items()}
    return Call(function, arrays, targets, settings)


def loss_of(name: str, dtype: torch.dtype = torch.float64, **more: Any) -> tuple[Loss, Tensor]:
    """A loss as a function of logits or features, and those."""
    function, (x, *kernel), targets, settings = call_of(name, dtype)
    settings = settings | more
    return lambda x: function(x, *kernel, targets, **settings).sum(), x


def slope_of(loss: Loss, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0]


def derivatives(name: str) -> None:
    loss, x = loss_of(name)
    leaf = x.clone().requires_grad_()
    forward = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(loss, leaf, **forward)
    assert torch.autograd.gradgradcheck(loss, leaf)


def functions(name: str) -> None:
    loss, x = loss_of(name)
    slope = slope_of(loss, x)
    along_x = (slope * x).sum()
    grad = torch.func.grad(loss)
    same(grad(x), slope)
    both = torch.stack([x, 2 * x])
    same(torch.func.vmap(grad)(both)[0], slope)
    same(torch.func.jvp(loss, (x,), (x,))[1], along_x)
    hessian = torch.func.hessian(loss)(x)
    same(torch.func.jacrev(torch.func.jacrev(loss))(x), hessian)
    same(torch.autograd.functional.hessian(loss, x), hessian)
    with forward_ad.dual_level():
        dual = loss(forward_ad.make_dual(x, x))
        tangent = forward_ad.unpack_dual(dual).tangent
    same(tangent, along_x)
    twice = torch.func.jacfwd(torch.func.jacfwd(loss))
    refused(twice, x, words="cannot nest forward mode")


def checkpoints(name: str) -> None:
    loss, x = loss_of(name)
    for reentrant in (False, True):
        leaf = x.clone().requires_grad_()
        checkpoint(loss, leaf, use_reentrant=reentrant).backward()
        same(leaf.grad, slope_of(loss, x))


def compiled(name: str, dtype: torch.dtype = torch.float64, **options: Any) -> None:
    loss, x = loss_of(name, dtype)
    torch._dynamo.reset()
    program = torch.compile(loss, fullgraph=True, backend="aot_eager", **options)
    allowed = 64 * torch.finfo(dtype).eps
    same(slope_of(program, x), slope_of(loss, x), allowed)
    with torch.no_grad():
        same(program(x), loss(x), allowed)


def compiled_gradient(name: str) -> None:
    loss, x = loss_of(name)
    torch._dynamo.reset()
    program = torch.compile(torch.func.grad(loss), fullgraph=True, backend="aot_eager")
    same(program(x), slope_of(loss, x))


def exported(name: str) -> None:
    function, arrays, targets, settings = call_of(name)

    class Module(torch.nn.Module):
        def forward(self, x: Tensor, *rest: Any, **settings: Any) -> Tensor:
            return function(x, *rest, **settings)

    inputs = (*arrays, targets)
    program: Any = torch.export.export(Module(), inputs, settings).module()
    same(program(*inputs, **settings), Module()(*inputs, **settings))


def traced(name: str) -> None:
    loss, x = loss_of(name)
    trace: Any = torch.jit.trace(loss, x)
    # Sizes are tensors in there, and a number divided by one is in float32.
    same(trace(2 * x), loss(2 * x), torch.finfo(torch.float32).eps)


def autocast(name: str) -> None:
    loss, x = loss_of(name, torch.float32)
    low, _ = loss_of(name, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        slope = slope_of(loss, x)
        in_float32 = loss(x).dtype == torch.float32
    expected = slope_of(low if "linear" in name else loss, x)
    # In `low` α, γ and weight are rounded to bfloat16 as well, and each rounding is one of up to
    # 2⁻⁹. That of γ counts γ·|log q| times: sixteen in all.
    same(slope, expected, 16 * 2**-9)
    assert in_float32 or "rows" in name


def on_meta(name: str) -> None:
    """Shapes without numbers."""
    function, arrays, targets, settings = call_of(name, device="meta")
    assert function(*arrays, targets, **settings).is_meta


def modules() -> None:
    x, t, bits = tensor(losses.LOGITS), tensor(losses.IDS), tensor(losses.BITS)
    gamma = torch.nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
    learned = focal_torch.SoftmaxFocalLoss(gamma=gamma, axis=-1, reduction="mean")
    learned(x, t).backward()
    assert gamma.grad is not None
    expected = focal_torch.softmax_focal_loss(x, t, gamma=1.5, axis=-1, reduction="mean")
    same(learned(x, t).detach(), expected)
    binary = focal_torch.SigmoidFocalLoss(reduction="none")
    same(binary(x, bits), focal_torch.sigmoid_focal_loss(x, bits))
    inputs = (tensor(losses.FEATURES), tensor(losses.KERNEL), t)
    linear = focal_torch.LinearSoftmaxFocalLoss()
    same(linear(*inputs), focal_torch.linear_softmax_focal_loss(*inputs))
    focal_torch.WeightedFocalLoss()(x[:, 0], bits[:, 0].double())


def recipes() -> None:
    x = tensor(losses.LOGITS)
    same(focal_torch.posterior_from_focal(x, 0.0, axis=-1), x.softmax(-1))
    counts = torch.tensor([2.0, 2.0])
    same(focal_torch.alpha_from_counts(counts), torch.ones(2))
    prior = torch.tensor([0.25])
    bias: Any = focal_torch.prior_bias(prior)
    same(torch.sigmoid(bias), prior, 1e-6)
    gamma = focal_torch.gamma_flsd(torch.tensor([0.1, 0.9]))
    assert gamma.tolist() == [5, 3]
    bins = focal_torch.two_hot(torch.tensor([0.25]), 2)
    assert bins.tolist() == [[0.75, 0.25]]
    family(x)


def family(x: Tensor) -> None:
    """For hard targets, and without a shift, each is a sigmoid focal loss."""
    bits = tensor(losses.BITS.astype(float))
    focal = focal_torch.sigmoid_focal_loss(x, bits, alpha=None)

    def slope(loss: Callable[..., Tensor]) -> Tensor:
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(loss(leaf, bits).sum(), leaf)[0]

    expected = slope(partial(focal_torch.sigmoid_focal_loss, alpha=None))
    quality = partial(focal_torch.sigmoid_focal_loss, alpha=None, soft_targets="quality")
    heatmap = focal_torch.HeatmapFocalLoss(reduction="none")
    settings: dict[str, Any] = {"gamma_positive": 2.0, "gamma_negative": 2.0, "shift": 0.0}
    asymmetric = focal_torch.AsymmetricLoss(**settings, reduction="none")
    for loss in (quality, heatmap, asymmetric):
        same(loss(x, bits), focal)
        same(slope(loss), expected)
    varifocal = focal_torch.VarifocalLoss(gamma=0.0, alpha=None, reduction="none")
    same(varifocal(x, bits), focal_torch.sigmoid_focal_loss(x, bits, alpha=None, gamma=0.0))
    ids = tensor(losses.IDS)
    margins = focal_torch.softmax_margin(x, ids, axis=-1)
    same(focal_torch.focal(margins), focal_torch.softmax_focal_loss(x, ids, axis=-1))
    same(focal_torch.modulator(margins, 0.0), torch.ones_like(margins))


def on_one_rank(name: str) -> None:
    """The paths of several ranks, on one."""
    loss, x = loss_of(name)
    groups: dict[str, Any] = {}
    if "sigmoid" not in name:
        groups["class_group"] = dist.group.WORLD
    if name not in ONE_PER_ROW:
        groups["group"] = dist.group.WORLD
    split, _ = loss_of(name, **groups)
    same(slope_of(split, x), slope_of(loss, x))


def distributed(name: str) -> None:
    """DTensors, on one rank."""
    tensors, mesh = distributed_tensors(), init_device_mesh("cpu", (1,))
    function, arrays, targets, settings = call_of(name)
    rows, everywhere = tensors.Shard(0), tensors.Replicate()

    def split(x: Any, placement: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return tensors.distribute_tensor(x, mesh, [placement])

    places = (rows, everywhere)
    parts = [split(x, place) for x, place in zip(arrays, places, strict=False)]
    for x in (*arrays, *parts):
        x.requires_grad_()
    shared = {key: split(x, everywhere) for key, x in settings.items()}
    loss = function(*parts, split(targets, rows), **shared)
    if hasattr(loss, "full_tensor"):
        loss = loss.full_tensor()
    loss.sum().backward()
    function(*arrays, targets, **settings).sum().backward()
    for part, x in zip(parts, arrays, strict=True):
        slope: Any = part.grad
        same(slope.full_tensor(), x.grad)


# PyTorch 2.11 fails with an assertion of its own.
DYNAMIC = {"softmax": "!=2.11.*", "softmax all": "!=2.11.*"}


# What each loss is checked for.
EAGER = (derivatives, functions, checkpoints, exported)
PLACES = (autocast, on_meta, on_one_rank, distributed)


def checks() -> dict[str, Check]:
    named = {"modules": Check(modules), "recipes": Check(recipes)}
    for name in losses.CALLS:
        for way in (*EAGER, *PLACES):
            named[f"{name}, {way.__name__}"] = Check(partial(way, name))
        if "linear" not in name:
            named[f"{name}, traced"] = Check(partial(traced, name))
        named[f"{name}, compiled"] = Check(partial(compiled, name))
    for name in ("sigmoid", "softmax", "linear", "linear rows"):
        dynamic = partial(compiled, name, dynamic=True)
        named[f"{name}, compiled, dynamic"] = Check(dynamic, DYNAMIC.get(name, ""))
        in_float32 = partial(compiled, name, torch.float32)
        named[f"{name}, compiled, float32"] = Check(in_float32)
        gradient = partial(compiled_gradient, name)
        named[f"{name}, compiled torch.func.grad"] = Check(gradient, ">=2.11")
    return named


def main() -> int:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        dist.init_process_group("gloo", f"file://{folder}/ranks", rank=0, world_size=1)
        try:
            return report(checks(), torch.__version__)
        finally:
            dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
