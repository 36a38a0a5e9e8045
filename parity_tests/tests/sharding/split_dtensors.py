"""Hold what is made of DTensors, and its gradient, against the same of plain tensors.

    torchrun --standalone --nproc-per-node 2 -m parity_tests.tests.sharding.split_dtensors

has half of the classes on each rank: margins of class ids, and losses of elements whose mask is a
plain tensor, and α, too, or all else is split.
"""

from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import focal_torch
from parity_tests.contract.exact import Draws

ROWS, CLASSES = 6, 8


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=120))
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    draws = Draws(0)
    logits = torch.from_numpy(draws.bell((ROWS, CLASSES)))
    ids = torch.from_numpy(draws.integers(0, CLASSES, ROWS))
    everywhere = distribute_tensor(ids, mesh, [Replicate()])

    def margins(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.softmax_margin(z, everywhere if isinstance(z, DTensor) else ids)

    targets = torch.from_numpy(draws.uniform(shape=(ROWS, CLASSES)))
    kept = torch.from_numpy(draws.integers(0, 2, (ROWS, CLASSES))).bool()
    uniform = torch.from_numpy(draws.uniform(shape=(ROWS, CLASSES)))
    alpha = uniform.where(kept, torch.nan)

    def masked(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, targets, alpha=alpha, where=kept)

    shards = distribute_tensor(targets, mesh, [Shard(1)])
    factors = distribute_tensor(alpha, mesh, [Shard(1)])

    def masked_shards(z: torch.Tensor) -> torch.Tensor:
        y, a = (shards, factors) if isinstance(z, DTensor) else (targets, alpha)
        return focal_torch.varifocal_loss(z, y, alpha=a, gamma=a, where=kept, weight=a)

    for function in (margins, masked, masked_shards):
        compare(function, logits, mesh)
    dist.destroy_process_group()


def compare(
    function: Callable[[torch.Tensor], torch.Tensor], logits: torch.Tensor, mesh: DeviceMesh
) -> None:
    plain = logits.clone().requires_grad_()
    split = distribute_tensor(logits, mesh, [Shard(1)]).requires_grad_()
    expected, result = function(plain), function(split)
    (expected_grad,) = torch.autograd.grad(expected.sum(), plain)
    (grad,) = torch.autograd.grad(result.sum(), split)
    assert isinstance(result, DTensor)
    assert isinstance(grad, DTensor)
    # A sum over classes in two parts, in float64. No absolute error: numbers are far from 0, or
    # exactly 0.
    torch.testing.assert_close(result.full_tensor(), expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(grad.full_tensor(), expected_grad, rtol=1e-14, atol=0)


if __name__ == "__main__":
    main()
