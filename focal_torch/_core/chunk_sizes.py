"""How many rows of a linear layer have logits at a time, where the caller does not say it.

The gradient of the kernel is a sum over chunks. Adding to it reads 4 bytes and writes 4 for each of
its numbers, and a chunk of N rows makes 2·N operations for each. With F operations and B bytes a
second the products wait for the memory unless 2·N / F ≥ 8 / B, which is N ≥ 4·F / B: the same for
any number of features and classes.
"""

import math

import torch

# A product of fewer rows is not worth its start on a CPU, whose float32 would need tens of rows.
LEAST = 192
# Rows on accelerators are multiples of it.
STEP = 128
# Of products in half precision 10^12 operations a second, without sparsity, and 10^12 bytes a
# second of memory, as in data sheets. The first entry counts that is a part of the device's name.
PEAKS: dict[str, tuple[float, float]] = {}
PEAKS["A100"] = 312, 2.039
PEAKS["H100 PCIe"] = 756, 2.0
PEAKS["H100"] = 989, 3.35
PEAKS["GH200"] = 989, 4.0
PEAKS["H200"] = 989, 4.8
PEAKS["B200"] = 2250, 8.0
PEAKS["MI300X"] = 1307, 5.3
# Of a device that is not in the table.
COMMON = 1024
# A row of a chunk has logits, slopes, and slopes in half precision: so many bytes for a class.
BYTES = 10


def default_chunk_size(depth: int, platform: str, device: str, dtype: torch.dtype) -> int:
    """The rows of a chunk for D = `depth` features, on a device of this name."""
    if platform == "cpu" or dtype.itemsize >= 4:
        # The logits of a chunk then have three eighths of the kernel's numbers. Float32 has no
        # matrix units on a GPU, unless PyTorch is told to round it.
        return max(LEAST, 3 * depth // 8)
    rows = rows_that_keep_up(device)
    # A chunk takes no more memory than the sum of the kernel's gradients.
    fitting = 4 * depth // BYTES
    return min(rows, max(LEAST, fitting))


def rows_that_keep_up(device: str) -> int:
    """The smallest multiple of 128 that is at least 4·F / B for a device of this name."""
    for name, (operations, bandwidth) in PEAKS.items():
        if name in device:
            return STEP * math.ceil(4 * operations / bandwidth / STEP)
    return COMMON
