"""How many rows a chunk has on each device, where nobody says it."""

from types import ModuleType

import jax.numpy as jnp
import pytest
import torch

from focal_jax._core import chunk_sizes as of_jax
from focal_torch._core import chunk_sizes as of_torch

# Rows in half precision for a layer of many features: 4·F / B of the data sheet, rounded up.
ROWS = {
    "NVIDIA A100-SXM4-80GB": 640,
    "NVIDIA H100 PCIe": 1536,
    "NVIDIA H100 80GB HBM3": 1280,
    "NVIDIA GH200 480GB": 1024,
    "NVIDIA H200": 896,
    "NVIDIA B200": 1152,
    "AMD Instinct MI300X": 1024,
    "TPU v4": 896,
    "TPU v5 lite": 1024,
    "TPU v5": 768,
    "TPU v6 lite": 2304,
    "TPU7x": 1280,
    "something new": 1024,
}
GPUS = [name for name in ROWS if "TPU" not in name]


def in_jax(depth: int, name: str, dtype: str) -> int:
    platform = "tpu" if "TPU" in name else "gpu"
    return of_jax.default_chunk_size(depth, platform, name, jnp.dtype(dtype))


@pytest.mark.parametrize("name", ROWS)
def test_products_keep_up_with_the_memory_in_jax(name: str) -> None:
    assert in_jax(8192, name, "bfloat16") == ROWS[name]
    expected = ROWS[name] if "TPU" in name else -(-ROWS[name] // 256) * 128
    assert in_jax(8192, name, "float32") == expected


@pytest.mark.parametrize("name", GPUS)
def test_products_keep_up_with_the_memory_in_torch(name: str) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        rows = of_torch.default_chunk_size(8192, "cuda", name, dtype)
        assert rows == ROWS[name]
    # Without matrix units there is no need of other rows than on a CPU.
    assert of_torch.default_chunk_size(8192, "cuda", name, torch.float32) == 3072


@pytest.mark.parametrize("chunks", [of_jax, of_torch])
def test_logits_take_no_more_memory_than_the_gradient_of_the_kernel(chunks: ModuleType) -> None:
    half = {of_jax: jnp.dtype("bfloat16"), of_torch: torch.bfloat16}[chunks]
    for depth in (64, 512, 1024, 2048, 8192):
        rows = chunks.default_chunk_size(depth, "cuda", "NVIDIA H100 80GB HBM3", half)
        assert rows == chunks.LEAST or chunks.BYTES * rows <= 4 * depth


def test_a_cpu_has_chunks_of_its_own() -> None:
    for depth, rows in ((64, 128), (4096, 1024)):
        size = of_jax.default_chunk_size(depth, "cpu", "cpu", jnp.dtype("float32"))
        assert size == rows
    for depth, rows in ((64, 192), (4096, 1536)):
        size = of_torch.default_chunk_size(depth, "cpu", "cpu", torch.float32)
        assert size == rows


def test_both_tables_say_the_same_of_gpus() -> None:
    of_gpus = {name: peaks for name, peaks in of_jax.PEAKS.items() if "TPU" not in name}
    assert of_gpus == of_torch.PEAKS
