"""What the devices of a mesh tell each other. Over no axes nothing is told."""

import math
from typing import Any

from jax import Array, lax

# The names of the axes of a mesh.
Devices = tuple[str, ...]


def sum_over(x: Array, devices: Devices) -> Array:
    return lax.psum(x, devices) if devices else x


def max_over(x: Array, devices: Devices) -> Array:
    return lax.pmax(x, devices) if devices else x


def count(devices: Devices) -> int:
    return math.prod(lax.axis_size(name) for name in devices)


def place(devices: Devices) -> Any:
    """The number of this device among all."""
    return lax.axis_index(devices) if devices else 0
