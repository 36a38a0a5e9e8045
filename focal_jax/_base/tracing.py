"""What is known of an array while JAX traces, and what its compiler should do: JAX here, PyTorch in
the file of the same name."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jax.typing import DTypeLike

from .arrays import Number, as_dtype, is_bool, zero_outside

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


def from_sequence(x: Any) -> Array | np.ndarray:
    """A list or a tuple as an array."""
    if any(isinstance(entry, Array) for entry in x):
        # Their gradients are those of the entries.
        return jnp.stack([jnp.asarray(entry) for entry in x])
    values = np.asarray(x)
    if values.dtype.kind not in "biuf":
        raise TypeError("no numbers")
    return values


def from_numpy(x: Array | np.ndarray) -> Array:
    """An array of numpy as one of JAX, and all others as they are."""
    if not isinstance(x, np.ndarray):
        return x
    # All other copies of a NaN are errors while JAX looks for one.
    return jax.device_put(x) if _looks_for_nan() else jnp.asarray(x)


def needs_64_bits(x: Array) -> bool:
    """Whether x holds integers of numpy that JAX would narrow to other numbers."""
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "iu" or not x.size:
        return False
    narrow = jax.dtypes.canonicalize_dtype(x.dtype)
    if narrow == x.dtype:
        return False
    limits = np.iinfo(narrow)
    return bool(x.min() < limits.min or x.max() > limits.max)


def is_committed(x: Array) -> bool:
    """Whether an array has been put on its device."""
    return not isinstance(x, Tracer) and x.committed


def devices_differ(x: Array, y: Array) -> bool:
    """Whether two arrays have been put on devices that no computation has both of."""
    return is_committed(x) and is_committed(y) and x.devices() != y.devices()


def cast_inside(where: Array | None, x: Array, dtype: DTypeLike) -> Array:
    """x (…) in a dtype; what the mask leaves out may be anything."""
    # An eager copy of a NaN is an error while JAX looks for one.
    if _looks_for_nan():
        x = zero_outside(where, x)
    return as_dtype(x, dtype)


def _looks_for_nan() -> bool:
    return getattr(jax.config, "jax_debug_nans", False)


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


def sum_and_wrong(targets: Array) -> tuple[Array, Array]:
    """The sum of integers, and whether one is neither 0 nor 1: each ()."""
    whole = targets.astype(jnp.int32)
    # JAX leaves the type of the result out.
    return cast(
        tuple[Array, Array],
        lax.platform_dependent(whole, cpu=_in_two_passes, default=_in_one_pass),
    )


def _in_two_passes(targets: Array) -> tuple[Array, Array]:
    wrong = (targets != 0) & (targets != 1)
    return targets.sum(dtype=jnp.int32), wrong.any()


def _in_one_pass(targets: Array) -> tuple[Array, Array]:
    # XLA for TPUs would read the targets twice.
    wrong = ((targets != 0) & (targets != 1)).astype(jnp.int32)
    axes = tuple(range(targets.ndim))
    zero = np.int32(0)
    total, any_wrong = lax.reduce((targets, wrong), (zero, zero), _add_and_or, axes)
    return total, any_wrong > 0


def _add_and_or(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
    return a[0] + b[0], a[1] | b[1]
