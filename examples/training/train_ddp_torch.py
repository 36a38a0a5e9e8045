"""Split every batch over ranks, and get the curve of one process: PyTorch here, Flax NNX in
`train_sharded_jax.py`.

The loss is divided by the positives of the whole batch. Many parts of a batch have none of their
own, so ranks that divide by what they see train on another loss. Parts differ in size, which
DistributedDataParallel allows.
"""

import os
import socket
from argparse import Namespace
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
from torch.distributed.distributed_c10d import GroupMember
from torch.multiprocessing.spawn import start_processes
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from focal_torch import SigmoidFocalLoss

from .caravan import RECIPE, Arrays, Data, Recipe, batches, dataset, initial_weights, save
from .report import parser, report_split
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
    part = parts(recipe.batch_size, ranks)[rank]
    epochs = batches(len(x), recipe)[..., part]
    # Only the first rank has a bar, and that only in a terminal.
    hidden = True if rank else None
    curve = []
    for epoch in tqdm(epochs, name, disable=hidden):
        curve += [step(model, optimizer, focal, x[i], y[i]).item() for i in epoch]
    return np.array(curve)


def work(
    rank: int, ranks: int, weights: Arrays, data: Data, dtype: str, recipe: Recipe, folder: Path
) -> None:
    """What each rank does: train with the divisor of all ranks, and with its own."""
    torch.set_num_threads(1)
    # The loopback interface is the first.
    (_, loopback), *_ = socket.if_nameindex()
    os.environ["GLOO_SOCKET_IFNAME"] = loopback
    # Every wait for another rank has this limit.
    limit = timedelta(seconds=60)
    dist.init_process_group("gloo", f"file://{folder}/store", limit, ranks, rank)
    groups = {f"{ranks} ranks": GroupMember.WORLD, f"{ranks} ranks, own divisors": None}
    curves = {}
    for name, group in groups.items():
        losses = train(weights, data, dtype, recipe, name, rank, ranks, group)
        curve = torch.tensor(losses)
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
    set_forkserver_preload(["examples.training.train_torch", "torch._dynamo"])
    with TemporaryDirectory() as folder:
        start_processes(work, (ranks, *args, Path(folder)), ranks, start_method="forkserver")
        with np.load(Path(folder, "curves.npz")) as curves:
            return dict(curves)


def options() -> Namespace:
    made = parser(__doc__)
    # Of twelve ranks the first would have nobody.
    made.add_argument(
        "--ranks", type=int, choices=range(2, 12), default=4, help="processes (default: 4)"
    )
    made.add_argument("--epochs", type=int, default=RECIPE.epochs, help=f"default: {RECIPE.epochs}")
    return made.parse_args()


def main() -> None:
    args = options()
    recipe = replace(RECIPE, epochs=args.epochs)
    data, weights = dataset(recipe), initial_weights(recipe)
    torch.set_num_threads(1)  # Matrices this small lose time when threads share them.
    curves = {"1 process": train(weights, data, args.dtype, recipe, "1 process")}
    curves |= train_on_ranks(args.ranks, weights, data, args.dtype, recipe)
    targets = data.train_y[batches(len(data.train_y), recipe)]
    slices = parts(recipe.batch_size, args.ranks)
    empty = [~targets[..., part].any(-1) for part in slices]
    report_split("ddp_torch", curves, float(np.mean(empty)), args)


if __name__ == "__main__":
    main()
