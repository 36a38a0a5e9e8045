"""Judge the losses of focal_torch on several ranks, and print each error in eps as a line of JSON.

    torchrun --standalone --nproc-per-node 4 -m parity_tests.tests.sharding.split_torch 2 2

has rows on two ranks and classes on two. The ways are `group`, where each rank calls the loss with
what it has and gradients are averaged over the ranks that have other rows, as
DistributedDataParallel does; `compiled`, the same under `torch.compile`; and `dtensor`. Rows are
split unevenly, and the first rank has none of them.
"""

import argparse
import json
from datetime import timedelta
from typing import Any

import jax
import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.distributed_c10d import GroupMember
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import focal_torch

from . import split
from .split import ARGUMENT, CASES, SPLIT, Case

WAYS = ("group", "compiled", "dtensor")
AXES = ("rows", "classes")
# Of the kernel alone the layout is another one, (C, D).
SPLITS = SPLIT | {"kernel": ("classes", None)}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m parity_tests.tests.sharding.split_torch")
    parser.add_argument(
        "mesh", nargs=2, type=int, metavar="N", help="ranks for rows, and for classes"
    )
    parser.add_argument("--way", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument(
        "--case", type=int, nargs="*", default=range(len(CASES)), help="numbers of cases"
    )
    parser.add_argument(
        "--local", action="store_true", help="divide by what is local, which is wrong"
    )
    options = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)
    # A rank that compiles keeps the others waiting.
    dist.init_process_group("gloo", timeout=timedelta(seconds=180))
    mesh = init_device_mesh("cpu", tuple(options.mesh), mesh_dim_names=AXES)
    for number in options.case:
        for way in options.way:
            errors = judged(CASES[number], mesh, way, options.local)
            # The worst of all ranks.
            worst = torch.tensor(list(errors.values()))
            dist.all_reduce(worst, dist.ReduceOp.MAX)
            for what, error in zip(errors, worst.tolist(), strict=True):
                if dist.get_rank() == 0:
                    print(json.dumps([CASES[number].name, way, what, round(error, 3)]), flush=True)
    dist.destroy_process_group()


def judged(case: Case, mesh: DeviceMesh, way: str, local: bool) -> dict[str, float]:
    """The error of the loss and of each gradient, of those parts that this rank has."""
    given = split.arrays(case)
    if "kernel" in given:
        given["kernel"] = np.ascontiguousarray(given["kernel"].T)
    leaves = {
        name: _part(name, torch.from_numpy(x), mesh, way == "dtensor") for name, x in given.items()
    }
    moved = [leaves[name].requires_grad_() for name in case.moved]
    elementwise = case.function == split.SIGMOID
    devices: dict[str, Any] = {}
    if way != "dtensor":
        devices = {"group": mesh.get_group("rows"), "class_group": mesh.get_group("classes")}
    if elementwise and devices:
        devices = {"group": GroupMember.WORLD}
    if local:
        del devices["group"]

    def loss(arrays: dict[str, torch.Tensor]) -> torch.Tensor:
        named = {ARGUMENT.get(name, name): x for name, x in arrays.items()}
        return getattr(focal_torch, case.function)(**named, **case.settings, **devices)

    value = (torch.compile(loss, fullgraph=True) if way == "compiled" else loss)(leaves)
    slopes = dict(zip(case.moved, torch.autograd.grad(value, moved), strict=True))
    if way != "dtensor":
        others = GroupMember.WORLD if elementwise else mesh.get_group("rows")
        slopes = {name: _averaged(name, x, others) for name, x in slopes.items()}
        value = _averaged("", value.detach(), others) if local else value
    truths = split.truth(case)
    return {
        name: _error(name, x, truths[name], mesh) for name, x in {"loss": value, **slopes}.items()
    }


def _cuts(name: str, mesh: DeviceMesh, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The part of an argument that this rank has: an uneven one of the rows, an equal one of the
    classes."""
    parts = []
    for axis, size in zip(SPLITS.get(name, ()), shape, strict=True):
        if axis is None:
            parts.append(slice(0, size))
            continue
        ranks, rank = mesh.size(AXES.index(axis)), mesh.get_local_rank(axis)
        edges = [size * i // ranks for i in range(ranks + 1)]
        if axis == "rows" and ranks > 1:
            # None on the first rank, and the more the later.
            edges = [0, *(size * i * i // (ranks - 1) ** 2 for i in range(ranks))]
        parts.append(slice(edges[rank], edges[rank + 1]))
    return tuple(parts)


def _part(name: str, x: torch.Tensor, mesh: DeviceMesh, distributed: bool) -> torch.Tensor:
    if not distributed:
        return x[_cuts(name, mesh, tuple(x.shape))].clone()
    split_axes = SPLITS[name]
    placements = [
        Shard(split_axes.index(axis)) if axis in split_axes else Replicate() for axis in AXES
    ]
    return distribute_tensor(x, mesh, placements).detach()


def _averaged(name: str, x: torch.Tensor, group: Any) -> torch.Tensor:
    """The average over the ranks with other rows: of what they share, for all of them, else of the
    one's alone."""
    x = x.clone()
    if "rows" not in SPLITS.get(name, ()):
        dist.all_reduce(x, group=group)
    return x / dist.get_world_size(group)


def _error(name: str, x: torch.Tensor, truth: split.Truth, mesh: DeviceMesh) -> float:
    turned = (lambda parts: parts[::-1]) if name == "kernel" else (lambda parts: parts)
    if isinstance(x, DTensor):
        x, cuts = x.full_tensor(), (...,)
    else:
        cuts = turned(_cuts(name, mesh, turned(truth.value.shape)))
    got = x.detach().numpy()
    return truth.error(got.T if name == "kernel" else got, cuts)


if __name__ == "__main__":
    main()
