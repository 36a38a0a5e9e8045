"""Split every batch over devices, and get the curve of one device: Flax NNX here, PyTorch in
`train_ddp_torch.py`.

The loss is divided by the positives of the whole batch. Many parts of a batch have none of their
own, so devices that divide by what they see train on another loss. A run that was killed goes on
from its last checkpoint.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from focal_jax import SigmoidFocalLoss

from .caravan import RECIPE, Arrays, Data, Recipe, batches, dataset, initial_weights, save
from .report import curves_path
from .train_jax import MLP, start, step

FOCAL = SigmoidFocalLoss(alpha=0.25, gamma=2.0, reduction="mean_positive")

SPLIT, EVERYWHERE = PartitionSpec("data"), PartitionSpec()


@partial(jax.shard_map, in_specs=SPLIT, out_specs=EVERYWHERE)
def own_divisors(logits: Array, targets: Array) -> Array:
    """The mistake: each device divides by its own positives, and the quotients are averaged."""
    return jax.lax.pmean(FOCAL(logits, targets), "data")


def train(
    weights: Arrays, data: Data, loss: Any, devices: int, dtype: str, recipe: Recipe, folder: Path
) -> np.ndarray:
    """The loss of every step. Epochs whose checkpoint is in the folder are not trained again."""
    mesh = jax.make_mesh(
        (devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices]
    )
    both = start(weights, jnp.dtype(dtype), recipe)
    nnx.update(both, jax.device_put(nnx.state(both), NamedSharding(mesh, EVERYWHERE)))
    x, y, epochs = data.train_x.astype(dtype), data.train_y, batches(len(data.train_y), recipe)
    options = ocp.CheckpointManagerOptions(max_to_keep=1, cleanup_tmp_directories=True)
    with ocp.CheckpointManager(folder.resolve(), options=options) as checkpoints:
        curve = resume(checkpoints, both)
        done = len(curve) // epochs.shape[1]
        for epoch in tqdm(
            epochs[done:], folder.name, total=len(epochs), initial=done, disable=None
        ):
            curve += train_epoch(both, loss, x[epoch], y[epoch], mesh)
            state = {"curve": np.array(curve), "state": nnx.state(both)}
            checkpoints.save(len(curve), args=ocp.args.StandardSave(state))
    return np.array(curve[: epochs[..., 0].size])


def train_epoch(
    both: tuple[MLP, nnx.Optimizer], loss: Any, x: np.ndarray, y: np.ndarray, mesh: Mesh
) -> list[float]:
    """The step is that of one device: the compiler splits it as its batch is split."""
    parts = (jax.device_put(batch, NamedSharding(mesh, SPLIT)) for batch in zip(x, y, strict=True))
    with jax.set_mesh(mesh):
        return [float(step(*both, loss, *part)) for part in parts]


def resume(checkpoints: ocp.CheckpointManager, both: tuple[MLP, nnx.Optimizer]) -> list[float]:
    """Put the latest checkpoint into model and optimiser, and return the curve up to there."""
    steps = checkpoints.latest_step()
    if steps is None:
        return []
    like = {"curve": np.zeros(steps), "state": nnx.state(both)}
    found = checkpoints.restore(steps, args=ocp.args.StandardRestore(like))
    nnx.update(both, found["state"])
    tqdm.write(f"{checkpoints.directory.name}: goes on from step {steps}")
    return found["curve"].tolist()


def report(curves: Arrays, empty: float, args: Namespace) -> None:
    """Write the curves, and print the largest relative difference of each from the first."""
    path = curves_path(args.out, "sharded_jax", args.dtype)
    save(path, {"runs": np.array(list(curves)), "curves": np.stack(list(curves.values()))})
    table = Table("run", title=f"train_sharded_jax.py, {args.dtype}")
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
    parser.add_argument(
        "--devices", type=int, choices=(2, 4, 8, 16), default=8, help="simulated ones (default: 8)"
    )
    parser.add_argument(
        "--epochs", type=int, default=RECIPE.epochs, help=f"default: {RECIPE.epochs}"
    )
    return parser.parse_args()


def main() -> None:
    args = options()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", args.devices)
    recipe = replace(RECIPE, epochs=args.epochs)
    data, weights = dataset(recipe), initial_weights(recipe)
    many = f"{args.devices} devices"
    runs: dict[str, tuple[Any, int]] = {
        "1 device": (FOCAL, 1),
        many: (FOCAL, args.devices),
        f"{many}, own divisors": (own_divisors, args.devices),
    }
    folder = args.out / f"checkpoints_{args.dtype}"
    with jax.enable_x64(True):
        curves = {
            name: train(weights, data, *run, args.dtype, recipe, folder / name)
            for name, run in runs.items()
        }
    parts = data.train_y[batches(len(data.train_y), recipe)].reshape(
        -1, recipe.batch_size // args.devices
    )
    report(curves, 1 - parts.any(1).mean(), args)


if __name__ == "__main__":
    main()
