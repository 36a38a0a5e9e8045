"""Split every batch over devices, and get the curve of one device: Flax NNX here, PyTorch in
`train_ddp_torch.py`.

The loss is divided by the positives of the whole batch. Many parts of a batch have none of their
own, so devices that divide by what they see train on another loss. A run that was killed goes on
from its last checkpoint.
"""

from argparse import Namespace
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
from tqdm import tqdm

from focal_jax import SigmoidFocalLoss

from .caravan import RECIPE, Arrays, Data, Recipe, batches, dataset, initial_weights
from .report import parser, report_split
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
    mesh = mesh_of(devices)
    both = start(weights, jnp.dtype(dtype), recipe)
    everywhere = NamedSharding(mesh, EVERYWHERE)
    nnx.update(both, jax.device_put(nnx.state(both), everywhere))
    x, y = data.train_x.astype(dtype), data.train_y
    epochs = batches(len(y), recipe)
    options = ocp.CheckpointManagerOptions(max_to_keep=1, cleanup_tmp_directories=True)
    with ocp.CheckpointManager(folder.resolve(), options=options) as checkpoints:
        curve = resume(checkpoints, both)
        done = len(curve) // epochs.shape[1]
        rest = epochs[done:]
        for epoch in tqdm(rest, folder.name, total=len(epochs), initial=done, disable=None):
            curve += train_epoch(both, loss, x[epoch], y[epoch], mesh)
            state = {"curve": np.array(curve), "state": nnx.state(both)}
            checkpoints.save(len(curve), args=ocp.args.StandardSave(state))
    # A folder may have the checkpoint of a longer run.
    steps = epochs[..., 0].size
    return np.array(curve[:steps])


def mesh_of(devices: int) -> Mesh:
    """The first devices in a row, along which a batch is split."""
    chosen = jax.devices()[:devices]
    return jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,), devices=chosen)


def train_epoch(
    both: tuple[MLP, nnx.Optimizer], loss: Any, x: np.ndarray, y: np.ndarray, mesh: Mesh
) -> list[float]:
    """The step is that of one device: the compiler splits it as its batch is split."""
    sharding = NamedSharding(mesh, SPLIT)
    parts = (jax.device_put(batch, sharding) for batch in zip(x, y, strict=True))
    with jax.set_mesh(mesh):
        return [float(step(*both, loss, *part)) for part in parts]


def resume(checkpoints: ocp.CheckpointManager, both: tuple[MLP, nnx.Optimizer]) -> list[float]:
    """Put the latest checkpoint into model and optimiser, and return the curve up to there."""
    steps = checkpoints.latest_step()
    if steps is None:
        return []
    like = {"curve": np.zeros(steps), "state": nnx.state(both)}
    restored = checkpoints.restore(steps, args=ocp.args.StandardRestore(like))
    nnx.update(both, restored["state"])
    tqdm.write(f"{checkpoints.directory.name}: goes on from step {steps}")
    return restored["curve"].tolist()


def options() -> Namespace:
    made = parser(__doc__)
    made.add_argument(
        "--devices", type=int, choices=(2, 4, 8, 16), default=8, help="simulated ones (default: 8)"
    )
    made.add_argument("--epochs", type=int, default=RECIPE.epochs, help=f"default: {RECIPE.epochs}")
    return made.parse_args()


def main() -> None:
    args = options()
    devices = args.devices
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    recipe = replace(RECIPE, epochs=args.epochs)
    data, weights = dataset(recipe), initial_weights(recipe)
    runs: dict[str, tuple[Any, int]] = {"1 device": (FOCAL, 1)}
    runs[f"{devices} devices"] = (FOCAL, devices)
    runs[f"{devices} devices, own divisors"] = (own_divisors, devices)
    folder = args.out / f"checkpoints_{args.dtype}"
    curves = {}
    with jax.enable_x64(True):
        for name, (loss, count) in runs.items():
            curves[name] = train(weights, data, loss, count, args.dtype, recipe, folder / name)
    targets = data.train_y[batches(len(data.train_y), recipe)]
    parts = targets.reshape(-1, recipe.batch_size // devices)
    report_split("sharded_jax", curves, 1 - parts.any(1).mean(), args)


if __name__ == "__main__":
    main()
