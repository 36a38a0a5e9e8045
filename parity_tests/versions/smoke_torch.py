"""focal_torch inside of what PyTorch does to functions, each against the eager loss in float64 of
the same version.

python -m parity_tests.versions.smoke_torch
"""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import forward_ad
from torch.distributed.device_mesh import init_device_mesh
from torch.utils.checkpoint import checkpoint

import focal_torch
from focal_torch.versions import distributed_tensors

from . import losses
from .checks import Check, refused, report, same

Loss = Callable[[Tensor], Tensor]


def loss_of(name: str, dtype: torch.dtype = torch.float64, **more: Any) -> tuple[Loss, Tensor]:
    """A loss as a function of logits or features, and those."""

    def tensor(x: Any) -> Any:
        x = torch.tensor(x) if hasattr(x, "dtype") else x
        return x.to(dtype) if isinstance(x, Tensor) and x.dtype.is_floating_point else x

    function, targets, settings = losses.CALLS[name]
    given = {key: tensor(x) for key, x in settings.items()} | more
    loss, t, kernel = getattr(focal_torch, function), tensor(targets), tensor(losses.KERNEL)
    if "linear" in name:
        return lambda x: loss(x, kernel, t, **given).sum(), tensor(losses.FEATURES)
    return lambda x: loss(x, t, **given).sum(), tensor(losses.LOGITS)


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
    slope, both = slope_of(loss, x), torch.stack([x, 2 * x])
    same(torch.func.grad(loss)(x), slope)
    same(torch.func.vmap(torch.func.grad(loss))(both)[0], slope)
    same(torch.func.jvp(loss, (x,), (x,))[1], (slope * x).sum())
    hessian = torch.func.hessian(loss)(x)
    same(torch.func.jacrev(torch.func.jacrev(loss))(x), hessian)
    same(torch.autograd.functional.hessian(loss, x), hessian)
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(loss(forward_ad.make_dual(x, x))).tangent
    same(dual, (slope * x).sum())
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
    function, targets, settings = losses.CALLS[name]
    given = {key: torch.tensor(x) if hasattr(x, "dtype") else x for key, x in settings.items()}
    kernel = [torch.tensor(losses.KERNEL)] * ("linear" in name)

    class Module(torch.nn.Module):
        def forward(self, x: Tensor, *rest: Any, **given: Any) -> Tensor:
            return getattr(focal_torch, function)(x, *rest, **given)

    x = torch.tensor(losses.FEATURES if kernel else losses.LOGITS)
    args = (x, *kernel, torch.tensor(targets))
    program: Any = torch.export.export(Module(), args, given).module()
    same(program(*args, **given), Module()(*args, **given))


def traced(name: str) -> None:
    loss, x = loss_of(name)
    trace: Any = torch.jit.trace(loss, x)
    # Sizes are tensors in there, and a number divided by one is in float32.
    same(trace(2 * x), loss(2 * x), torch.finfo(torch.float32).eps)


def autocast(name: str) -> None:
    loss, x = loss_of(name, torch.float32)
    low, _ = loss_of(name, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        found, in_float32 = slope_of(loss, x), loss(x).dtype == torch.float32
    # In `low` α, γ and weight are rounded to bfloat16 as well, and each rounding is one of up to
    # 2⁻⁹. That of γ counts γ·|log q| times: sixteen in all.
    same(found, slope_of(low if "linear" in name else loss, x), 16 * 2**-9)
    assert in_float32 or "rows" in name


def on_meta(name: str) -> None:
    """Shapes without numbers."""
    function, targets, settings = losses.CALLS[name]
    given = {
        key: torch.tensor(x).to("meta") if hasattr(x, "dtype") else x for key, x in settings.items()
    }
    arrays = [losses.FEATURES, losses.KERNEL] if "linear" in name else [losses.LOGITS]
    args = [torch.tensor(x).to("meta") for x in (*arrays, targets)]
    assert getattr(focal_torch, function)(*args, **given).is_meta


def modules() -> None:
    x, t = torch.tensor(losses.LOGITS), torch.tensor(losses.IDS)
    gamma = torch.nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
    learned = focal_torch.SoftmaxFocalLoss(gamma=gamma, axis=-1, reduction="mean")
    learned(x, t).backward()
    assert gamma.grad is not None
    expected = focal_torch.softmax_focal_loss(x, t, gamma=1.5, axis=-1, reduction="mean")
    same(learned(x, t).detach(), expected)
    binary = focal_torch.SigmoidFocalLoss()(x, torch.tensor(losses.BITS))
    same(binary, focal_torch.sigmoid_focal_loss(x, torch.tensor(losses.BITS)))
    given = torch.tensor(losses.FEATURES), torch.tensor(losses.KERNEL), t
    same(
        focal_torch.LinearSoftmaxFocalLoss()(*given), focal_torch.linear_softmax_focal_loss(*given)
    )
    focal_torch.WeightedFocalLoss()(x[:, 0], torch.tensor(losses.BITS[:, 0]).double())


def recipes() -> None:
    x = torch.tensor(losses.LOGITS)
    same(focal_torch.posterior_from_focal(x, 0.0, axis=-1), x.softmax(-1))
    same(focal_torch.alpha_from_counts(torch.tensor([2.0, 2.0])), torch.ones(2))
    bias: Any = focal_torch.prior_bias(torch.tensor([0.25]))
    same(torch.sigmoid(bias), torch.tensor([0.25]), 1e-6)
    assert focal_torch.gamma_flsd(torch.tensor([0.1, 0.9])).tolist() == [5, 3]


def on_one_rank(name: str) -> None:
    """The paths of several ranks, on one."""
    loss, x = loss_of(name)
    of_classes: dict[str, Any] = {} if "sigmoid" in name else {"class_group": dist.group.WORLD}
    of_rows: dict[str, Any] = (
        {}
        if name in ("sigmoid interpolate", "softmax smooth", "linear rows")
        else {"group": dist.group.WORLD}
    )
    split, _ = loss_of(name, **of_classes, **of_rows)
    same(slope_of(split, x), slope_of(loss, x))


def distributed(name: str) -> None:
    """DTensors, on one rank."""
    tensors, mesh = distributed_tensors(), init_device_mesh("cpu", (1,))
    function, targets, settings = losses.CALLS[name]
    arrays = [losses.FEATURES, losses.KERNEL] if "linear" in name else [losses.LOGITS]
    given = {key: torch.tensor(x) if hasattr(x, "dtype") else x for key, x in settings.items()}
    plain = [torch.tensor(x).requires_grad_() for x in arrays]
    loss = getattr(focal_torch, function)

    def split(x: Tensor, *placements: Any) -> Tensor:
        return tensors.distribute_tensor(x, mesh, list(placements))

    places = [tensors.Shard(0), tensors.Replicate()]
    given = {
        key: split(x, tensors.Replicate()) if isinstance(x, Tensor) else x
        for key, x in given.items()
    }
    parts = [
        split(x.detach(), place).requires_grad_() for x, place in zip(plain, places, strict=False)
    ]
    found: Any = loss(*parts, split(torch.tensor(targets), tensors.Shard(0)), **given)
    whole = found.full_tensor() if hasattr(found, "full_tensor") else found
    whole.sum().backward()
    settings = {key: torch.tensor(x) if hasattr(x, "dtype") else x for key, x in settings.items()}
    loss(*plain, torch.tensor(targets), **settings).sum().backward()
    for part, x in zip(parts, plain, strict=True):
        gradient: Any = part.grad
        same(gradient.full_tensor(), x.grad)


# PyTorch 2.11 fails with an assertion of its own.
DYNAMIC = {"softmax": "!=2.11.*", "softmax all": "!=2.11.*"}


def checks() -> dict[str, Check]:
    found = {"modules": Check(modules), "recipes": Check(recipes)}
    for name in losses.CALLS:
        for way in (
            derivatives,
            functions,
            checkpoints,
            exported,
            autocast,
            on_meta,
            on_one_rank,
            distributed,
        ):
            found[f"{name}, {way.__name__}"] = Check(partial(way, name))
        if "linear" not in name:
            found[f"{name}, traced"] = Check(partial(traced, name))
        found[f"{name}, compiled"] = Check(partial(compiled, name))
    for name in ("sigmoid", "softmax", "linear", "linear rows"):
        dynamic = partial(compiled, name, dynamic=True)
        found[f"{name}, compiled, dynamic"] = Check(dynamic, DYNAMIC.get(name, ""))
        found[f"{name}, compiled, float32"] = Check(partial(compiled, name, torch.float32))
        found[f"{name}, compiled torch.func.grad"] = Check(
            partial(compiled_gradient, name), ">=2.11"
        )
    return found


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
