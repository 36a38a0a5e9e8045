"""What JAX does not have in all versions: PyTorch in the file of the same name.

No other file uses it. Where a name is missing, an error says which version has it.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec

OLDEST = (0, 6, 1)
if jax.__version_info__ < OLDEST:
    raise ImportError(
        f"focal_jax needs JAX 0.6.1 or newer, and this is {jax.__version__}. Upgrade jax."
    )


def _optional(module: ModuleType, name: str) -> Any:
    """What a module of JAX has under a name, or None where it does not have it."""
    return getattr(module, name, None)


_auto_axes = _optional(jax.sharding, "auto_axes")
_pcast = _optional(lax, "pcast")
_abstract_mesh = _optional(jax.sharding, "get_abstract_mesh")


def auto_axes(
    function: Callable[..., Array], sharding: NamedSharding, result: PartitionSpec
) -> Callable[..., Array]:
    """The function, with shardings that the compiler finds along the explicit axes of a mesh."""
    if _auto_axes is None:
        raise NotImplementedError(
            "focal_jax: a mesh with explicit axes needs JAX 0.7, "
            f"and this is JAX {jax.__version__}. Upgrade jax, "
            "or give the mesh axes of the type jax.sharding.AxisType.Auto."
        )
    axes = sharding.mesh.explicit_axes
    return _auto_axes(function, axes=axes, out_sharding=sharding.update(spec=result))


def has_one_device() -> bool:
    """Whether an array can be on one device only: there is no other, and no mesh."""
    return _abstract_mesh is not None and _abstract_mesh().empty and jax.device_count() == 1


def is_varying(x: Array, name: str) -> bool:
    """Whether `jax.shard_map` knows that x differs along an axis of the mesh."""
    if _pcast is None:
        return name in _varying_axes(x)
    try:
        _pcast(x, name, to="varying")
    except ValueError:
        # What varies already cannot be cast.
        return True
    return False


def _varying_axes(x: Array) -> frozenset[str]:
    """The axes of the mesh that x varies over, before JAX 0.8.2, which has no pcast."""
    axes: frozenset[str] | None = getattr(jax.typeof(x), "vma", None)
    if axes is None:
        raise NotImplementedError(
            "focal_jax: axis_name and class_axis_name need the varying axes that JAX 0.6.1 to 0.12 "
            f"give arrays inside of jax.shard_map, and JAX {jax.__version__} does not. "
            "Install one of those."
        )
    return axes
