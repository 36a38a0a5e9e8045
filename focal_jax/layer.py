"""What a linear layer makes of a chunk of rows: logits, losses and slopes."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from .arrays import compute_dtype, widen
from .classes import id_focal
from .collectives import Devices
from .margin import softcapped

Named = Mapping[str, Array]


class Settings(NamedTuple):
    """What is known before the computation: the exponent, unless it is an array, the cap, the smoothing, and the axes
    of the mesh that classes are split over."""

    gamma: float | None
    softcap: float | None
    smoothing: float
    devices: Devices


def losses_of(settings: Settings, logits: Array, part: Named) -> Array:
    """The loss of each row, from its logits without bias and cap."""
    gamma, softcap, smoothing, devices = settings
    rest: dict[str, Any] = {"weight": None, "where": None, "alpha": 1.0, "gamma": gamma, **part}
    z = logits + jnp.broadcast_to(widen(rest["bias"]), logits.shape) if "bias" in rest else logits
    z = z if softcap is None else softcapped(z, softcap)
    t, alpha, gamma, weight, where = (rest[name] for name in ("targets", "alpha", "gamma", "weight", "where"))
    losses = id_focal(z, t[..., None], alpha, gamma, smoothing, weight=weight, where=where, devices=devices)
    # Divided here, the slopes of a sum are those of the mean, and take no factor that would need another kernel.
    return losses / rest["divisor"] if "divisor" in rest else losses


def add_chunk(
    settings: Settings, part: Named, into: Named, of_rows: frozenset[str]
) -> tuple[Array, dict[str, Array], dict[str, Array]]:
    """The loss of a chunk; the slopes of what is shared, added to what there is of them; and those of its rows."""
    features, kernel, logits = part["features"], part["kernel"], logits_of(part)
    others = {name: widen(part[name]) for name in {*into, *of_rows} - {"features", "kernel"}}

    def loss(logits: Array, others: Named) -> Array:
        return losses_of(settings, logits, {**part, **others}).sum()

    value, (slope, found) = jax.value_and_grad(loss, (0, 1))(logits, others)
    # Slopes are as small as probabilities, which float16 does not hold.
    dtype = kernel.dtype if kernel.dtype == jnp.bfloat16 else logits.dtype
    features, kernel, slope = (x.astype(dtype) for x in (features, kernel, slope))
    added = {name: x + found.pop(name) for name, x in into.items() if name != "kernel"}
    if "kernel" in into:
        added["kernel"] = lax.platform_dependent(into["kernel"], features, slope, cpu=_add_in_blocks, default=_add)
    if "features" in of_rows:
        found["features"] = _product(slope, kernel, 1, 1, logits.dtype)
    return value, added, found


def _add(into: Array, features: Array, slope: Array) -> Array:
    return into + _product(features, slope, 0, 0, into.dtype)


def _add_in_blocks(into: Array, features: Array, slope: Array) -> Array:
    """As `_add`, a few rows of the kernel at a time: XLA for the CPU would store all of the product beside the sum."""
    size = len(into) // (blocks := math.gcd(len(into), 8))

    def step(i: Array, into: Array) -> Array:
        cut = partial(lax.dynamic_slice_in_dim, start_index=i * size, slice_size=size)
        return lax.dynamic_update_slice_in_dim(into, _add(cut(into), cut(features, axis=1), slope), i * size, 0)

    return lax.fori_loop(0, blocks, step, into)


def logits_of(part: Named) -> Array:
    """The logits of a chunk, in float32 at least."""
    return _product(part["features"], part["kernel"], 1, 0, compute_dtype(part["features"]))


def _product(a: Array, b: Array, axis_a: int, axis_b: int, dtype: DTypeLike) -> Array:
    return lax.dot_general(a, b, (((axis_a,), (axis_b,)), ((), ())), preferred_element_type=dtype)
