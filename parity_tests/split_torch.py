"""Judge the losses of focal_torch on several ranks, and write each error in eps as a line of JSON.

    torchrun --standalone --nproc-per-node 4 -m parity_tests.split_torch OUT 2 2     rows on two ranks, classes on two

The ways are `group`, where each rank calls the loss with what it has and gradients are averaged over the ranks that
have other rows, as DistributedDataParallel does; `compiled`, the same under `torch.compile`; and `dtensor`. Rows are
split unevenly, and the first rank has none of them.
"""

import argparse
import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import focal_torch

from . import split
from .split import ARGUMENT, CASES, ROWS, SPLIT, Case

WAYS = ("group", "compiled", "dtensor")
AXES = ("rows", "classes")
# Of the kernel alone the layout is another one, (C, D).
SPLITS = SPLIT | {"kernel": ("classes", None)}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m parity_tests.split_torch")
    parser.add_argument("out", type=Path)
    parser.add_argument("mesh", nargs=2, type=int, metavar="N", help="ranks for rows, and for classes")
    parser.add_argument("--way", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument("--case", type=int, nargs="*", default=range(len(CASES)), help="numbers of cases")
    parser.add_argument("--local", action="store_true", help="divide by what is local, which is wrong")
    options = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    mesh = init_device_mesh("cpu", tuple(options.mesh), mesh_dim_names=AXES)
    for number in options.case:
        for way in options.way:
            errors = judged(CASES[number], mesh, way, options.local)
            # The worst of all ranks.
            worst = torch.tensor(list(errors.values()))
            dist.all_reduce(worst, dist.ReduceOp.MAX)
            if dist.get_rank() == 0:
                with options.out.open("a") as file:
                    for what, error in zip(errors, worst.tolist(), strict=True):
                        print(json.dumps([CASES[number].name, way, what, round(error, 3)]), file=file)
    dist.destroy_process_group()


def judged(case: Case, mesh: DeviceMesh, way: str, local: bool) -> dict[str, float]:
    """The error of the loss and of each gradient, of those parts that this rank has."""
    given = split.arrays(case)
    if "kernel" in given:
        given["kernel"] = np.ascontiguousarray(given["kernel"].T)
    leaves = {name: _part(name, torch.from_numpy(x), mesh, way == "dtensor") for name, x in given.items()}
    moved = [leaves[name].requires_grad_() for name in case.moved]
    elementwise = case.function == split.SIGMOID
    devices: dict[str, Any] = {}
    if way != "dtensor":
        devices["group"] = mesh.get_group("rows")
        if not elementwise:
            devices["class_group"] = mesh.get_group("classes")
    if local:
        del devices["group"]

    def loss(arrays: dict[str, torch.Tensor]) -> torch.Tensor:
        named = {ARGUMENT.get(name, name): x for name, x in arrays.items()}
        return getattr(focal_torch, case.function)(**named, **case.settings, **devices)

    value = (torch.compile(loss, fullgraph=True) if way == "compiled" else loss)(leaves)
    slopes = dict(zip(case.moved, torch.autograd.grad(value, moved), strict=True))
    if way != "dtensor":
        slopes = {name: _averaged(name, x, mesh) for name, x in slopes.items()}
        value = _averaged("", value.detach(), mesh) if local else value
    truths = split.truth(case)
    return {name: _error(name, x, truths[name], mesh) for name, x in {"loss": value, **slopes}.items()}


def _cuts(name: str, mesh: DeviceMesh, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The part of an argument that this rank has: an uneven one of the rows, an equal one of the classes."""
    place = dict(zip(AXES, mesh.get_coordinate() or (), strict=True))
    parts = []
    for axis, size in zip(SPLITS.get(name, ()), shape, strict=True):
        if axis is None:
            parts.append(slice(0, size))
            continue
        ranks = mesh.size(AXES.index(axis))
        # Without rows on the first rank, and with the more the later.
        edges = [ROWS * i * i // (ranks - 1) ** 2 for i in range(ranks)] if axis == "rows" and ranks > 1 else None
        first, last = list(pairwise([0, *edges] if edges else np.linspace(0, size, ranks + 1, dtype=int).tolist()))[
            place[axis]
        ]
        parts.append(slice(first, last))
    return tuple(parts)


def _part(name: str, x: torch.Tensor, mesh: DeviceMesh, distributed: bool) -> torch.Tensor:
    if not distributed:
        return x[_cuts(name, mesh, tuple(x.shape))].clone()
    split_axes = SPLITS[name]
    placements = [Shard(split_axes.index(axis)) if axis in split_axes else Replicate() for axis in AXES]
    return distribute_tensor(x, mesh, placements).detach()


def _averaged(name: str, x: torch.Tensor, mesh: DeviceMesh) -> torch.Tensor:
    """The gradient after an average over the ranks with other rows: of what they share by all, else by the one."""
    x = x.clone()
    if "rows" not in SPLITS.get(name, ()):
        dist.all_reduce(x, group=mesh.get_group("rows"))
    return x / mesh.size(0)


def _error(name: str, x: torch.Tensor, truth: split.Truth, mesh: DeviceMesh) -> float:
    if isinstance(x, DTensor):
        whole = x.full_tensor().detach().numpy()
        return truth.error(whole.T if name == "kernel" else whole)
    got, parts = (
        x.detach().numpy(),
        _cuts(name, mesh, truth.value.shape[::-1] if name == "kernel" else truth.value.shape),
    )
    return truth.error(got.T, parts[::-1]) if name == "kernel" else truth.error(got, parts)


if __name__ == "__main__":
    main()
