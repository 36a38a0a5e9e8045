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

import argparse
import json
import os
from typing import Any

from . import split
from .split import ARGUMENT, CASES, SPLIT, Case, Truth

WAYS = ("jit", "auto", "shard_map")
AXES = {"rows": "data", "classes": "model", None: None}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m parity_tests.tests.sharding.split_jax")
    parser.add_argument(
        "mesh", nargs=2, type=int, metavar="N", help="devices for rows, and for classes"
    )
    parser.add_argument("--way", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument(
        "--case", type=int, nargs="*", default=range(len(CASES)), help="numbers of cases"
    )
    parser.add_argument(
        "--local", action="store_true", help="divide by what is local, which is wrong"
    )
    parser.add_argument("--process", type=int)
    parser.add_argument("--of", type=int, default=1)
    parser.add_argument("--port", type=int)
    options = parser.parse_args(argv)
    devices = options.mesh[0] * options.mesh[1]
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices // options.of}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    jax.config.update("jax_enable_x64", True)
    if options.process is not None:
        address = f"127.0.0.1:{options.port}"
        jax.distributed.initialize(address, options.of, options.process, initialization_timeout=180)
    for number in options.case:
        for way in options.way:
            for what, error in judged(
                CASES[number], tuple(options.mesh), way, options.local
            ).items():
                print(json.dumps([CASES[number].name, way, what, round(error, 3)]), flush=True)


def judged(case: Case, shape: tuple[int, int], way: str, local: bool = False) -> dict[str, float]:
    """The error of the loss and of each gradient, of those parts that this process has."""
    import jax
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    kind = AxisType.Explicit if way == "jit" else AxisType.Auto
    mesh = jax.make_mesh(shape, ("data", "model"), axis_types=(kind, kind))
    given = split.arrays(case)
    specs = {name: PartitionSpec(*(AXES[axis] for axis in SPLIT[name])) for name in given}
    placed = {
        name: jax.make_array_from_callback(x.shape, NamedSharding(mesh, specs[name]), x.__getitem__)
        for name, x in given.items()
    }
    with jax.set_mesh(mesh):
        value, slopes = jax.jit(_program(case, specs, way == "shard_map", local))(placed)
    truths = split.truth(case)
    return {name: _error(truths[name], x) for name, x in {"loss": value, **slopes}.items()}


def _program(case: Case, specs: dict[str, Any], mapped: bool, local: bool) -> Any:
    import jax
    from jax.sharding import PartitionSpec

    import focal_jax

    devices: dict[str, Any] = {}
    if mapped:
        elementwise = case.function == split.SIGMOID
        devices = (
            {"axis_name": ("data", "model")}
            if elementwise
            else {"axis_name": "data", "class_axis_name": "model"}
        )
    if local:
        del devices["axis_name"]

    def loss(moved: dict[str, Any], fixed: dict[str, Any]) -> Any:
        named = {ARGUMENT.get(name, name): x for name, x in (moved | fixed).items()}
        found = getattr(focal_jax, case.function)(**named, **case.settings, **devices)
        return jax.lax.pmean(found, "data") if local else found

    def program(placed: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        moved = {name: placed[name] for name in case.moved}
        fixed = {name: x for name, x in placed.items() if name not in moved}
        return jax.value_and_grad(loss)(moved, fixed)

    if not mapped:
        return program
    results = PartitionSpec(), {name: specs[name] for name in case.moved}
    return jax.shard_map(program, in_specs=(specs,), out_specs=results)


def _error(truth: Truth, x: Any) -> float:
    return max(truth.error(shard.data, shard.index) for shard in x.addressable_shards)


if __name__ == "__main__":
    main()
