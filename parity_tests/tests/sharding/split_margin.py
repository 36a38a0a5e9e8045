"""Print whether the margins of logits in DTensors, and their gradient, are those of plain tensors.

    torchrun --standalone --nproc-per-node 2 -m parity_tests.tests.sharding.split_margin

has half of the classes on each rank.
"""

from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import focal_torch
from parity_tests.contract.exact import Draws

ROWS, CLASSES = 6, 8


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=120))
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    draws = Draws(0)
    plain = torch.from_numpy(draws.bell((ROWS, CLASSES))).requires_grad_()
    ids = torch.from_numpy(draws.integers(0, CLASSES, ROWS))
    split = distribute_tensor(plain.detach(), mesh, [Shard(1)]).requires_grad_()
    everywhere = distribute_tensor(ids, mesh, [Replicate()])
    expected = focal_torch.softmax_margin(plain, ids)
    margins = focal_torch.softmax_margin(split, everywhere)
    (expected_grad,) = torch.autograd.grad(expected.sum(), plain)
    (grad,) = torch.autograd.grad(margins.sum(), split)
    assert isinstance(margins, DTensor)
    assert isinstance(grad, DTensor)
    # A sum over classes in two parts, in float64.
    torch.testing.assert_close(margins.full_tensor(), expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(grad.full_tensor(), expected_grad, rtol=1e-14, atol=0)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
