"""What JAX has not in all versions: PyTorch in the file of the same name.

No other file reaches for it. Where a name is missing, an error says which version has it.
"""
# What is found by its name has no type.
# pyright: reportUnknownMemberType=false

from collections.abc import Callable
from typing import Any

import jax
from jax import Array, lax
from jax.sharding import PartitionSpec

Function = Callable[..., Any]

OLDEST = (0, 6, 1)
if jax.__version_info__ < OLDEST:
    raise ImportError(f"focal_jax needs JAX 0.6.1 or newer, and this is {jax.__version__}. Upgrade jax.")


def _found(module: Any, name: str) -> Any:
    """What a module of JAX has under a name, or None."""
    return getattr(module, name, None)


_auto_axes = _found(jax.sharding, "auto_axes")
_cast = _found(lax, "pcast")


def auto_axes(function: Function, sharding: Any, result: PartitionSpec) -> Function:
    """The function, of which the compiler finds the shardings along the explicit axes of a mesh."""
    if _auto_axes is None:
        raise NotImplementedError(
            f"focal_jax: a mesh with explicit axes needs JAX 0.7, and this is JAX {jax.__version__}. "
            "Upgrade jax, or give the mesh axes of the type jax.sharding.AxisType.Auto."
        )
    axes = sharding.mesh.explicit_axes
    return _auto_axes(function, axes=axes, out_sharding=sharding.update(spec=result))


def is_split(x: Array, name: str) -> bool:
    """Whether `jax.shard_map` knows that x differs along an axis."""
    if _cast is None:
        return name in _axes_of_difference(x)
    try:
        _cast(x, name, to="varying")
    except ValueError:  # It is known, and may not be said again.
        return True
    return False


def _axes_of_difference(x: Array) -> frozenset[str]:
    """The same before JAX 0.8.2, which has no pcast."""
    found: frozenset[str] | None = getattr(jax.typeof(x), "vma", None)
    if found is None:
        raise NotImplementedError(
            "focal_jax: axis_name and class_axis_name need what JAX 0.6.1 to 0.12 say of arrays inside of "
            f"jax.shard_map, and JAX {jax.__version__} does not. Install one of those."
        )
    return found
