"""Arrays on a mesh of devices: JAX here, PyTorch in the file of the same name."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import jax
from jax import Array, lax
from jax.sharding import PartitionSpec

from .versions import auto_axes, is_varying

Loss = TypeVar("Loss", bound=Callable[..., Array])


def on_any_mesh(each_row: bool) -> Callable[[Loss], Loss]:
    """On a mesh with explicit axes let the compiler find the shardings inside of a function.

    Its first array has rows on all axes but the last. The result is a sum over all rows, or with
    `each_row` one number for each, sharded as the rows are.
    """

    def decorate(loss: Loss) -> Loss:
        @wraps(loss)
        def call_on_any_mesh(*args: Any, **kwargs: Any) -> Array:
            leaves, tree = jax.tree.flatten((args, kwargs))
            arrays = {i: x for i, x in enumerate(leaves) if isinstance(x, Array)}
            first = next(iter(arrays.values()))
            sharding = jax.typeof(first).sharding
            if not sharding.mesh.explicit_axes:
                return loss(*args, **kwargs)

            def call(arrays: dict[int, Array]) -> Array:
                filled = [arrays.get(i, x) for i, x in enumerate(leaves)]
                args, kwargs = jax.tree.unflatten(tree, filled)
                return loss(*args, **kwargs)

            # Rows stay where the first array has them; its last axis, the classes, is gone.
            result = PartitionSpec(*sharding.spec[:-1]) if each_row else PartitionSpec()
            return auto_axes(call, sharding, result)(arrays)

        return cast(Loss, call_on_any_mesh)

    return decorate


def is_mapped(name: str) -> bool:
    """Whether the axis of a mesh is one that `jax.shard_map` or `jax.vmap` goes along here."""
    # JAX has no other question for it.
    try:
        lax.psum(1, name)
    except NameError:
        return False
    return True


def is_replicated(x: Array, name: str) -> bool:
    """Whether `jax.shard_map` knows that x is the same along an axis, along which at least the
    index differs."""
    return is_varying(lax.axis_index(name), name) and not is_varying(x, name)
