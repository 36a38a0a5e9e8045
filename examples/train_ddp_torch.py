"""Split every batch over ranks, and get the curve of one process: PyTorch here, Flax NNX in
`train_sharded_jax.py`.

The loss is divided by the positives of the whole batch. Many parts of a batch have none of their
own, so ranks that divide by what they see train on another loss. Parts differ in size, which
DistributedDataParallel allows.
"""

import os
import socket
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from multiprocessing import set_forkserver_preload
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from rich.console import Console
from rich.table import Table
from torch.distributed.distributed_c10d import GroupMember
from torch.multiprocessing.spawn import start_processes
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from focal_torch import SigmoidFocalLoss

from .caravan import RECIPE, Arrays, Data, Recipe, batches, dataset, initial_weights, save
from .report import curves_path
from .train_torch import MLP, start, step


def parts(batch_size: int, ranks: int) -> list[slice]:
    """The part of a batch that each rank has, in proportion 1 : 3 : 5 : …"""
    edges = [batch_size * i**2 // ranks**2 for i in range(ranks + 1)]
    return [slice(*edge) for edge in pairwise(edges)]


def train(
    weights: Arrays,
    data: Data,
    dtype: str,
    recipe: Recipe,
    name: str,
    rank: int = 0,
    ranks: int = 1,
    group: Any = None,
) -> np.ndarray:
    """The loss of every step: without a group of the rank's own part, with one of the whole
    batch."""
    real = getattr(torch, dtype)
    model, optimizer = start(weights, real, recipe)
    if ranks > 1:
        # It is called as the model that it holds, and averages gradients over the ranks.
        model = cast(MLP, DistributedDataParallel(model))
    focal = SigmoidFocalLoss(alpha=0.25, gamma=2.0, reduction="mean_positive", group=group)
    x, y = torch.tensor(data.train_x, dtype=real), torch.tensor(data.train_y)
    part, curve = parts(recipe.batch_size, ranks)[rank], []
    for epoch in tqdm(batches(len(x), recipe)[..., part], name, disable=True if rank else None):
        curve += [step(model, optimizer, focal, x[i], y[i]).item() for i in epoch]
    return np.array(curve)


def work(
    rank: int, ranks: int, weights: Arrays, data: Data, dtype: str, recipe: Recipe, folder: Path
) -> None:
    """What each rank does: train with the divisor of all ranks, and with its own."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = socket.if_nameindex()[0][
        1
    ]  # The loopback interface is the first.
    # Every wait for another rank has this limit.
    limit = timedelta(seconds=60)
    dist.init_process_group("gloo", f"file://{folder}/store", limit, ranks, rank)
    curves, groups = {}, {f"{ranks} ranks": GroupMember.WORLD, f"{ranks} ranks, own divisors": None}
    for name, group in groups.items():
        curve = torch.tensor(train(weights, data, dtype, recipe, name, rank, ranks, group))
        # The loss whose gradient is the average of gradients is the average of losses.
        dist.all_reduce(curve)
        curves[name] = curve.numpy() / ranks
    if rank == 0:
        save(folder / "curves.npz", curves)
    dist.destroy_process_group()


def train_on_ranks(ranks: int, *args: Any) -> Arrays:
    """The curves of all ranks, which are processes on this machine."""
    # They are forked from a process that has imported what takes long; the optimisers use
    # torch._dynamo.
    set_forkserver_preload(["examples.train_torch", "torch._dynamo"])
    with TemporaryDirectory() as folder:
        start_processes(work, (ranks, *args, Path(folder)), ranks, start_method="forkserver")
        with np.load(Path(folder, "curves.npz")) as curves:
            return dict(curves)


def report(curves: Arrays, empty: float, args: Namespace) -> None:
    """Write the curves, and print the largest relative difference of each from the first."""
    path = curves_path(args.out, "ddp_torch", args.dtype)
    save(path, {"runs": np.array(list(curves)), "curves": np.stack(list(curves.values()))})
    table = Table("run", title=f"train_ddp_torch.py, {args.dtype}")
    for name in ("first loss", "last loss", "relative difference"):
        table.add_column(name, justify="right")
    reference, *_ = curves.values()
    for name, curve in curves.items():
        difference = np.max(np.abs(curve - reference) / reference)
        table.add_row(name, f"{curve[0]:.6f}", f"{curve[-1]:.6f}", f"{difference:.1e}")
    Console().print(
        table, f"parts of a batch without a positive: {empty:.1%}", f"wrote {path}", sep="\n"
    )


def options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of all files (default: out)"
    )
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float64", help="default: float64"
    )
    # Of twelve ranks the first would have nobody.
    parser.add_argument(
        "--ranks", type=int, choices=range(2, 12), default=4, help="processes (default: 4)"
    )
    parser.add_argument(
        "--epochs", type=int, default=RECIPE.epochs, help=f"default: {RECIPE.epochs}"
    )
    return parser.parse_args()


def main() -> None:
    args = options()
    recipe = replace(RECIPE, epochs=args.epochs)
    data, weights = dataset(recipe), initial_weights(recipe)
    torch.set_num_threads(1)  # Matrices this small lose time when threads share them.
    curves = {"1 process": train(weights, data, args.dtype, recipe, "1 process")}
    curves |= train_on_ranks(args.ranks, weights, data, args.dtype, recipe)
    y = data.train_y[batches(len(data.train_y), recipe)]
    empty = [~y[..., part].any(-1) for part in parts(recipe.batch_size, args.ranks)]
    report(curves, float(np.mean(empty)), args)


if __name__ == "__main__":
    main()
