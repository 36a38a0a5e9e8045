"""Accelerators that are not there: what XLA has to know about one to compile for it.

A TPU is known to its compiler by name. A GPU is described by the numbers of its data sheet and, for
what a multiprocessor holds, those of the compute capabilities in the CUDA programming guide.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from jax.experimental import topologies

KIB, MIB, GB = 1 << 10, 1 << 20, 10**9


@dataclass(frozen=True)
class Gpu:
    """Multiprocessors ("cores") with their float32 units, shared memory and clock; second-level
    cache; memory."""

    name: str
    capability: tuple[int, int]
    cores: int
    units: int
    shared: int
    clock_ghz: float
    cache: int
    bandwidth: int
    memory: int


GPUS = {
    "H100": Gpu(
        "NVIDIA H100 80GB HBM3", (9, 0), 132, 128, 228 * KIB, 1.98, 50 * MIB, 3350 * GB, 80 * GB
    ),
    "A100": Gpu(
        "NVIDIA A100-SXM4-80GB", (8, 0), 108, 64, 164 * KIB, 1.41, 40 * MIB, 2039 * GB, 80 * GB
    ),
    "B200": Gpu("NVIDIA B200", (10, 0), 148, 128, 228 * KIB, 1.965, 126 * MIB, 8000 * GB, 180 * GB),
}
# The smallest topology that each generation's compiler knows.
TPUS = {
    "v4": "v4:2x2x1",
    "v5e": "v5e:2x2",
    "v5p": "v5p:2x2x1",
    "v6e": "v6e:2x2",
    "v7x": "tpu7x:2x2x1",
}
DEVICES = {"gpu": tuple(GPUS), "tpu": tuple(TPUS)}
COMPILERS = {"gpu": "jax_plugins.xla_cuda13", "tpu": "libtpu"}

# One kibibyte of a multiprocessor's shared memory is the system's; 48 a kernel has without asking
# for more.
DESCRIPTION = """
gpu_device_info {{
  cuda_compute_capability {{ major: {gpu.capability[0]} minor: {gpu.capability[1]} }}
  core_count: {gpu.cores} fpus_per_core: {gpu.units} clock_rate_ghz: {gpu.clock_ghz}
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  shared_memory_per_block: {block} shared_memory_per_block_optin: {most} shared_memory_per_core: {gpu.shared}
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  l2_cache_size: {gpu.cache} memory_bandwidth: {gpu.bandwidth} device_memory_size: {gpu.memory}
}}
platform_name: "CUDA" runtime_version {{ major: 13 }} dnn_version_info {{ major: 9 minor: 10 }}
device_description_str: "{gpu.name}"
"""


class MissingCompilerError(Exception):
    """A platform whose compiler is not installed."""


def require(platforms: Iterable[str]) -> None:
    """Refuse a platform whose compiler is not there, before anything is compiled."""
    for platform in platforms:
        package = COMPILERS[platform].split(".")
        found = find_spec(package[0]) and find_spec(COMPILERS[platform])
        if not found:
            raise MissingCompilerError(
                f"the {platform.upper()} compiler is not installed ({COMPILERS[platform]} is missing): install the "
                "extra `aot`, pip install '.[aot]', on Linux for x86-64"
            )


def device(name: str) -> Any:
    """The first device of the smallest machine that has it."""
    if name in TPUS:
        return topologies.get_topology_desc(TPUS[name], "tpu").devices[0]
    return topologies.get_topology_desc(
        name, "cuda", topology="1x1x1", target_config=describe(GPUS[name])
    ).devices[0]


def describe(gpu: Gpu) -> str:
    return DESCRIPTION.format(gpu=gpu, block=48 * KIB, most=gpu.shared - KIB)
