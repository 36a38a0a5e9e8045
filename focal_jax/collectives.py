"""What devices tell each other, where elements or classes are split over several."""

import math
from typing import Any

from jax import Array, lax


class Devices(tuple[str, ...]):
    """The devices along axes of a mesh, by the names of the axes. Without any, a device is alone."""


def sum_over(x: Array, devices: Devices) -> Array:
    return lax.psum(x, tuple(devices)) if devices else x


def max_over(x: Array, devices: Devices) -> Array:
    return lax.pmax(x, tuple(devices)) if devices else x


def place(devices: Devices) -> Any:
    """The number of this device among all."""
    return lax.axis_index(tuple(devices)) if devices else 0


def count(devices: Devices) -> int:
    return math.prod(lax.psum(1, name) for name in devices)


def devices_of(args: Any) -> Devices:
    """The devices among arguments."""
    return next((x for x in args if isinstance(x, Devices)), Devices())
