"""Compile the head for the slices of one platform, and print what each program does as one line of
JSON.

    python -m benchmarks.pods.compile tpu [--quick]

`benchmarks.pods` starts it as a process of its own: the compiler of a platform is loaded once and
stays.
"""

import json
import os
import sys
from dataclasses import asdict
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import focal_jax
from benchmarks.aot.devices import GPUS, gpus

from .cases import CHUNK, CLASSES, FEATURES, GATHERED, PER_CHIP, ROWS, Pod, pods
from .collectives import Exchange
from .verdict import Measurement

ONE, BY_ROW, BY_CLASS = PartitionSpec(), PartitionSpec("data"), PartitionSpec(None, "model")


def measure(pod: Pod) -> Measurement:
    try:
        compiled = compile_for(pod)
    except jax.errors.JaxRuntimeError as error:
        return Measurement(pod, error=str(error).partition("\n")[0])
    program = Exchange(compiled.as_text())
    temporaries = compiled.memory_analysis().temp_size_in_bytes
    return Measurement(pod, temporaries, program.steps(), list(program.collectives()))


def compile_for(pod: Pod) -> Any:
    """Value and gradients of the head; its gradients lie where features and kernel do."""
    mesh = Mesh(devices(pod.slice).reshape(pod.data, pod.model), ("data", "model"))
    loss, by_row, by_class = (NamedSharding(mesh, spec) for spec in (ONE, BY_ROW, BY_CLASS))
    rows, classes = ROWS * pod.data, CLASSES * pod.model
    features = jax.ShapeDtypeStruct((rows, FEATURES), pod.dtype, sharding=by_row)
    kernel = jax.ShapeDtypeStruct((FEATURES, classes), pod.dtype, sharding=by_class)
    ids = jax.ShapeDtypeStruct((rows,), jnp.int32, sharding=by_row)
    with_gradients = jax.value_and_grad(head(pod, mesh), argnums=(0, 1))
    function = jax.jit(with_gradients, out_shardings=(loss, (by_row, by_class)))
    return function.lower(features, kernel, ids).compile()


def head(pod: Pod, mesh: Mesh) -> Any:
    if pod.chunk == GATHERED:
        return partial(_gathered, mesh)
    chunk_size = CHUNK * pod.data if pod.chunk == PER_CHIP else None
    return partial(focal_jax.linear_softmax_focal_loss, chunk_size=chunk_size)


def _gathered(mesh: Mesh, features: Array, kernel: Array, ids: Array) -> Array:
    """The mistake to find: every device makes the logits of its own classes and is given those of
    all others."""
    logits = features @ kernel
    # Without the first the compiler gathers the kernel, and has all logits made by every device.
    for spec in (PartitionSpec("data", "model"), PartitionSpec("data", None)):
        logits = jax.lax.with_sharding_constraint(logits, NamedSharding(mesh, spec))
    return focal_jax.softmax_focal_loss(logits, ids, reduction="mean")


@cache
def devices(place: str) -> Any:
    """Those of a slice that is not there."""
    kind, _, shape = place.partition(":")
    if kind in GPUS:
        return np.array(gpus(kind, shape).devices)
    return np.array(topologies.get_topology_desc(place, "tpu").devices)


def main(platform: str, *options: str) -> None:
    # The compilers print too, some of it from C++: their words go to stderr.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for pod in pods(platform, "--quick" in options):
        print(json.dumps(asdict(measure(pod))), file=results, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
