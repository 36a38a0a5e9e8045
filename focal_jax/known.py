"""What is known of an array before the computation: its type, and often its values."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer


def is_array(x: Any) -> bool:
    return isinstance(x, Array | np.ndarray)


def is_floating(x: Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def is_integer(x: Array) -> bool:
    """Whether x holds integers, or booleans as 0 and 1."""
    return jnp.issubdtype(x.dtype, jnp.integer) or is_bool(x)


def is_bool(x: Array) -> bool:
    return x.dtype == jnp.bool_


def as_ids(x: Array) -> Array:
    """Class ids in a signed type that can count all classes."""
    return x.astype(jnp.int64 if x.dtype.itemsize == 8 else jnp.int32)


def differ(ids: Array, x: int) -> Array:
    """Which ids are not x, which may be a number that their type does not have."""
    limits = jnp.iinfo(ids.dtype)
    return ids != x if limits.min <= x <= limits.max else jnp.ones_like(ids, bool)


def as_bits(x: Array) -> Array:
    """Targets that are not known yet: XLA is faster with integers than with a mask that is made of them."""
    return x


def dtype_name(x: Array) -> str:
    return str(x.dtype)


def is_known(x: Array) -> bool:
    """Whether the values of x are there, neither abstract nor on a device that would have to be waited for."""
    return not isinstance(x, Tracer) and x.is_fully_addressable and all(d.platform == "cpu" for d in x.devices())


def read(x: Array) -> np.ndarray | None:
    """The values of x, if they are known."""
    return np.asarray(x) if is_known(x) else None


def known_bits(x: Array) -> Array | None:
    """Targets as booleans, if they are known to be 0 or 1 and nothing is differentiated in them."""
    if is_bool(x):
        return x
    if (known := read(x)) is None:
        return None
    return x.astype(bool) if (known == known.astype(bool)).all() else None
