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


H100 = Gpu(
    name="NVIDIA H100 80GB HBM3",
    capability=(9, 0),
    cores=132,
    units=128,
    shared=228 * KIB,
    clock_ghz=1.98,
    cache=50 * MIB,
    bandwidth=3350 * GB,
    memory=80 * GB,
)
A100 = Gpu(
    name="NVIDIA A100-SXM4-80GB",
    capability=(8, 0),
    cores=108,
    units=64,
    shared=164 * KIB,
    clock_ghz=1.41,
    cache=40 * MIB,
    bandwidth=2039 * GB,
    memory=80 * GB,
)
B200 = Gpu(
    name="NVIDIA B200",
    capability=(10, 0),
    cores=148,
    units=128,
    shared=228 * KIB,
    clock_ghz=1.965,
    cache=126 * MIB,
    bandwidth=8000 * GB,
    memory=180 * GB,
)
GPUS = {"H100": H100, "A100": A100, "B200": B200}
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
  shared_memory_per_block: {block} shared_memory_per_block_optin: {most}
  shared_memory_per_core: {gpu.shared}
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
        compiler = COMPILERS[platform]
        package = compiler.split(".")[0]
        if not (find_spec(package) and find_spec(compiler)):
            raise MissingCompilerError(
                f"the {platform.upper()} compiler is not installed ({compiler} is missing): "
                "install the extra `aot`, pip install '.[aot]', on Linux for x86-64"
            )


def device(name: str) -> Any:
    """The first device of the smallest machine that has it."""
    if name in TPUS:
        machine = topologies.get_topology_desc(TPUS[name], "tpu")
    else:
        machine = gpus(name, "1x1x1")
    return machine.devices[0]


def gpus(name: str, shape: str) -> Any:
    """A topology of GPUs of one kind."""
    return topologies.get_topology_desc(
        name, "cuda", topology=shape, target_config=describe(GPUS[name])
    )


def describe(gpu: Gpu) -> str:
    return DESCRIPTION.format(gpu=gpu, block=48 * KIB, most=gpu.shared - KIB)
