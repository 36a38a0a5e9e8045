"""Judge the losses of focal_torch on several ranks, and print each error in eps as a line of JSON.

    torchrun --standalone --nproc-per-node 4 -m parity_tests.tests.sharding.split_torch 2 2

has rows on two ranks and classes on two. The ways are `group`, where each rank calls the loss with
what it has and gradients are averaged over the ranks that have other rows, as
DistributedDataParallel does; `compiled`, the same under `torch.compile`; and `dtensor`. Rows are
split unevenly, and the first rank has none of them.
"""

from datetime import timedelta
from itertools import product
from typing import Any

import jax
import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.distributed_c10d import GroupMember
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import focal_torch

from . import ranks, split
from .split import CASES, SPLIT, Case

WAYS = ("group", "compiled", "dtensor")
AXES = ("rows", "classes")
# Of the kernel alone the layout is another one, (C, D).
SPLITS = SPLIT | {"kernel": ("classes", None)}


def main(argv: list[str] | None = None) -> None:
    parser = ranks.parser_of("split_torch", WAYS, "ranks", len(CASES))
    options = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)
    # A rank that compiles keeps the others waiting.
    dist.init_process_group("gloo", timeout=timedelta(seconds=180))
    mesh = init_device_mesh("cpu", tuple(options.mesh), mesh_dim_names=AXES)
    for number, way in product(options.case, options.way):
        case = CASES[number]
        errors = judged(case, mesh, way, options.local)
        worst_of_ranks = torch.tensor(list(errors.values()))
        dist.all_reduce(worst_of_ranks, dist.ReduceOp.MAX)
        for what, eps in zip(errors, worst_of_ranks.tolist(), strict=True):
            if dist.get_rank() == 0:
                ranks.show(ranks.Error(case.name, way, what, eps))
    dist.destroy_process_group()


def judged(case: Case, mesh: DeviceMesh, way: str, local: bool) -> dict[str, float]:
    """The error of the loss and of each gradient, of those parts that this rank has."""
    arrays = split.arrays(case)
    if "kernel" in arrays:
        arrays["kernel"] = np.ascontiguousarray(arrays["kernel"].T)
    distributed = way == "dtensor"
    leaves = {}
    for name, x in arrays.items():
        leaves[name] = _part(name, torch.from_numpy(x), mesh, distributed)
    moved = [leaves[name].requires_grad_() for name in case.moved]
    settings = case.settings
    if not distributed:
        settings |= _groups(case, mesh, local)

    def loss(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        return getattr(focal_torch, case.function)(**case.inputs(tensors), **settings)

    call = torch.compile(loss, fullgraph=True) if way == "compiled" else loss
    value = call(leaves)
    grads = torch.autograd.grad(value, moved)
    results = {"loss": value} | dict(zip(case.moved, grads, strict=True))
    if not distributed:
        # What ranks have of sums over rows is added up as DistributedDataParallel does.
        is_whole = case.function in split.OF_ELEMENTS
        others = GroupMember.WORLD if is_whole else mesh.get_group("rows")
        for name in case.moved:
            results[name] = _averaged(name, results[name], others)
        if local:
            results["loss"] = _averaged("loss", value.detach(), others)
    truths = split.truth(case)
    return {name: _error(name, x, truths[name], mesh) for name, x in results.items()}


def _groups(case: Case, mesh: DeviceMesh, local: bool) -> dict[str, Any]:
    """The settings that name a rank's groups."""
    if case.function in split.OF_ELEMENTS:
        groups: dict[str, Any] = {"group": GroupMember.WORLD}
    else:
        groups = {"group": mesh.get_group("rows"), "class_group": mesh.get_group("classes")}
    if local:
        del groups["group"]
    return groups


def _cuts(name: str, mesh: DeviceMesh, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The part of an argument that this rank has: an uneven one of the rows, an equal one of the
    classes."""
    parts = []
    for axis, size in zip(SPLITS.get(name, ()), shape, strict=True):
        if axis is None:
            parts.append(slice(0, size))
            continue
        count = mesh.size(AXES.index(axis))
        edges = [size * i // count for i in range(count + 1)]
        if axis == "rows" and count > 1:
            # None on the first rank, and the more the later.
            edges = [0, *(size * i * i // (count - 1) ** 2 for i in range(count))]
        rank = mesh.get_local_rank(axis)
        parts.append(slice(edges[rank], edges[rank + 1]))
    return tuple(parts)


def _part(name: str, x: torch.Tensor, mesh: DeviceMesh, distributed: bool) -> torch.Tensor:
    if not distributed:
        return x[_cuts(name, mesh, tuple(x.shape))].clone()
    axes = SPLITS[name]
    placements = []
    for axis in AXES:
        placement = Shard(axes.index(axis)) if axis in axes else Replicate()
        placements.append(placement)
    return distribute_tensor(x, mesh, placements).detach()


def _averaged(name: str, x: torch.Tensor, group: Any) -> torch.Tensor:
    """The average over the ranks with other rows: of what they share, for all of them, else of the
    one's alone."""
    x = x.clone()
    if "rows" not in SPLITS.get(name, ()):
        dist.all_reduce(x, group=group)
    return x / dist.get_world_size(group)


def _error(name: str, x: torch.Tensor, truth: split.Truth, mesh: DeviceMesh) -> float:
    """The truth of the kernel has the layout of JAX, (D, C)."""
    is_turned = name == "kernel"
    shape = truth.value.shape[::-1] if is_turned else truth.value.shape
    if isinstance(x, DTensor):
        x = x.full_tensor()
        cuts = (...,)
    else:
        cuts = _cuts(name, mesh, shape)
    values = x.detach().numpy()
    if is_turned:
        return truth.error(values.T, cuts[::-1])
    return truth.error(values, cuts)


if __name__ == "__main__":
    main()
