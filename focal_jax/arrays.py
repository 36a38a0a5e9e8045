"""What the formulas are written in besides arithmetic: masks, 0·inf, ±inf and half precision."""

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike


def keep(where: Array | None, x: Any) -> Any:
    """The array `x` with 0 outside the mask, which may lack its last axis; constants stay as they are."""
    if where is None or not isinstance(x, Array):
        return x
    return jnp.where(like(where, x), x, jnp.zeros_like(x))


def share(factor: Any, x: Array) -> Array:
    """factor·x, where 0·inf is 0."""
    if not isinstance(factor, Array) and factor:
        return factor * x
    undefined = jnp.isinf(x) & (factor == 0)
    return jnp.where(undefined, 0, factor * jnp.where(undefined, 1, x))


def widen(x: Any) -> Any:
    """Half precision as float32, everything else as it is."""
    return x.astype(compute_dtype(x)) if _is_floating(x) else x


def compute_dtype(x: Array) -> DTypeLike:
    return jnp.float32 if x.dtype.itemsize < 4 else x.dtype


def to_common(x: Array, y: Array) -> tuple[Array, Array]:
    """Both in the dtype that holds either."""
    dtype = jnp.promote_types(x.dtype, y.dtype)
    return x.astype(dtype), y.astype(dtype)


def like(row: Any, x: Array) -> Any:
    return row[..., None] if row is not None and row.ndim < x.ndim else row


def near(x: Any) -> Any:
    """±inf as ±1e30."""
    return jnp.clip(x, -far(), far()) if _is_floating(x) else x


def far() -> float:
    """Closed forms see ±inf as ±1e30, so that a product like σ(u)·softplus(−u) reaches its limit 0 instead of 0·inf."""
    return 1e30


def _is_floating(x: Any) -> bool:
    return isinstance(x, Array) and jnp.issubdtype(x.dtype, jnp.floating)
