"""Judge the losses of focal_jax on a mesh of devices, and print each error in eps as a line of
JSON.

    python -m parity_tests.tests.sharding.split_jax 2 4
    python -m parity_tests.tests.sharding.split_jax 2 4 --way jit
    python -m parity_tests.tests.sharding.split_jax 2 4 --process 0 --of 2 --port 1234

Rows are on two devices and classes on four, in one process; as the compiler splits what `jax.jit`
is given; and one of two processes with half of the devices.

The ways are `jit`, on a mesh with explicit axes, `auto`, on one with automatic axes, and
`shard_map`.
"""

import os
from collections.abc import Callable
from itertools import product
from typing import Any

from . import ranks, split
from .split import CASES, SPLIT, Case, Truth

WAYS = ("jit", "auto", "shard_map")
AXES = {"rows": "data", "classes": "model", None: None}
Arrays = dict[str, Any]


def main(argv: list[str] | None = None) -> None:
    parser = ranks.parser_of("split_jax", WAYS, "devices", len(CASES))
    parser.add_argument("--process", type=int)
    parser.add_argument("--of", type=int, default=1)
    parser.add_argument("--port", type=int)
    options = parser.parse_args(argv)
    rows, classes = options.mesh
    # Before JAX looks for its devices.
    per_process = rows * classes // options.of
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={per_process}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    jax.config.update("jax_enable_x64", True)
    if options.process is not None:
        address = f"127.0.0.1:{options.port}"
        jax.distributed.initialize(address, options.of, options.process, initialization_timeout=180)
    for number, way in product(options.case, options.way):
        case = CASES[number]
        errors = judged(case, (rows, classes), way, options.local)
        for what, eps in errors.items():
            ranks.show(ranks.Error(case.name, way, what, eps))


def judged(case: Case, shape: tuple[int, int], way: str, local: bool = False) -> dict[str, float]:
    """The error of the loss and of each gradient, of those parts that this process has."""
    import jax
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    kind = AxisType.Explicit if way == "jit" else AxisType.Auto
    mesh = jax.make_mesh(shape, ("data", "model"), axis_types=(kind, kind))
    specs, placed = {}, {}
    for name, x in split.arrays(case).items():
        axes = [AXES[axis] for axis in SPLIT[name]]
        specs[name] = PartitionSpec(*axes)
        sharding = NamedSharding(mesh, specs[name])
        placed[name] = jax.make_array_from_callback(x.shape, sharding, x.__getitem__)
    mapped = way == "shard_map"
    with jax.set_mesh(mesh):
        program = _program(case, mapped, local)
        if mapped:
            grad_specs = {name: specs[name] for name in case.moved}
            results = PartitionSpec(), grad_specs
            program = jax.shard_map(program, in_specs=(specs,), out_specs=results)
        loss, grads = jax.jit(program)(placed)
    truths = split.truth(case)
    results = {"loss": loss, **grads}
    return {name: _error(truths[name], x) for name, x in results.items()}


def _program(case: Case, mapped: bool, local: bool) -> Callable[[Arrays], tuple[Any, Arrays]]:
    """The loss and its gradients, on what each device has where it is mapped over devices."""
    import jax

    import focal_jax

    axis_names: dict[str, Any] = {}
    if mapped and case.function in split.OF_ELEMENTS:
        axis_names = {"axis_name": ("data", "model")}
    elif mapped:
        axis_names = {"axis_name": "data", "class_axis_name": "model"}
    if local:
        del axis_names["axis_name"]
    settings = case.settings | axis_names

    def loss(moved: Arrays, fixed: Arrays) -> Any:
        inputs = case.inputs(moved | fixed)
        value = getattr(focal_jax, case.function)(**inputs, **settings)
        return jax.lax.pmean(value, "data") if local else value

    def program(placed: Arrays) -> tuple[Any, Arrays]:
        moved = {name: placed[name] for name in case.moved}
        fixed = {name: x for name, x in placed.items() if name not in moved}
        return jax.value_and_grad(loss)(moved, fixed)

    return program


def _error(truth: Truth, x: Any) -> float:
    return max(truth.error(shard.data, shard.index) for shard in x.addressable_shards)


if __name__ == "__main__":
    main()
