"""Arrays on a mesh of devices: JAX here, PyTorch in the file of the same name."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
from jax import Array, lax
from jax.sharding import PartitionSpec

from .versions import auto_axes, is_split

Function = Callable[..., Any]


def on_any_mesh(each: bool) -> Callable[[Function], Function]:
    """On a mesh with explicit axes let the compiler find the shardings inside of a function. Its first array has rows
    on all axes but the last; the result is a number, or one for each row, which is sharded as the rows are."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*args: Any, **rest: Any) -> Any:
            leaves, tree = jax.tree.flatten((args, rest))
            arrays = {i: x for i, x in enumerate(leaves) if isinstance(x, Array)}
            sharding = jax.typeof(next(iter(arrays.values()))).sharding

            def fill(arrays: dict[int, Array]) -> Array:
                args, rest = jax.tree.unflatten(tree, [arrays.get(i, x) for i, x in enumerate(leaves)])
                return function(*args, **rest)

            if not sharding.mesh.explicit_axes:
                return function(*args, **rest)
            return auto_axes(fill, sharding, PartitionSpec(*sharding.spec[:-1] if each else ()))(arrays)

        return call

    return decorate


def is_mapped(name: str) -> bool:
    """Whether the axis of a mesh is one that `jax.shard_map` or `jax.vmap` goes along here."""
    try:
        lax.psum(1, name)
    except NameError:
        return False
    return True


def is_repeated(x: Array, name: str) -> bool:
    """Whether `jax.shard_map` knows that x is the same along an axis, along which at least the index differs."""
    return is_split(lax.axis_index(name), name) and not is_split(x, name)
