"""What is known of an array while JAX traces, and what its compiler should do: JAX here, PyTorch in
the file of the same name."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer

from .arrays import Number, is_bool

Function = TypeVar("Function", bound=Callable[..., Array])


def is_concrete(x: Array) -> bool:
    """Whether the values of x are there, neither traced nor on a device that would have to be
    waited for."""
    if isinstance(x, Tracer):
        return False
    return x.is_fully_addressable and all(device.platform == "cpu" for device in x.devices())


def unwrap(x: object) -> object:
    """The array of a variable of Flax, or of what else has one for JAX; all else as it is."""
    to_array = getattr(x, "__jax_array__", None)
    return x if to_array is None else to_array()


def from_numpy(x: Array) -> Array:
    """An array of numpy as one of JAX, and all others as they are."""
    # Not a copy of them: that of NaN is an error while JAX looks for NaN.
    if not isinstance(x, np.ndarray):
        return x
    narrow = jax.dtypes.canonicalize_dtype(x.dtype)
    if x.dtype.kind in "iu" and narrow != x.dtype:
        # Else 2³² + 2 would be class 2.
        limits = np.iinfo(narrow)
        x = x.clip(limits.min, limits.max)
    return jnp.asarray(x)


def devices_differ(x: Array, y: Array) -> bool:
    """Whether two arrays have been put on devices that no computation has both of."""
    if isinstance(x, Tracer) or isinstance(y, Tracer) or not (x.committed and y.committed):
        return False
    return x.devices() != y.devices()


def concrete_values(x: Array) -> np.ndarray | None:
    """The values of x, if they are concrete."""
    return np.asarray(x) if is_concrete(x) else None


def concrete_bool_targets(x: Array) -> Array | None:
    """Targets as booleans, if they are known to be 0 or 1 and nothing is differentiated in them."""
    if is_bool(x):
        return x
    # A floating target is traced where something is differentiated in it.
    values = concrete_values(x)
    if values is None or not (values == values.astype(bool)).all():
        return None
    return x.astype(bool)


@jax.custom_jvp
def after(divisor: Array | None, logits: Array) -> Array:
    """The logits, which a gradient reads after the divisor."""
    return logits


@after.defjvp
def after_jvp(
    primals: tuple[Array | None, Array], tangents: tuple[object, Array]
) -> tuple[Array, Array]:
    divisor, logits = primals
    if divisor is not None:
        # XLA then makes value and gradient in one pass, instead of the value first.
        logits, _ = lax.optimization_barrier((logits, divisor))
    return logits, tangents[1]


class Constant:
    """A value that `jax.jit` takes as static, and hands to its function as it is."""

    def __init__(self, value: Hashable) -> None:
        self.value = value


def _flatten(x: Constant) -> tuple[tuple[()], Hashable]:
    return (), x.value


def _unflatten(value: Hashable, _: object) -> Any:
    return value


jax.tree_util.register_pytree_node(Constant, _flatten, _unflatten)


def compiled(function: Function) -> Function:
    """`jax.jit`, for a function whose arguments go through `constants`."""
    return cast(Function, jax.jit(function))


def constants(*args: Any) -> tuple[Any, ...]:
    """The arguments of a compiled function, of which all that are no arrays are static."""
    # Without jit nothing is static.
    if getattr(jax.config, "jax_disable_jit", False):
        return args
    return tuple(x if isinstance(x, Array) else Constant(x) for x in args)


def with_batch_axes_of(gamma: Number, x: Array) -> Array:
    """x, with the axes along which vmap maps γ."""
    # An accelerator would store what all γ share, and reading that takes longer than making it.
    return x + 0 * gamma if isinstance(gamma, Array) else x
