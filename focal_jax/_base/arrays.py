"""Arrays: their dtypes, masks, products in which 0·inf is 0, and infinities."""

from collections.abc import Sequence
from typing import TypeAlias, TypeGuard, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jax.typing import DTypeLike

from .ranges import Range

# α or γ: one number, or one for each class or element.
Number: TypeAlias = float | Array
# The same as people have it.
Several: TypeAlias = Sequence[float] | np.ndarray | Array
OneOrSeveral: TypeAlias = float | Several
# An array, or what a formula takes as it is: a number, a group, None.
Operand = TypeVar("Operand")


def is_array(x: object) -> TypeGuard[Array]:
    return isinstance(x, Array | np.ndarray)


def is_sequence(x: object) -> bool:
    """Whether x holds several numbers that a framework does not take."""
    return isinstance(x, list | tuple)


def is_floating(x: Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def is_bool(x: Array) -> bool:
    return x.dtype == jnp.bool_


def is_integer(x: Array) -> bool:
    """Whether x holds integers, or booleans as 0 and 1."""
    return jnp.issubdtype(x.dtype, jnp.integer) or is_bool(x)


def dtype_name(x: Array) -> str:
    return str(x.dtype)


def compute_dtype(x: Array) -> DTypeLike:
    """float32 for half precision, else the dtype of x."""
    # Losses and probabilities are too small for half precision, and sums of them too long.
    return jnp.float32 if x.dtype.itemsize < 4 else x.dtype


def as_dtype(x: Array, dtype: DTypeLike) -> Array:
    # A call that changes nothing makes a copy, which is an error where JAX looks for NaN.
    return x if x.dtype == dtype else x.astype(dtype)


def upcast(x: Operand) -> Operand | Array:
    """A floating array in its compute dtype; all else as it is."""
    if isinstance(x, Array) and is_floating(x):
        return as_dtype(x, compute_dtype(x))
    return x


def promote(x: Array, y: Array) -> tuple[Array, Array]:
    """Both in the dtype that holds either."""
    dtype = jnp.promote_types(x.dtype, y.dtype)
    return as_dtype(x, dtype), as_dtype(y, dtype)


def as_class_ids(x: Array) -> Array:
    """Class ids in a signed type that can count all classes."""
    return x.astype(jnp.int64 if x.dtype.itemsize == 8 else jnp.int32)


def not_equal(targets: Array, x: int) -> Array:
    """Which targets (…) are not x, which may be a number that their type does not have."""
    if is_floating(targets):
        return targets != x
    limits = (0, 1) if is_bool(targets) else _limits(targets)
    if limits[0] <= x <= limits[1]:
        return targets != x
    return jnp.ones_like(targets, bool)


def _limits(x: Array) -> tuple[int, int]:
    """The least and the greatest integer of the type of x."""
    limits = jnp.iinfo(x.dtype)
    return int(limits.min), int(limits.max)


def align(row: Array, x: Array) -> Array:
    """row (…) as (…, 1) beside x (…, C), and as it is beside x (…)."""
    return row[..., None] if row.ndim < x.ndim else row


def select(mask: Array, x: Number, y: Number) -> Array:
    """x (…) inside the mask (…), else y, of which one is an array."""
    if not isinstance(mask, Tracer):
        # Where nothing is traced, debug_nans would find the NaN in an array of the numbers alone.
        return jnp.where(mask, x, y)
    # JAX takes four times as long to trace that.
    if not isinstance(x, Array):
        x = lax.full_like(y, x)
    if not isinstance(y, Array):
        y = lax.full_like(x, y)
    return lax.select(mask, x, y)


def zero_outside(where: Array | None, x: Operand) -> Operand | Array:
    """x (…) or (…, C) with 0 outside the mask (…); what is no array stays as it is."""
    if where is None or not isinstance(x, Array):
        return x
    # A product with the mask would keep NaN, and so would the gradient of one.
    return jnp.where(align(where, x), x, jnp.zeros_like(x))


def nan_outside(allowed: Range, x: Array) -> Array:
    """x (…), and NaN where it is out of range: a value that nobody has checked may be any."""
    # A product, for NaN in the gradient as well.
    # Made of x, the cases lie on a mesh as x does.
    like_x = lax.stop_gradient(x)
    factor = jnp.where(allowed.contains(x), like_x - like_x + 1, jnp.nan)
    return x * factor


def multiply_no_nan(factor: Number, x: Array) -> Array:
    """factor·x, where 0·inf is 0."""
    if not isinstance(factor, Array) and factor:
        return x if factor == 1 else factor * x
    undefined = jnp.isinf(x) & (factor == 0)
    # Both selections are needed: the gradient of the product would be NaN in the branch that is not
    # taken.
    return jnp.where(undefined, 0, factor * jnp.where(undefined, 1, x))


def clamp(x: Array, low: float, high: float) -> Array:
    """x (…) within bounds."""
    # JAX takes ten times as long to trace jnp.clip.
    number = x.dtype.type
    return lax.clamp(number(low), x, number(high))


def large() -> float:
    """What stands for inf in derivatives: σ(u)·softplus(−u) then reaches its limit 0, instead of
    0·inf."""
    return 1e30


def clamp_infinities(x: Operand) -> Operand | Array:
    """A floating array with ±inf as ±`large()`; all else as it is."""
    if isinstance(x, Array) and is_floating(x):
        return clamp(x, -large(), large())
    return x
